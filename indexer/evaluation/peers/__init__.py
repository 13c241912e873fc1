"""What a user would run otherwise, each behind one face: fit on rows, score the whole catalogue."""

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
