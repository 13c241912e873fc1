"""At most so many items of a list may share a value: rows in order of merit to those kept. Pure.

Whoever walks down the whole ranking and passes over each item one of whose values is used up by
better items keeps exactly these rows. It is decided by merit alone, before pins, diversity and
exploration arrange the rows that are kept, so the number kept out is the same for every page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
        cells: Rows and the keys of their values; rows without a value are not capped.
        limit: The number.
    """

    cells: RowValues
    limit: int


@dataclass(frozen=True, slots=True)
class _ValueUses:
    """Which row uses which value, each pair once.

    Attributes:
        positions: `(z,) int64`, places of rows in their order.
        values: `(z,) int64`, over all caps.
        limits: How often each value may be used.
    """

    positions: Rows
    values: NDArray[np.int64]
    limits: NDArray[np.int64]


def apply_caps(
    eligible: Eligible, caps: Sequence[Cap], *, first: Rows, rank: Callable[[Rows], Rows]
) -> Eligible:
    """Narrow a pool to what the caps keep, counting the others.

    Args:
        eligible: What is allowed.
        caps: Of several fields.
        first: Rows that use values before all others, in order; they need not be allowed.
        rank: Orders some rows by merit, the best first.
    """
    contenders = eligible.allowed.copy()
    contenders[first] = True
    contested = _find_contested(contenders, caps)
    contested[first] = False
    order = np.concatenate([first, rank(np.flatnonzero(contested))])
    dropped = order[~compute_kept_mask(order, caps)]
    allowed = eligible.allowed.copy()
    allowed[dropped] = False
    excluded = {**eligible.excluded, "cap": eligible.count - int(np.count_nonzero(allowed))}
    return replace(eligible, allowed=allowed, excluded=excluded)


def compute_kept_mask(order: Rows, caps: Sequence[Cap]) -> Mask:
    """Return which of some rows the caps keep, `(m,) bool`.

    Args:
        order: `(m,)`, distinct, the best first.
        caps: Of several fields.
    """
    uses = _collect_uses(order, caps)
    if len(np.unique(uses.positions)) == len(uses.positions):
        return _keep_single_valued(len(order), uses)
    return _keep_multi_valued(len(order), uses)


def _find_contested(contenders: Mask, caps: Sequence[Cap]) -> Mask:
    """Rows with a value that more rows want than may have it."""
    contested = np.zeros_like(contenders)
    for cap in caps:
        cells = cap.cells.select(contenders[cap.cells.rows])
        _, value, count = np.unique(cells.values, return_inverse=True, return_counts=True)
        contested[cells.rows[count[value] > cap.limit]] = True
    return contested


def _collect_uses(order: Rows, caps: Sequence[Cap]) -> _ValueUses:
    by_row = np.argsort(order)
    ascending = order[by_row]
    positions, values, limits, value_count = [], [], [], 0
    for cap in caps if len(order) else ():
        near = np.minimum(np.searchsorted(ascending, cap.cells.rows), len(order) - 1)
        cells = cap.cells.select(ascending[near] == cap.cells.rows)
        keys, value = np.unique(cells.values, return_inverse=True)
        row_values = np.stack([by_row[np.searchsorted(ascending, cells.rows)], value + value_count])
        once = np.unique(row_values, axis=1)
        positions.append(once[0])
        values.append(once[1])
        limits.append(np.full(len(keys), cap.limit))
        value_count += len(keys)
    nothing = [np.empty(0, np.int64)]
    return _ValueUses(*(np.concatenate(parts or nothing) for parts in (positions, values, limits)))


def _keep_single_valued(count: int, uses: _ValueUses) -> Mask:
    """Each row uses one value, so its turn among those that want it decides."""
    by_value = np.lexsort((uses.positions, uses.values))
    values = uses.values[by_value]
    turn = np.arange(len(values)) - np.searchsorted(values, values)
    kept = np.ones(count, np.bool_)
    kept[uses.positions[by_value]] = turn < uses.limits[values]
    return kept


def _keep_multi_valued(count: int, uses: _ValueUses) -> Mask:
    """A row that is passed over for one value leaves its others to the next."""
    values_by_row: list[list[int]] = [[] for _ in range(count)]
    for position, value in zip(uses.positions.tolist(), uses.values.tolist(), strict=True):
        values_by_row[position].append(value)
    left = uses.limits.tolist()
    kept = np.ones(count, np.bool_)
    for position, row_values in enumerate(values_by_row):
        if any(left[value] < 1 for value in row_values):
            kept[position] = False
            continue
        for value in row_values:
            left[value] -= 1
    return kept


def resolve_caps(catalogue: Catalogue, request: Request, scenario: Scenario) -> list[Cap]:
    """Return the caps of a request, or those of its scenario that the catalogue has fields for.

    Raises:
        FilterError: If a request names a field that the catalogue does not have.
    """
    value_count = catalogue.schema.fields
    given = request.max_per
    if given is None:
        given = {name: most for name, most in scenario.max_per.items() if name in value_count}
    for name in given:
        if name not in value_count:
            nearest = catalogue.schema.find_nearest_name(name)
            hint = f"did you mean {nearest!r}?" if nearest else "the catalogue has no fields"
            raise FilterError(f"max_per has an unknown field {name[:100]!r}; {hint}")
    return [Cap(catalogue.cells(name, RowValueKind.KEYS), most) for name, most in given.items()]
