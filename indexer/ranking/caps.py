"""Ranked rows and caps ("at most n items per brand") to the rows that are kept.

The result is that of a walk down the whole ranking that drops each item one of whose values is
used up by better items. Caps are applied by score alone, before diversity, pins and exploration
change the order of what is kept, so the number of dropped items is the same for every page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask, Rows
from indexer.errors import FilterError
from indexer.metadata import RowValueKind, RowValues
from indexer.query import Catalogue, Eligible
from indexer.request import Request, Scenario


@dataclass(frozen=True, slots=True)
class Cap:
    """How many items may share a value of one field.

    Attributes:
        row_values: Rows and the keys of their values; rows without a value are not capped.
        limit: At most so many items per value.
    """

    row_values: RowValues
    limit: int


@dataclass(frozen=True, slots=True)
class _ValueUses:
    """Which row uses which value, each pair once.

    Attributes:
        positions: `(z,) int64`, positions of rows in the ranking.
        values: `(z,) int64`, value numbers, distinct over all caps.
        limits: How often each value may be used, by value number.
    """

    positions: Rows
    values: NDArray[np.int64]
    limits: NDArray[np.int64]


def resolve_caps(catalogue: Catalogue, request: Request, scenario: Scenario) -> list[Cap]:
    """Return the caps of a request, or else those of its scenario for fields that exist.

    Raises:
        FilterError: If a request names a field that the catalogue does not have.
    """
    known = catalogue.schema.fields
    limits = request.max_per
    if limits is None:
        limits = {name: limit for name, limit in scenario.max_per.items() if name in known}
    for name in limits:
        if name not in known:
            nearest = catalogue.schema.find_nearest_name(name)
            hint = f"did you mean {nearest!r}?" if nearest else "the catalogue has no fields"
            raise FilterError(f"max_per has an unknown field {name[:100]!r}; {hint}")
    return [
        Cap(catalogue.row_values(name, RowValueKind.KEYS), limit) for name, limit in limits.items()
    ]


def find_contested_rows(eligible: Eligible, caps: Sequence[Cap], first: Rows) -> Rows:
    """Return the eligible rows that a cap may drop, ascending: only these need to be ranked.

    They have a value that more rows hold than may share it. Rows of `first` hold values too, but
    are not among the result: they come before all others anyway.
    """
    contenders = eligible.rows.to_mask()
    contenders[first] = True
    contested = np.zeros_like(contenders)
    for cap in caps:
        row_values = cap.row_values.select(contenders[cap.row_values.rows])
        _, value, count = np.unique(row_values.values, return_inverse=True, return_counts=True)
        contested[row_values.rows[count[value] > cap.limit]] = True
    contested[first] = False
    return np.flatnonzero(contested)


def apply_caps(eligible: Eligible, caps: Sequence[Cap], order: Rows) -> Eligible:
    """Drop the eligible rows that the caps do not keep, and count them.

    Args:
        eligible: What may be found.
        caps: Of several fields.
        order: `(m,)`, distinct rows, the best first: at least those of `find_contested_rows`. Rows
            that are not eligible use up values too.
    """
    dropped = order[~compute_kept_mask(order, caps)]
    return eligible.exclude("cap", eligible.rows.drop(dropped))


def compute_kept_mask(order: Rows, caps: Sequence[Cap]) -> Mask:
    """Return which of some rows the caps keep, `(m,) bool`.

    Args:
        order: `(m,)`, distinct rows, the best first.
        caps: Of several fields.
    """
    uses = _collect_uses(order, caps)
    if len(np.unique(uses.positions)) == len(uses.positions):
        return _keep_single_valued(len(order), uses)
    return _keep_multi_valued(len(order), uses)


def _collect_uses(order: Rows, caps: Sequence[Cap]) -> _ValueUses:
    by_row = np.argsort(order)
    ascending = order[by_row]
    positions, values, limits, value_count = [], [], [], 0
    for cap in caps if len(order) else ():
        near = np.minimum(np.searchsorted(ascending, cap.row_values.rows), len(order) - 1)
        row_values = cap.row_values.select(ascending[near] == cap.row_values.rows)
        keys, value = np.unique(row_values.values, return_inverse=True)
        pairs = np.stack([by_row[np.searchsorted(ascending, row_values.rows)], value + value_count])
        once = np.unique(pairs, axis=1)
        positions.append(once[0])
        values.append(once[1])
        limits.append(np.full(len(keys), cap.limit))
        value_count += len(keys)
    nothing = [np.empty(0, np.int64)]
    return _ValueUses(*(np.concatenate(parts or nothing) for parts in (positions, values, limits)))


def _keep_single_valued(count: int, uses: _ValueUses) -> Mask:
    """Rows of one value each: a row is kept if few enough better rows hold its value."""
    by_value = np.lexsort((uses.positions, uses.values))
    values = uses.values[by_value]
    turn = np.arange(len(values)) - np.searchsorted(values, values)
    kept = np.ones(count, np.bool_)
    kept[uses.positions[by_value]] = turn < uses.limits[values]
    return kept


def _keep_multi_valued(count: int, uses: _ValueUses) -> Mask:
    """Rows of several values: a row that is dropped does not use up its other values."""
    values_by_row: list[list[int]] = [[] for _ in range(count)]
    for position, value in zip(uses.positions.tolist(), uses.values.tolist(), strict=True):
        values_by_row[position].append(value)
    remaining = uses.limits.tolist()
    kept = np.ones(count, np.bool_)
    for position, own_values in enumerate(values_by_row):
        if any(remaining[value] < 1 for value in own_values):
            kept[position] = False
            continue
        for value in own_values:
            remaining[value] -= 1
    return kept
