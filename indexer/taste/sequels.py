"""Events to what was picked after what: the lessons of a language model. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.cases import newness_of, step_start
from indexer.taste.events import Events

PAST_ITEMS = 3
MOST_ITEMS = 10_000  # whose texts are learned from: the most met
NONE = -1

Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Sequels:
    """Liked items, each with the liked items that came before.

    Attributes:
        past: `(p, PAST_ITEMS) int32`, rows of the catalogue, the latest first; `NONE` where the
            history is shorter.
        target: `(p,) int32`.
    """

    past: Rows
    target: Rows

    def __len__(self) -> int:
        return len(self.target)

    def rows(self) -> Rows:
        """All rows in use, ascending."""
        return np.unique(np.r_[self.past[self.past != NONE], self.target])

    def where(self, keep: NDArray[np.bool_] | NDArray[np.integer]) -> "Sequels":
        """Return some of them, by a mask or by number."""
        return Sequels(self.past[keep], self.target[keep])

    def among(self, known: NDArray[np.bool_]) -> "Sequels":
        """Return those of known items `(n,)`; what else was met before is left out of the past."""
        past = np.where((self.past != NONE) & known[self.past], self.past, NONE).astype(np.int32)
        kept = known[self.target] & (past != NONE).any(axis=1)
        return Sequels(past, self.target).where(kept)

    def renumbered(self, rows: Rows) -> "Sequels":
        """Return the same with each row's place in `rows` in its stead."""
        past = np.where(self.past == NONE, NONE, np.searchsorted(rows, self.past))
        return Sequels(past.astype(np.int32), np.searchsorted(rows, self.target).astype(np.int32))


def sequels_of(events: Events, *, newest_left_out: float, most_items: int = MOST_ITEMS) -> Sequels:
    """Return every liked event that has a liked one of an earlier moment before it.

    Args:
        events: All of them.
        newest_left_out: Share that is kept for judging.
        most_items: Of the catalogue; what is met less often than these is left out.
    """
    old = events.where(events.liked & (newness_of(events) >= newest_left_out))
    first = step_start(old)
    past = np.full((len(old), PAST_ITEMS), NONE, np.int32)
    for back in range(PAST_ITEMS):
        earlier = first - 1 - back
        same = earlier >= 0
        same[same] = old.user[earlier[same]] == old.user[same]
        past[same, back] = old.item[earlier[same]]
    return Sequels(past, old.item).among(_most_met(old, most_items))


def _most_met(events: Events, most: int) -> NDArray[np.bool_]:
    """`(n,)`; ties go to the first row."""
    met = np.bincount(events.item, minlength=events.n_items)
    known = np.zeros(events.n_items, bool)
    known[np.argsort(-met, kind="stable")[:most]] = True
    return known & (met > 0)
