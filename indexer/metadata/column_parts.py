"""One field's values to arrays on disk, and comparisons with them to masks of rows.

A field of any type has up to four parts: words (see `postings`), numbers or instants, points, and
the rows that have it. Masks are `(n,) bool`, one flag for each row, and may be overwritten.
"""

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask
from indexer.metadata.flat_arrays import FlatArrays, FlatArraysWriter, Span
from indexer.metadata.postings import Rows, build_mask, intersect_rows
from indexer.metadata.predicates import Range
from indexer.metadata.values import GeoPoint, is_within, to_unit_vectors

Floats: TypeAlias = NDArray[np.float64]

_SPARSE_FACTOR = 4  # a field that fewer than 1 in 4 rows have is stored as pairs, not as a column


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a field, in ascending order with their rows and perhaps by row.

    Attributes:
        n: Number of rows of the catalogue.
        sorted_values: `(p,) float64`, ascending.
        rows: `(p,) int32`, the row of each; ascending among equal numbers.
        column: `(n,) float64` by row, NaN where missing; None if a row has several numbers or few
            rows have any. A comparison with it is faster than setting many single rows of a mask.
    """

    n: int
    sorted_values: Floats
    rows: Rows
    column: Floats | None

    @classmethod
    def from_pairs(cls, n: int, rows: Rows, values: Floats) -> Self:
        """Take pairs of a row and a number, in ascending order of rows."""
        order = np.argsort(values, kind="stable")
        packed, pair_rows = _pack_column(n, rows, values)
        return cls(n, values[order], rows[order], packed if pair_rows is None else None)

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the arrays to the files; return where each lies."""
        column = {} if self.column is None else {"column": files.append("floats", self.column)}
        ordered = files.append("floats", self.sorted_values)
        return {"ordered": ordered, "rows": files.append("rows", self.rows), **column}

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map the arrays that `write` appended."""
        ordered, rows = files.read("floats", spans["ordered"]), files.read("rows", spans["rows"])
        column = files.read("floats", spans["column"]) if "column" in spans else None
        return cls(n, ordered, rows, column)

    def match_any(self, numbers: frozenset[float]) -> Mask:
        """Return the rows that hold at least one of the numbers."""
        mask = np.zeros(self.n, dtype=np.bool_)
        for rows in self._find_rows(numbers):
            mask[rows] = True
        return mask

    def match_all(self, numbers: frozenset[float]) -> Mask:
        """Return the rows that hold every one of the numbers."""
        return build_mask(intersect_rows(self._find_rows(numbers)), self.n)

    def match_range(self, bounds: Range) -> Mask:
        """Return the rows that hold a number within all the bounds."""
        if self.column is None:
            return build_mask(self.rows[self._find_slice(bounds)], self.n)
        hits = np.ones(self.n, dtype=np.bool_)  # NaN fails every comparison below
        tests = (
            (np.greater_equal, bounds.gte),
            (np.greater, bounds.gt),
            (np.less_equal, bounds.lte),
            (np.less, bounds.lt),
        )
        for compare, bound in tests:
            if bound is not None:
                hits &= compare(self.column, bound)
        return hits

    def _find_rows(self, numbers: frozenset[float]) -> list[Rows]:
        wanted = np.array(list(numbers))
        firsts = np.searchsorted(self.sorted_values, wanted, side="left")
        ends = np.searchsorted(self.sorted_values, wanted, side="right")
        return [self.rows[first:end] for first, end in zip(firsts, ends, strict=True)]

    def _find_slice(self, bounds: Range) -> slice:
        total = len(self.sorted_values)
        first = max(self._locate(bounds.gte, "left", 0), self._locate(bounds.gt, "right", 0))
        end = min(self._locate(bounds.lte, "right", total), self._locate(bounds.lt, "left", total))
        return slice(first, max(first, end))

    def _locate(self, bound: float | None, side: Literal["left", "right"], default: int) -> int:
        """Return the position before or after the numbers equal to a bound."""
        return default if bound is None else int(np.searchsorted(self.sorted_values, bound, side))


@dataclass(frozen=True, slots=True)
class GeoPoints:
    """The locations of a field as points on the unit sphere, by row or as pairs with their rows.

    Attributes:
        n: Number of rows of the catalogue.
        points: `(3, n) float64` by row, NaN where missing; or `(3, p) float64`.
        rows: `(p,) int32`, the row of each point, ascending; None if `points` are by row.
    """

    n: int
    points: Floats
    rows: Rows | None

    @classmethod
    def from_pairs(cls, n: int, rows: Rows, degrees: Floats) -> Self:
        """Take rows `(p,)` in ascending order and their `(p, 2)` latitudes and longitudes."""
        return cls(n, *_pack_column(n, rows, to_unit_vectors(degrees[:, 0], degrees[:, 1])))

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the arrays to the files; return where each lies."""
        axes = {axis: files.append("floats", self.points[i]) for i, axis in enumerate("xyz")}
        return {**axes, **_write_rows(files, self.rows)}

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map the arrays that `write` appended: the three axes, one after the other."""
        joined = Span(spans["x"].offset, 3 * spans["x"].length)
        return cls(n, files.read("floats", joined).reshape(3, -1), _read_rows(files, spans))

    def to_pairs(self) -> tuple[Rows, Floats]:
        """Return rows `(p,)` and their points `(p, 3)`."""
        if self.rows is not None:
            return self.rows, self.points.T
        rows = np.flatnonzero(~np.isnan(self.points[0]))
        return rows.astype(np.int32), self.points[:, rows].T

    def match_near(self, centre: GeoPoint, km: float) -> Mask:
        """Return the rows that hold a point at most `km` away."""
        hits = is_within(self.points, centre, km)
        return hits if self.rows is None else build_mask(self.rows[hits], self.n)


@dataclass(frozen=True, slots=True)
class Presence:
    """Which rows have the field.

    Attributes:
        n: Number of rows of the catalogue.
        bits: One bit for each row, packed; None if few rows have the field.
        rows: `int32` ascending, the rows that have it; empty if there are `bits`.
    """

    n: int
    bits: NDArray[np.uint8] | None
    rows: Rows

    @classmethod
    def from_mask(cls, mask: Mask) -> Self:
        """Store a mask `(n,) bool` in the smaller of the two forms."""
        rows = np.flatnonzero(mask).astype(np.int32)
        if rows.nbytes <= mask.size // 8:
            return cls(mask.size, None, rows)
        return cls(mask.size, np.packbits(mask), rows[:0])

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the array to the files; return where it lies."""
        if self.bits is None:
            return {"rows": files.append("rows", self.rows)}
        return {"bits": files.append("bits", self.bits)}

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map the array that `write` appended."""
        bits = files.read("bits", spans["bits"]) if "bits" in spans else None
        rows = _read_rows(files, spans)
        return cls(n, bits, np.empty(0, np.int32) if rows is None else rows)

    def to_mask(self) -> Mask:
        """Return the rows that have the field."""
        if self.bits is None:
            return build_mask(self.rows, self.n)
        return np.unpackbits(self.bits, count=self.n).view(np.bool_)


def _pack_column(n: int, rows: Rows, values: Floats) -> tuple[Floats, Rows | None]:
    """Return values by row and None, or as they are with their rows if that takes less memory.

    Args:
        n: Number of rows of the catalogue.
        rows: `(p,)`, ascending.
        values: `(…, p)`.

    Returns:
        `(…, n)` with NaN where there is no value, and None; or `(…, p)` and `rows` if a row occurs
        more than once or few rows occur.
    """
    is_single = bool(np.all(rows[1:] > rows[:-1]))
    if not is_single or len(rows) * _SPARSE_FACTOR < n:
        return values, rows
    column = np.full((*values.shape[:-1], n), np.nan)
    column[..., rows] = values
    return column, None


def _write_rows(files: FlatArraysWriter, rows: Rows | None) -> dict[str, Span]:
    return {} if rows is None else {"rows": files.append("rows", rows)}


def _read_rows(files: FlatArrays, spans: dict[str, Span]) -> Rows | None:
    return files.read("rows", spans["rows"]) if "rows" in spans else None
