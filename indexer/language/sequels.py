"""Pairs of past items and the item picked next: what a language model is tuned on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NONE = -1
PAST_ITEMS = 3
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
