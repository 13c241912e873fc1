"""Pairs of past items and the item picked next: what a language model is tuned on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_ITEM = -1
HISTORY_ITEMS = 3
Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class NextItemExamples:
    """Liked items, each with the liked items that came before.

    Attributes:
        history: `(p, PAST_ITEMS) int32`, rows of the catalogue, the latest first; `NO_ITEM` where the
            history is shorter.
        target: `(p,) int32`.
    """

    history: Rows
    target: Rows

    def __len__(self) -> int:
        return len(self.target)

    def collect_rows(self) -> Rows:
        """All rows in use, ascending."""
        return np.unique(np.r_[self.history[self.history != NO_ITEM], self.target])

    def select(self, keep: NDArray[np.bool_] | NDArray[np.integer]) -> "NextItemExamples":
        """Return some of them, by a mask or by number."""
        return NextItemExamples(self.history[keep], self.target[keep])

    def keep_known(self, known: NDArray[np.bool_]) -> "NextItemExamples":
        """Return those of known items `(n,)`; what else was met before is left out of the past."""
        past = np.where(
            (self.history != NO_ITEM) & known[self.history], self.history, NO_ITEM
        ).astype(np.int32)
        kept = known[self.target] & (past != NO_ITEM).any(axis=1)
        return NextItemExamples(past, self.target).select(kept)

    def renumber(self, rows: Rows) -> "NextItemExamples":
        """Return the same with each row's place in `rows` in its stead."""
        past = np.where(self.history == NO_ITEM, NO_ITEM, np.searchsorted(rows, self.history))
        return NextItemExamples(
            past.astype(np.int32), np.searchsorted(rows, self.target).astype(np.int32)
        )
