"""A field's numbers to arrays on disk, and exact comparisons with them to masks of rows.

A number is a float and what remains of it: 2^53 + 1 is the float 2^53 and the remainder 1. Few
fields have a number with a remainder, and only those store them.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask
from indexer.metadata.flat_arrays import FlatArrays, FlatArraysWriter, Span
from indexer.metadata.packed_columns import Floats, pack_column
from indexer.metadata.postings import Rows, build_mask, intersect_rows
from indexer.metadata.predicates import Range
from indexer.metadata.values import Number, split_number


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a field, in ascending order with their rows and perhaps by row.

    Attributes:
        n: Number of rows of the catalogue.
        sorted_values: `(p,) float64`, ascending.
        rows: `(p,) int32`, the row of each; ascending among equal numbers.
        column: `(n,) float64` by row, NaN where missing; None if a row has several numbers, few
            rows have any, or there are remainders. A comparison with it is faster than setting many
            single rows of a mask.
        remainders: `(p,) float64`, what each number is more than its float, ascending among equal
            floats; None if all are 0.
    """

    n: int
    sorted_values: Floats
    rows: Rows
    column: Floats | None
    remainders: Floats | None = None

    @classmethod
    def from_pairs(cls, n: int, rows: Rows, values: Floats, remainders: Floats) -> Self:
        """Take pairs of a row and a number, in ascending order of rows.

        Args:
            n: Number of rows of the catalogue.
            rows: `(p,)`.
            values: `(p,)`.
            remainders: `(p,)`, or empty if all are 0.
        """
        if len(remainders):
            order = np.lexsort((remainders, values))
            return cls(n, values[order], rows[order], None, remainders[order])
        order = np.argsort(values, kind="stable")
        packed, pair_rows = pack_column(n, rows, values)
        return cls(n, values[order], rows[order], packed if pair_rows is None else None)

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the arrays to the files; return where each lies."""
        spans = {
            "ordered": files.append("floats", self.sorted_values),
            "rows": files.append("rows", self.rows),
        }
        for name, array in (("column", self.column), ("remainders", self.remainders)):
            if array is not None:
                spans[name] = files.append("floats", array)
        return spans

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map the arrays that `write` appended."""
        column, remainders = (
            files.read("floats", spans[name]) if name in spans else None
            for name in ("column", "remainders")
        )
        ordered, rows = files.read("floats", spans["ordered"]), files.read("rows", spans["rows"])
        return cls(n, ordered, rows, column, remainders)

    def match_any(self, numbers: frozenset[Number]) -> Mask:
        """Return the rows that hold at least one of the numbers."""
        mask = np.zeros(self.n, dtype=np.bool_)
        for rows in self._find_rows(numbers):
            mask[rows] = True
        return mask

    def match_all(self, numbers: frozenset[Number]) -> Mask:
        """Return the rows that hold every one of the numbers."""
        return build_mask(intersect_rows(self._find_rows(numbers)), self.n)

    def match_range(self, bounds: Range) -> Mask:
        """Return the rows that hold a number within all the bounds."""
        if self.column is None:
            return build_mask(self.rows[self._find_slice(bounds)], self.n)
        hits = np.ones(self.n, dtype=np.bool_)  # NaN fails every comparison below
        for kind, bound in (
            ("gte", bounds.gte),
            ("gt", bounds.gt),
            ("lte", bounds.lte),
            ("lt", bounds.lt),
        ):
            if bound is not None:
                hits &= _compare_floats(self.column, kind, bound)
        return hits

    def _find_rows(self, numbers: frozenset[Number]) -> list[Rows]:
        return [
            self.rows[self._locate(number, "left", 0) : self._locate(number, "right", 0)]
            for number in numbers
        ]

    def _find_slice(self, bounds: Range) -> slice:
        total = len(self.sorted_values)
        first = max(self._locate(bounds.gte, "left", 0), self._locate(bounds.gt, "right", 0))
        end = min(self._locate(bounds.lte, "right", total), self._locate(bounds.lt, "left", total))
        return slice(first, max(first, end))

    def _locate(self, bound: Number | None, side: Literal["left", "right"], default: int) -> int:
        """Return the position before or after the numbers equal to a bound."""
        if bound is None:
            return default
        nearest, remainder = split_number(bound)
        first = int(np.searchsorted(self.sorted_values, nearest, "left"))
        end = int(np.searchsorted(self.sorted_values, nearest, "right"))
        if self.remainders is not None:
            return first + int(np.searchsorted(self.remainders[first:end], remainder, side))
        if remainder:
            return end if remainder > 0 else first
        return first if side == "left" else end


def _compare_floats(column: Floats, kind: str, bound: Number) -> NDArray[np.bool_]:
    """Compare floats with a number that may lie between two floats."""
    nearest, remainder = split_number(bound)
    if kind in ("gte", "gt"):
        takes_nearest = remainder < 0 or (remainder == 0 and kind == "gte")
        return np.greater_equal(column, nearest) if takes_nearest else np.greater(column, nearest)
    takes_nearest = remainder > 0 or (remainder == 0 and kind == "lte")
    return np.less_equal(column, nearest) if takes_nearest else np.less(column, nearest)
