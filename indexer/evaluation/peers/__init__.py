"""What a user would run otherwise, each behind one face: fit on rows, score the whole catalogue."""

from indexer.evaluation.peers.face import Fitted, Knobs, Lesson, Peer
from indexer.evaluation.peers.roster import FAST, NAMES, unavailable

__all__ = ["FAST", "NAMES", "Fitted", "Knobs", "Lesson", "Peer", "unavailable"]
