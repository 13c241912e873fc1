"""Rows and scores to the top k: by score, equal scores by row number. Pure."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from indexer.arrays import Rows, Vectors


class ItemVectors(Protocol):
    """Item vectors that are computed on access, so that they need not all be in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, d)`."""
        ...

    def __getitem__(self, rows: Any) -> Vectors:
        """Return the vectors `(m, d) float32` of a slice or an array of rows."""
        ...


@dataclass(frozen=True, slots=True)
class TopRows:
    """The best rows for one query, best first, equal scores by row number.

    Attributes:
        rows: `(m,) int64`, distinct.
        scores: `(m,) float32`, inner products; higher is closer.
    """

    rows: Rows
    scores: Vectors


NO_TOP_ROWS = TopRows(np.empty(0, np.int64), np.empty(0, np.float32))


def select_top(rows: Rows, scores: Vectors, k: int) -> TopRows:
    """Return the k best of `(m,)` rows; scores equal to six decimals are ordered by row."""
    if k < len(rows):
        cut = round_scores(np.partition(scores, len(scores) - k)[len(scores) - k])
        keep = round_scores(scores) >= cut
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((rows, -round_scores(scores)))[:k]
    return TopRows(rows[order], scores[order])


def select_top_unless_tied(rows: Rows, scores: Vectors, k: int) -> TopRows | None:
    """Return the k best of `(m,)` rows that are the best of an index, or None if m is too small.

    It is too small if the last of the rows ties with the k-th: the index may then hold further rows
    of that score, and ties must be broken by row among all of them.
    """
    if len(rows) < k:
        return None
    rounded_scores = round_scores(scores)
    order = np.lexsort((rows, -rounded_scores))
    if rounded_scores[order[-1]] >= rounded_scores[order[k - 1]]:
        return None
    order = order[:k]
    return TopRows(rows[order], scores[order])


def round_scores(scores: Any) -> Any:
    """Round to six decimals: the last bits of a float32 sum depend on the order of summation."""
    return np.round(scores, 6)
