"""One field's points and rows to arrays on disk, and comparisons with them to masks of rows.

A field of any type has up to four parts: words (see `postings`), numbers or instants (see
`number_columns`), points, and the rows that have it. Masks are `(n,) bool`, one flag for each row,
and may be overwritten.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask
from indexer.metadata.flat_arrays import FlatArrays, FlatArraysWriter, Span
from indexer.metadata.packed_columns import Floats, pack_column
from indexer.metadata.postings import Rows, build_mask
from indexer.metadata.values import GeoPoint, is_within, to_unit_vectors


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
        return cls(n, *pack_column(n, rows, to_unit_vectors(degrees[:, 0], degrees[:, 1])))

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


def _write_rows(files: FlatArraysWriter, rows: Rows | None) -> dict[str, Span]:
    return {} if rows is None else {"rows": files.append("rows", rows)}


def _read_rows(files: FlatArrays, spans: dict[str, Span]) -> Rows | None:
    return files.read("rows", spans["rows"]) if "rows" in spans else None
