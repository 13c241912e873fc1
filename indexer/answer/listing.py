"""The catalogue in order of id, page by page."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from indexer.arrays import Mask
from indexer.arrays import Rows as RowNumbers
from indexer.metadata import Filter, Schema, parse_filter
from indexer.query import RowLookup


class ListableCatalogue(RowLookup, Protocol):
    """What can be listed; `Index` is one."""

    @property
    def schema(self) -> Schema: ...  # noqa: D102
    def ids(self, rows: Sequence[int]) -> list[str]: ...  # noqa: D102
    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]: ...  # noqa: D102
    def sort_by_id(self, rows: RowNumbers) -> RowNumbers: ...  # noqa: D102
    @property
    def deleted(self) -> Mask | None: ...  # noqa: D102
    def mask(self, condition: Filter) -> Mask: ...  # noqa: D102


def list_items(
    catalogue: ListableCatalogue, *, after: str | None, limit: int, condition: Any
) -> tuple[list[dict[str, Any]], int]:
    """Return the next items in order of id, and how many there are from here on.

    Args:
        catalogue: What is listed.
        after: The last id that was listed, whether or not it is still there; None: from the start.
        limit: How many.
        condition: A filter; None: everything.

    Raises:
        FilterError: If the filter does not fit the catalogue.
    """
    rows = catalogue.sort_by_id(np.arange(catalogue.count))
    rows = rows[0 if after is None else _find_first_after(catalogue, rows, after) :]
    if catalogue.deleted is not None:
        rows = rows[~catalogue.deleted[rows]]
    if condition is not None:
        rows = rows[catalogue.mask(parse_filter(condition, catalogue.schema))[rows]]
    return catalogue.items(rows[:limit].tolist()), len(rows)


def _find_first_after(catalogue: ListableCatalogue, rows: RowNumbers, item_id: str) -> int:
    """The rows are in order of id, so an id that is gone still has its place."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if catalogue.ids([int(rows[middle])])[0] <= item_id:
            low = middle + 1
        else:
            high = middle
    return low
