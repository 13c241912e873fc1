"""Sequence numbers that were seen to whether the store is still the same one.

Numbers only grow. One that is lower than what was seen before its transaction began is of another
store: somebody has put a backup in its place, or a server has failed over to one that lags.
"""

import threading
from typing import NamedTuple


class Mark(NamedTuple):
    """What was seen of a store at some time.

    Attributes:
        seq: The highest sequence number.
        generation: How often another store was found in its place.
    """

    seq: int
    generation: int


class HighestSequence:
    """The highest sequence number that a process has seen committed; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mark = Mark(0, 0)

    def mark(self) -> Mark:
        """Return what was seen so far; to be taken before a transaction begins."""
        return self._mark

    def compare(self, seq: int, mark: Mark) -> int:
        """Return the generation of a number that was read after a mark was taken."""
        if seq == mark.seq:
            return mark.generation
        with self._lock:
            if mark.generation == self._mark.generation:
                if seq < mark.seq:
                    self._mark = Mark(seq, mark.generation + 1)
                elif seq > self._mark.seq:
                    self._mark = Mark(seq, mark.generation)
                return self._mark.generation
        return mark.generation

    def raise_to(self, seq: int) -> None:
        """Note a number that this process has committed."""
        with self._lock:
            if seq > self._mark.seq:
                self._mark = Mark(seq, self._mark.generation)

    def start_again(self) -> None:
        """Begin a new generation: another store was opened."""
        with self._lock:
            self._mark = Mark(0, self._mark.generation + 1)
