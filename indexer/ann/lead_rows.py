"""The rows that lead in one column, scored exactly whenever a query weighs that column.

The popularity prior is one number of an item's vector, and outweighs all others in many requests.
Codes of 4 bits tell 16 values of it apart, and inverted lists, made of what is alike, have popular
rows in each: to find these by codes, every list must be visited and many more candidates scored.
There are few of them, so their vectors are kept, and one product scores them all.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from indexer.ann.allowed_rows import contain_rows
from indexer.arrays import Mask, Rows, Vectors

LEAD_COUNT = 500  # with four times as many, no more was found over a million items


class LeadRows:
    """The rows with the largest numbers in a column; thread-safe.

    Args:
        column: The column.
        rows: `(m,) int64`, ascending, distinct.
        read_vectors: Returns the vectors `(m, d) float32` of rows; called when they are needed.
    """

    def __init__(self, column: int, rows: Rows, read_vectors: Callable[[Rows], Vectors]) -> None:
        self._column, self._rows, self._read_vectors = column, rows, read_vectors
        self._vectors: Vectors | None = None

    @classmethod
    def from_json(
        cls, facts: Mapping[str, Any] | None, read_vectors: Callable[[Rows], Vectors]
    ) -> Self:
        """Return the rows that `build_lead_facts` chose; none without facts."""
        known = facts or {"column": 0, "rows": ()}
        return cls(int(known["column"]), np.array(known["rows"], np.int64), read_vectors)

    def serve(self, queries: Vectors, usable: Callable[[Rows], Mask]) -> bool:
        """Whether a search finds what is popular by these rows, and needs no effort for it.

        It does if every query vector weighs the column and most of the rows may be found.

        Args:
            queries: `(q, d) float32`.
            usable: As in `score`.
        """
        weighs = len(self._rows) > 0 and bool((queries[:, self._column] > 0).all())
        return weighs and 2 * int(np.count_nonzero(usable(self._rows))) >= len(self._rows)

    def score(
        self, queries: Vectors, usable: Callable[[Rows], Mask], known: Rows
    ) -> tuple[Rows, Vectors]:
        """Return those rows that may be found and are not known, if any query weighs the column.

        Args:
            queries: `(q, d) float32`.
            usable: Returns which of m ascending rows may be found, `(m,) bool`.
            known: `(k,) int64`, ascending.

        Returns:
            `(m,)` rows, ascending, and their exact products `(q, m) float32`.
        """
        if not len(self._rows) or not (queries[:, self._column] > 0).any():
            return self._rows[:0], np.empty((len(queries), 0), np.float32)
        if self._vectors is None:
            self._vectors = self._read_vectors(self._rows)
        is_new = usable(self._rows) & ~contain_rows(known, self._rows)
        return self._rows[is_new], queries @ self._vectors[is_new].T


def build_lead_facts(values: Vectors, column: int) -> dict[str, Any]:
    """Return the facts of the rows with the largest of `(n,)` values, and of none that ties others.

    Where many rows share the largest number, as that of no rating, it leads to none of them.
    """
    if not len(values):
        return {"column": column, "rows": []}
    count = min(LEAD_COUNT, len(values) - 1)
    least = np.partition(values, len(values) - 1 - count)[len(values) - 1 - count]
    return {"column": column, "rows": np.flatnonzero(values > least).tolist()}
