"""A catalogue to its items in order of id, page by page."""

from typing import Any

import numpy as np

from indexer.arrays import Rows
from indexer.metadata import parse_filter
from indexer.query import Catalogue


def list_items(
    catalogue: Catalogue, *, after: str | None, limit: int, condition: Any
) -> tuple[list[dict[str, Any]], int]:
    """Return the next items in order of id, and how many are left including them.

    Args:
        catalogue: What is listed.
        after: The last id of the page before, which may be deleted since; None: from the start.
        limit: How many items.
        condition: A filter as a request has it; None: everything.

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


def _find_first_after(catalogue: Catalogue, rows: Rows, item_id: str) -> int:
    """The index of the first row with a larger id, by bisection: the rows are in order of id."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if catalogue.ids([int(rows[middle])])[0] <= item_id:
            low = middle + 1
        else:
            high = middle
    return low
