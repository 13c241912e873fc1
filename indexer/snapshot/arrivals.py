"""Date fields and the first snapshot that held an item to the time at which the item arrived."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import SnapshotError
from indexer.metadata import Columns, FieldType, RowValueKind

ARRIVALS_FILE = "arrivals.npy"
_DATE_FIELDS = ("created_at", "published_at", "published", "release_date", "released")
_YEAR_FIELDS = ("year", "release_year")
_FIRST_YEAR, _LAST_YEAR = 1000, 2999
_EPOCH_YEAR = 1970

Times = NDArray[np.float64]  # (n,) Unix seconds, NaN where nothing is known


def read_arrival_dates(columns: Columns) -> Times:
    """Return the latest date of each item in the first date field that it has, `(n,)`.

    A number that is a year is no date.

    Args:
        columns: Of the items.
    """
    return _read_latest(columns, _DATE_FIELDS, _leave_years)


def read_arrival_years(columns: Columns) -> Times:
    """Return the first second of the latest year that each item names, `(n,)`.

    Args:
        columns: Of the items.
    """
    return _read_latest(columns, (*_YEAR_FIELDS, *_DATE_FIELDS), _convert_years)


def _read_latest(
    columns: Columns, names: Sequence[str], convert: Callable[[Times], Times]
) -> Times:
    """Return the latest time of each item in the first of some fields that it has, `(n,)`."""
    found = np.full(len(columns), np.nan)
    known = columns.schema.fields
    dated = (FieldType.DATE, FieldType.NUMBER, FieldType.MIXED)
    for name in names:
        if name in known and known[name].type in dated:
            numbers = columns.read_values(name, RowValueKind.NUMBERS)
            times = replace(numbers, values=convert(numbers.values)).find_largest(len(columns))
            found = np.where(np.isnan(found) & ~np.isneginf(times), times, found)
    return found


def read_arrivals(folder: Path, count: int) -> Times:
    """Return the arrivals that the build of a snapshot wrote; a snapshot of before has none.

    Args:
        folder: Of the snapshot.
        count: Number of its items.

    Raises:
        SnapshotError: If the file is of another number of items.
    """
    path = folder / ARRIVALS_FILE
    if not path.exists():
        return np.full(count, np.nan)
    arrivals: Times = np.load(path, allow_pickle=False)
    if arrivals.shape != (count,):
        raise SnapshotError(
            f"{path} has the shape {arrivals.shape}, expected ({count},); roll back with zhiyin "
            f"snapshots or rebuild"
        )
    return arrivals


def _are_years(numbers: Times) -> NDArray[np.bool_]:
    return (numbers >= _FIRST_YEAR) & (numbers <= _LAST_YEAR)


def _leave_years(seconds: Times) -> Times:
    """Return times, minus infinity for a number that is a year."""
    return np.where(_are_years(seconds), -np.inf, seconds)


def _convert_years(years: Times) -> Times:
    """Return the first second of each year, minus infinity for a number that is no year."""
    is_year = _are_years(years)
    whole = np.where(is_year, years, _EPOCH_YEAR).astype(np.int64) - _EPOCH_YEAR
    seconds = whole.astype("datetime64[Y]").astype("datetime64[s]").astype(np.float64)
    return np.where(is_year, seconds, -np.inf)
