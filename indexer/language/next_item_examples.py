"""Liked items and the item liked next to the training examples of a tuned layer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_ITEM = -1
HISTORY_ITEMS = 3
Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class NextItemExamples:
    """`p` liked items, each with the liked items before it.

    Attributes:
        history: `(p, HISTORY_ITEMS) int32`, rows of the catalogue, the latest first; `NO_ITEM`
            where the history is shorter.
        target: `(p,) int32`, row of the item liked next.
    """

    history: Rows
    target: Rows

    def __len__(self) -> int:
        return len(self.target)

    def collect_rows(self) -> Rows:
        """Return all rows that occur, ascending and distinct."""
        return np.unique(np.r_[self.history[self.history != NO_ITEM], self.target])

    def select(self, keep: NDArray[np.bool_] | NDArray[np.integer]) -> "NextItemExamples":
        """Return some of the examples, by a mask or by their positions."""
        return NextItemExamples(self.history[keep], self.target[keep])

    def keep_known(self, known: NDArray[np.bool_]) -> "NextItemExamples":
        """Drop the unknown items of histories, then the examples without a target or history.

        Args:
            known: `(n,) bool`, by row of the catalogue.
        """
        history = np.where(
            (self.history != NO_ITEM) & known[self.history], self.history, NO_ITEM
        ).astype(np.int32)
        kept = known[self.target] & (history != NO_ITEM).any(axis=1)
        return NextItemExamples(history, self.target).select(kept)

    def renumber(self, rows: Rows) -> "NextItemExamples":
        """Return the examples with each row replaced by its position in the ascending `rows`."""
        history = np.where(self.history == NO_ITEM, NO_ITEM, np.searchsorted(rows, self.history))
        return NextItemExamples(
            history.astype(np.int32), np.searchsorted(rows, self.target).astype(np.int32)
        )
