"""Additive score terms to their sum for each row of the catalogue. Pure."""

from collections.abc import Mapping

import numpy as np

from indexer.ann import AllowedRows
from indexer.arrays import Rows, Vectors


class TermTotals:
    """The sum of additive score terms for each row.

    Terms of a few rows are kept sparse, sorted by row; terms of the whole catalogue are dense.

    Args:
        totals: Row to the sum of its own terms.
        catalogue_sums: `(n,) float32`, a term for every row of the catalogue; None: none.
    """

    def __init__(
        self, totals: Mapping[int, float] | None = None, *, catalogue_sums: Vectors | None = None
    ) -> None:
        totals = totals or {}
        rows = np.fromiter(totals, np.int64, len(totals))
        order = np.argsort(rows)
        self._rows = rows[order]
        self._sums = np.fromiter(totals.values(), np.float32, len(totals))[order]
        self.catalogue_sums = catalogue_sums

    @classmethod
    def sum_by_row(
        cls, rows: Rows, values: Vectors, *, catalogue_sums: Vectors | None = None
    ) -> "TermTotals":
        """Sum z terms by row, fastest if the rows are ascending.

        Args:
            rows: `(z,) int64`, the row of each term; a row may have several.
            values: `(z,) float32`.
            catalogue_sums: As of the class.
        """
        totals = cls(catalogue_sums=catalogue_sums)
        if not len(rows):
            return totals
        if (rows[1:] < rows[:-1]).any():
            order = np.argsort(rows, kind="stable")
            rows, values = rows[order], values[order]
        starts = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
        totals._rows = rows[starts]
        totals._sums = np.add.reduceat(values, starts, dtype=np.float64).astype(np.float32)
        return totals

    def add_catalogue_sums(self, catalogue_sums: Vectors | None) -> "TermTotals":
        """Return these totals with a term for every row, `(n,) float32`; None: as they are."""
        if catalogue_sums is None:
            return self
        totals = TermTotals(catalogue_sums=catalogue_sums)
        totals._rows, totals._sums = self._rows, self._sums
        return totals

    def __len__(self) -> int:
        return len(self._rows)

    def select(self, allowed: AllowedRows) -> tuple[Rows, Vectors]:
        """Return the allowed rows that have a term of their own, ascending, and their sums."""
        if not len(self._rows):
            return self._rows, self._sums
        is_allowed = allowed.contain_ascending(self._rows)
        return self._rows[is_allowed], self._sums[is_allowed]

    def lookup(self, rows: Rows) -> Vectors:
        """Return the sum of terms of each of m rows, `(m,) float32`; 0 where there is none."""
        if len(self._rows) == 0:
            sums: Vectors = np.zeros(len(rows), np.float32)
        else:
            positions = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
            sums = np.where(self._rows[positions] == rows, self._sums[positions], np.float32(0))
        return sums if self.catalogue_sums is None else sums + self.catalogue_sums[rows]
