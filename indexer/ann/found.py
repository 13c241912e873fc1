"""Scored rows to the best of them: by score, equal scores by row. Pure."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.int64]


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
class Found:
    """Rows found for one query, best first, ties by row.

    Attributes:
        rows: `(m,) int64`, distinct.
        scores: `(m,) float32`, inner products; higher is closer.
    """

    rows: Rows
    scores: Vectors


NOTHING = Found(np.empty(0, np.int64), np.empty(0, np.float32))


def best(rows: Rows, scores: Vectors, k: int) -> Found:
    """Keep the k best rows: by score, equal scores (to six decimals) by row."""
    if k < len(rows):
        cut = rounded(np.partition(scores, len(scores) - k)[len(scores) - k])
        keep = rounded(scores) >= cut
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((rows, -rounded(scores)))[:k]
    return Found(rows[order], scores[order])


def cuts_a_tie(scores: Vectors, k: int) -> bool:
    """Whether rows that tie with the k-th may be missing from `(m,)` scores of the best rows.

    Such ties must be broken by row, so the list may not end inside one.
    """
    if len(scores) < k:
        return True
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return bool(rounded(scores.min()) >= rounded(kth))


def rounded(scores: Any) -> Any:
    """Six decimals: the last bits of a float32 sum depend on the path that computed it."""
    return np.round(scores, 6)
