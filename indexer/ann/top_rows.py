"""Scored rows to the best of them: by score, equal scores by row. Pure."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from indexer.arrays import Rows, Vectors


class ItemVectors(Protocol):
    """Item vectors that are made when asked for, so that never all need be in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, d)`."""
        ...

    def __getitem__(self, rows: Any) -> Vectors:
        """Return `(m, d) float32` of a slice or an array of rows."""
        ...


@dataclass(frozen=True, slots=True)
class TopRows:
    """Rows found for one query, best first, ties by row.

    Attributes:
        rows: `(m,) int64`, distinct.
        scores: `(m,) float32`, inner products; higher is closer.
    """

    rows: Rows
    scores: Vectors


NO_TOP_ROWS = TopRows(np.empty(0, np.int64), np.empty(0, np.float32))


def select_top(rows: Rows, scores: Vectors, k: int) -> TopRows:
    """Keep the k best rows: by score, equal scores (to six decimals) by row."""
    if k < len(rows):
        cut = round_scores(np.partition(scores, len(scores) - k)[len(scores) - k])
        keep = round_scores(scores) >= cut
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((rows, -round_scores(scores)))[:k]
    return TopRows(rows[order], scores[order])


def select_top_unless_tied(rows: Rows, scores: Vectors, k: int) -> TopRows | None:
    """Keep the k best of the best rows; None if rows that tie with the k-th may be missing.

    Such ties must be broken by row, so what was found may not end inside one.
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
    """Six decimals: the last bits of a float32 sum depend on the path that computed it."""
    return np.round(scores, 6)
