"""Additive score terms, summed by row."""

from collections.abc import Mapping

import numpy as np

from indexer.arrays import Mask, Rows, Vectors


class TermTotals:
    """Additive score terms: of some rows, summed up by row, and of the whole catalogue.

    Args:
        totals: Row to the sum of its terms.
        catalogue_sums: `(n,) float32`, added to each row; None: nothing is.
    """

    def __init__(
        self, totals: Mapping[int, float] | None = None, *, everywhere: Vectors | None = None
    ) -> None:
        given = totals or {}
        rows = np.fromiter(given, np.int64, len(given))
        order = np.argsort(rows)
        self._rows = rows[order]
        self._sums = np.fromiter(given.values(), np.float32, len(given))[order]
        self.catalogue_sums = everywhere

    @classmethod
    def sum_by_row(
        cls, rows: Rows, values: Vectors, *, everywhere: Vectors | None = None
    ) -> "TermTotals":
        """Sum up `(z,)` terms given by row; a row may have several."""
        made = cls(everywhere=everywhere)
        made._rows, place = np.unique(rows, return_inverse=True)
        made._sums = np.bincount(place, values, len(made._rows)).astype(np.float32)
        return made

    def __len__(self) -> int:
        return len(self._rows)

    def select_rows(self, allowed: Mask) -> Rows:
        """The allowed rows that have a term of their own, ascending."""
        return self._rows[allowed[self._rows]]

    def lookup(self, rows: Rows) -> Vectors:
        """`(m,) float32`, the sum of terms of each row; 0 where it has none."""
        if len(self._rows) == 0:
            found: Vectors = np.zeros(len(rows), np.float32)
        else:
            place = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
            found = np.where(self._rows[place] == rows, self._sums[place], np.float32(0))
        return found if self.catalogue_sums is None else found + self.catalogue_sums[rows]
