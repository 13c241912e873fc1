"""One field's values to arrays on disk, and back to row masks.

A field has up to four parts, whatever its type: words (`postings`), numbers or instants,
places, and where it is present. Masks are `(n,) bool`, fresh, one flag a row.
"""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask
from indexer.metadata.flat_arrays import FlatArrays, FlatArraysWriter, Span
from indexer.metadata.postings import Rows, build_mask, intersect_rows
from indexer.metadata.predicates import Range
from indexer.metadata.values import GeoPoint, is_within, to_unit_vectors

Floats: TypeAlias = NDArray[np.float64]

_SPARSE_FACTOR = 4  # a field that fewer than 1 row in 4 has is kept as pairs, not as a full column


@dataclass(frozen=True, slots=True)
class Numbers:
    """Every number in ascending order with its row, and a full column unless that is a waste.

    Attributes:
        n: Number of rows of the catalogue.
        sorted_values: `(p,) float64`, ascending.
        rows: `(p,) int32`, the row of each; ascending among equal numbers.
        column: `(n,) float64`, NaN where missing; None for lists and for fields that few rows
            have. It answers wide intervals without a scattered write per row.
    """

    n: int
    sorted_values: Floats
    rows: Rows
    column: Floats | None

    @classmethod
    def from_pairs(cls, n: int, rows: Rows, values: Floats) -> Self:
        """Arrange `(row, number)` pairs in ascending order of rows."""
        order = np.argsort(values, kind="stable")
        packed, pair_rows = _pack_column(n, rows, values)
        return cls(n, values[order], rows[order], packed if pair_rows is None else None)

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the arrays and return their places."""
        column = {} if self.column is None else {"column": files.append("floats", self.column)}
        ordered = files.append("floats", self.sorted_values)
        return {"ordered": ordered, "rows": files.append("rows", self.rows), **column}

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map what `write` wrote."""
        ordered, rows = files.read("floats", spans["ordered"]), files.read("rows", spans["rows"])
        column = files.read("floats", spans["column"]) if "column" in spans else None
        return cls(n, ordered, rows, column)

    def match_any(self, numbers: frozenset[float]) -> Mask:
        """Rows that hold one of the numbers."""
        mask = np.zeros(self.n, dtype=np.bool_)
        for rows in self._find_rows(numbers):
            mask[rows] = True
        return mask

    def match_all(self, numbers: frozenset[float]) -> Mask:
        """Rows that hold each of the numbers."""
        return build_mask(intersect_rows(self._find_rows(numbers)), self.n)

    def match_range(self, bounds: Range) -> Mask:
        """Rows that hold a number within all the bounds."""
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
        first, end = 0, len(self.sorted_values)
        if bounds.gte is not None:
            first = max(first, int(np.searchsorted(self.sorted_values, bounds.gte, side="left")))
        if bounds.gt is not None:
            first = max(first, int(np.searchsorted(self.sorted_values, bounds.gt, side="right")))
        if bounds.lte is not None:
            end = min(end, int(np.searchsorted(self.sorted_values, bounds.lte, side="right")))
        if bounds.lt is not None:
            end = min(end, int(np.searchsorted(self.sorted_values, bounds.lt, side="left")))
        return slice(first, max(first, end))


@dataclass(frozen=True, slots=True)
class GeoPoints:
    """Points on the unit sphere, as a full column or as pairs.

    Attributes:
        n: Number of rows of the catalogue.
        points: `(3, n)` or `(3, p) float64`; NaN where missing.
        rows: `(p,) int32` ascending; None for a full column.
    """

    n: int
    points: Floats
    rows: Rows | None

    @classmethod
    def from_pairs(cls, n: int, rows: Rows, degrees: Floats) -> Self:
        """Choose the form for rows in ascending order and their `(p, 2)` latitude, longitude."""
        return cls(n, *_pack_column(n, rows, to_unit_vectors(degrees[:, 0], degrees[:, 1])))

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the arrays and return their places."""
        axes = {axis: files.append("floats", self.points[i]) for i, axis in enumerate("xyz")}
        return {**axes, **_write_rows(files, self.rows)}

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map what `write` wrote: the three axes lie one after the other."""
        joined = Span(spans["x"].offset, 3 * spans["x"].length)
        return cls(n, files.read("floats", joined).reshape(3, -1), _read_rows(files, spans))

    def to_pairs(self) -> tuple[Rows, Floats]:
        """Rows and their points, `(p,)` and `(p, 3)`."""
        if self.rows is not None:
            return self.rows, self.points.T
        rows = np.flatnonzero(~np.isnan(self.points[0]))
        return rows.astype(np.int32), self.points[:, rows].T

    def match_near(self, centre: GeoPoint, km: float) -> Mask:
        """Rows that hold a place at most `km` away."""
        hits = is_within(self.points, centre, km)
        return hits if self.rows is None else build_mask(self.rows[hits], self.n)


@dataclass(frozen=True, slots=True)
class Presence:
    """Which rows have the field: as packed bits, or as rows if they are few."""

    n: int
    bits: NDArray[np.uint8] | None
    rows: Rows

    @classmethod
    def from_mask(cls, mask: Mask) -> Self:
        """Choose the smaller form."""
        rows = np.flatnonzero(mask).astype(np.int32)
        if rows.nbytes <= mask.size // 8:
            return cls(mask.size, None, rows)
        return cls(mask.size, np.packbits(mask), rows[:0])

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the array and return its place."""
        if self.bits is None:
            return {"rows": files.append("rows", self.rows)}
        return {"bits": files.append("bits", self.bits)}

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map what `write` wrote."""
        bits = files.read("bits", spans["bits"]) if "bits" in spans else None
        rows = _read_rows(files, spans)
        return cls(n, bits, np.empty(0, np.int32) if rows is None else rows)

    def to_mask(self) -> Mask:
        """Rows that have the field."""
        if self.bits is None:
            return build_mask(self.rows, self.n)
        return np.unpackbits(self.bits, count=self.n).view(np.bool_)


def _pack_column(n: int, rows: Rows, values: Floats) -> tuple[Floats, Rows | None]:
    """The last axis of `values` follows the rows; it becomes `n` long if that is no waste."""
    one_each = bool(np.all(rows[1:] > rows[:-1]))
    if not one_each or len(rows) * _SPARSE_FACTOR < n:
        return values, rows
    column = np.full((*values.shape[:-1], n), np.nan)
    column[..., rows] = values
    return column, None


def _write_rows(files: FlatArraysWriter, rows: Rows | None) -> dict[str, Span]:
    return {} if rows is None else {"rows": files.append("rows", rows)}


def _read_rows(files: FlatArrays, spans: dict[str, Span]) -> Rows | None:
    return files.read("rows", spans["rows"]) if "rows" in spans else None
