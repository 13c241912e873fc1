"""Dates of items, and what the parent snapshot already held, to `arrivals.npy`."""

from contextlib import closing

import numpy as np

from indexer.build.context import BuildContext
from indexer.errors import SnapshotError
from indexer.metadata import Columns, MetadataStore
from indexer.snapshot import (
    ARRIVALS_FILE,
    CatalogueStats,
    Times,
    read_arrival_dates,
    read_arrival_years,
    read_arrivals,
)

_MIN_SHARED = 0.5  # of the items that the parent must have held, else it is another catalogue
_LOOKUP_ROWS = 10_000


def store_arrivals(context: BuildContext, stats: CatalogueStats) -> Times:
    """Write when each item arrived, `(n,) float64` Unix seconds, NaN where that is unknown.

    It is the date of the item where the catalogue has one that is past. An item without such a date
    that the live snapshot does not hold arrives with this build. What was there before has the time
    of then, and of the first snapshot that of its year, if it has any.

    Args:
        context: Of the build; the columns of the items are written already.
        stats: Of the items.
    """
    columns = Columns.open(context.work / "columns")
    arrivals = read_arrival_dates(columns)
    now = context.started_at.timestamp()
    arrivals[arrivals > now] = np.nan  # it is there already, and would be new until then
    if np.isnan(arrivals).any():
        arrivals = _fill(arrivals, _find_first_seen(context, stats))
        years = read_arrival_years(columns)
        arrivals = _fill(arrivals, np.where(years > now, np.nan, years))
    np.save(context.work / ARRIVALS_FILE, arrivals)
    return arrivals


def _fill(times: Times, others: Times) -> Times:
    """Return times with others where they are unknown, `(n,)`."""
    return np.where(np.isnan(times), others, times)


def _find_first_seen(context: BuildContext, stats: CatalogueStats) -> Times:
    """Return when each item was first part of a snapshot, `(n,)`, NaN where that is unknown."""
    unknown = np.full(len(stats.ids), np.nan)
    manifest = context.parent.manifest
    if manifest is None:
        return unknown
    try:
        before = read_arrivals(context.parent.folder, manifest.counts["items"])
        rows = _find_parent_rows(context, stats.ids)
    except (SnapshotError, OSError, ValueError) as error:
        context.note(f"when items were first seen is not known any more: {error}")
        return unknown
    is_known = rows >= 0
    if is_known.mean() < _MIN_SHARED:
        return unknown
    return np.where(is_known, before[np.maximum(rows, 0)], context.started_at.timestamp())


def _find_parent_rows(context: BuildContext, ids: list[str]) -> np.ndarray:
    """Return the row of each id in the parent snapshot, `(n,) int64`, -1 where it has none."""
    rows = np.full(len(ids), -1, np.int64)
    with closing(MetadataStore.open(context.parent.folder / "catalog.sqlite")) as store:
        for start in range(0, len(ids), _LOOKUP_ROWS):
            part = ids[start : start + _LOOKUP_ROWS]
            known = store.find_rows(part)
            rows[start : start + len(part)] = [known.get(item_id, -1) for item_id in part]
    return rows
