"""Query vectors with very few non-zero numbers to the best rows, exactly.

A request that says nothing of the user has a single such number: the weight of popularity.
Thousands of rows may then have equal scores, too many to order by row approximately; but only one
or two columns of the vectors have to be read, and the order of one column never changes.
"""

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann.allowed_rows import AllowedRows
from indexer.ann.top_rows import TopRows, round_scores, select_top
from indexer.arrays import Mask, Rows, Vectors

MAX_NONZERO_COLUMNS = 2  # for queries with this many non-zero numbers only their columns are read
_MAX_CACHED_COLUMNS = 8


class ColumnSearch:
    """The columns of `(n, d)` vectors, kept once read; thread-safe."""

    def __init__(self, vectors: NDArray[Any]) -> None:
        self._vectors = vectors
        self._columns: dict[int, Vectors] = {}
        self._orders: dict[int, Rows] = {}
        self._lock = Lock()

    def search(self, query: Vectors, k: int, mask: Mask | None) -> TopRows:
        """Return the k best of the rows that a mask, `(n,) bool`, allows; None allows all.

        Args:
            query: `(d,) float32`, with few non-zero numbers.
            k: How many.
            mask: Which rows.
        """
        scores = np.zeros(len(self._vectors), np.float32)
        for column in np.flatnonzero(query).tolist():
            scores += query[column] * self._load_column(column)
        rows = np.arange(len(scores)) if mask is None else np.flatnonzero(mask)
        return select_top(rows, scores[rows], k)

    def find_in_column(self, column: int, depth: int, allowed: AllowedRows) -> tuple[Rows, float]:
        """Return the `depth` allowed rows with the largest numbers in a column, ties by row.

        Returns:
            The rows, ascending, and the largest number that another allowed row may have; minus
            infinity if there is no other.
        """
        order = self._load_order(column)
        parts: list[Rows] = []
        start, size, found_count = 0, 2 * (depth + 1) + len(allowed.dropped), 0
        while found_count <= depth and start < len(order):
            part = order[start : start + size]
            parts.append(part[allowed.contain(part)])
            found_count += len(parts[-1])
            start, size = start + size, 2 * size  # a mask may allow but few of them
        found = np.concatenate(parts) if parts else order
        bound = float(self._load_column(column)[found[depth]]) if len(found) > depth else -np.inf
        return np.sort(found[:depth]), bound

    def _load_column(self, column: int) -> Vectors:
        with self._lock:
            if column not in self._columns:
                if len(self._columns) >= _MAX_CACHED_COLUMNS:
                    self._columns.pop(next(iter(self._columns)))
                self._columns[column] = self._vectors[:, column].astype(np.float32)
            return self._columns[column]

    def _load_order(self, column: int) -> Rows:
        values = self._load_column(column)
        with self._lock:
            if column not in self._orders:
                if len(self._orders) >= _MAX_CACHED_COLUMNS:
                    self._orders.pop(next(iter(self._orders)))
                self._orders[column] = np.argsort(-round_scores(values), kind="stable")
            return self._orders[column]
