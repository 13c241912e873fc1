"""The values of one field as flat pairs of row and value, for caps, ages and distances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows
from indexer.metadata.item_matcher import PathValues
from indexer.metadata.postings import hash_word
from indexer.metadata.schema import FieldInfo
from indexer.metadata.values import split_number, to_unit_vectors
from indexer.reading import parse_date_instant

_ODD_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # spreads what a number is more than its float


class RowValueKind(StrEnum):
    """Which values of a field to return, and in which form."""

    KEYS = "keys"  # strings, booleans and numbers as uint64: equal values have equal keys
    NUMBERS = "numbers"  # numbers, and dates as Unix seconds, as float64
    POINTS = "points"  # locations, as (x, y, z) on the unit sphere


@dataclass(frozen=True, slots=True)
class RowValues:
    """Pairs of a row and a value: several for a row with a list, none for one without the field.

    Attributes:
        rows: `(z,) int64`.
        values: `(z,)` uint64 or float64, or `(z, 3) float64` for points.
    """

    rows: Rows
    values: NDArray[Any]

    @classmethod
    def from_pairs(cls, rows: NDArray[Any], values: NDArray[Any]) -> Self:
        """Take rows of any integer type, `(z,)`, and their values."""
        return cls(rows.astype(np.int64), values)

    @classmethod
    def concatenate(cls, parts: Sequence[Self], kind: RowValueKind) -> Self:
        """Return all pairs of some parts; without parts, empty arrays of the kind's type."""
        values = [part.values for part in parts] or [_make_empty_values(kind)]
        rows = [part.rows for part in parts] or [np.empty(0, np.int64)]
        return cls(np.concatenate(rows).astype(np.int64), np.concatenate(values))

    def find_largest(self, count: int) -> NDArray[np.float64]:
        """Return the largest number of each row, `(count,)`; minus infinity without a value."""
        largest = np.full(count, -np.inf)
        np.maximum.at(largest, self.rows, self.values)
        return largest

    def select(self, kept: NDArray[np.bool_]) -> "RowValues":
        """Return the pairs that are kept, `(z,) bool`."""
        return RowValues(self.rows[kept], self.values[kept])


def compute_number_keys(
    numbers: NDArray[np.float64], remainders: NDArray[np.float64] | None = None
) -> NDArray[np.uint64]:
    """Return `(z,) uint64` keys that are equal for equal numbers.

    Args:
        numbers: `(z,)`, the nearest float of each.
        remainders: `(z,)`, what each is more than its float; None: nothing.
    """
    positive = numbers + 0.0  # -0.0 is 0.0
    keys: NDArray[np.uint64] = positive.astype(np.float64).view(np.uint64)
    if remainders is None:
        return keys
    return keys + (remainders.astype(np.int64).view(np.uint64) * _ODD_MULTIPLIER)


def collect_row_values(
    values_by_path: Sequence[tuple[int, Mapping[str, PathValues]]],
    info: FieldInfo,
    kind: RowValueKind,
) -> RowValues:
    """Return the pairs of a field from single items instead of columns.

    Args:
        values_by_path: Row and values by path of each item.
        info: The field.
        kind: Which of its values, and in which form.
    """
    rows: list[int] = []
    values: list[Any] = []
    for row, paths in values_by_path:
        if info.name in paths:
            item_values = _convert_values(paths[info.name], info, kind)
            rows += [row] * len(item_values)
            values += item_values
    row_values = (
        np.array(values, _make_empty_values(kind).dtype) if values else _make_empty_values(kind)
    )
    return RowValues(np.array(rows, np.int64), row_values)


def _convert_values(path_values: PathValues, info: FieldInfo, kind: RowValueKind) -> list[Any]:
    """Return the values of one item; strings of a date field only as instants, as in a column."""
    if kind is RowValueKind.POINTS:
        return [to_unit_vectors(np.array(p.lat), np.array(p.lon)) for p in path_values.geo_points]
    instants = {parse_date_instant(text) for text in path_values.strings} if info.is_date else set()
    numbers = [*path_values.numbers, *(seconds for seconds in instants if seconds is not None)]
    if kind is RowValueKind.NUMBERS:
        return numbers
    words = [*path_values.booleans, *(() if info.is_date else path_values.strings)]
    parts = np.array([split_number(number) for number in numbers], np.float64).reshape(-1, 2)
    keys = compute_number_keys(parts[:, 0].copy(), parts[:, 1]).tolist()
    return [*keys, *(hash_word(word).high for word in words)]


def _make_empty_values(kind: RowValueKind) -> NDArray[Any]:
    match kind:
        case RowValueKind.KEYS:
            return np.empty(0, np.uint64)
        case RowValueKind.NUMBERS:
            return np.empty(0, np.float64)
        case RowValueKind.POINTS:
            return np.empty((0, 3), np.float64)
