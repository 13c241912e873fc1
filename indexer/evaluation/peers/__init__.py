"""What a user would run otherwise, each behind one face: fit on rows, score the whole catalogue."""

from indexer.evaluation.peers.protocol import Fitted, Knobs, Lesson, Peer
from indexer.evaluation.peers.registry import FAST, NAMES, unavailable

__all__ = ["FAST", "NAMES", "Fitted", "Knobs", "Lesson", "Peer", "unavailable"]
