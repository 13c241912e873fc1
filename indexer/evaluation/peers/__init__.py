"""Recommenders that a user might run instead: fitted on rows, they score the whole catalogue."""

from indexer.evaluation.peers.protocol import Params, Peer, PeerModel, TrainingData
from indexer.evaluation.peers.registry import FAST_PEERS, PEER_NAMES, explain_unavailable

__all__ = [
    "FAST_PEERS",
    "PEER_NAMES",
    "Params",
    "Peer",
    "PeerModel",
    "TrainingData",
    "explain_unavailable",
]
