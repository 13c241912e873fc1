"""What the rows of a catalogue hold in one field, as flat pairs: for caps, ages and distances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows
from indexer.metadata.item_matcher import PathValues
from indexer.metadata.postings import hash_word
from indexer.metadata.schema import FieldInfo, FieldType
from indexer.metadata.values import parse_instant, to_unit_vectors


class RowValueKind(StrEnum):
    """Which of a field's values are wanted, and as what."""

    KEYS = "keys"  # every value, as uint64: equal values have equal keys
    NUMBERS = "numbers"  # numbers, and dates as Unix seconds, as float64
    POINTS = "points"  # places, as (x, y, z) on the unit sphere


@dataclass(frozen=True, slots=True)
class RowValues:
    """Pairs of a row and a value; a row with a list has several, a row without the field none.

    Attributes:
        rows: `(z,) int64`.
        values: `(z,)`, or `(z, 3)` for points.
    """

    rows: Rows
    values: NDArray[Any]

    @classmethod
    def from_pairs(cls, rows: NDArray[Any], values: NDArray[Any]) -> Self:
        """Take pairs with row numbers of any width."""
        return cls(rows.astype(np.int64), values)

    @classmethod
    def concatenate(cls, parts: Sequence[Self], kind: RowValueKind) -> Self:
        """Put pairs together."""
        values = [part.values for part in parts] or [_make_empty_values(kind)]
        rows = [part.rows for part in parts] or [np.empty(0, np.int64)]
        return cls(np.concatenate(rows).astype(np.int64), np.concatenate(values))

    def select(self, kept: NDArray[np.bool_]) -> "RowValues":
        """Return the pairs that are kept, `(z,) bool`."""
        return RowValues(self.rows[kept], self.values[kept])


def compute_number_keys(numbers: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the keys by which equal numbers are known."""
    positive = numbers + 0.0  # -0.0 is 0.0
    return positive.astype(np.float64).view(np.uint64)


def collect_row_values(
    values_by_path: Sequence[tuple[int, Mapping[str, PathValues]]],
    info: FieldInfo,
    kind: RowValueKind,
) -> RowValues:
    """Return the pairs of single items, given with their rows, in a field."""
    rows: list[int] = []
    values: list[Any] = []
    for row, paths in values_by_path:
        if info.name in paths:
            found = _convert_values(paths[info.name], info, kind)
            rows += [row] * len(found)
            values += found
    row_values = (
        np.array(values, _make_empty_values(kind).dtype) if values else _make_empty_values(kind)
    )
    return RowValues(np.array(rows, np.int64), row_values)


def _convert_values(held: PathValues, info: FieldInfo, kind: RowValueKind) -> list[Any]:
    """A date counts as its instant only, as in a column."""
    if kind is RowValueKind.POINTS:
        return [to_unit_vectors(np.array(p.lat), np.array(p.lon)) for p in held.geo_points]
    is_date = info.type is FieldType.DATE
    instants = {parse_instant(text) for text in held.strings} if is_date else set()
    numbers = [*held.numbers, *(moment for moment in instants if moment is not None)]
    if kind is RowValueKind.NUMBERS:
        return numbers
    words = [*held.booleans, *(() if is_date else held.strings)]
    keys = compute_number_keys(np.array(numbers, np.float64)).tolist()
    return [*keys, *(hash_word(word).high for word in words)]


def _make_empty_values(kind: RowValueKind) -> NDArray[Any]:
    match kind:
        case RowValueKind.KEYS:
            return np.empty(0, np.uint64)
        case RowValueKind.NUMBERS:
            return np.empty(0, np.float64)
        case RowValueKind.POINTS:
            return np.empty((0, 3), np.float64)
