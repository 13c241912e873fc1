"""A ranking to one page of it: what may still come, what has been, where the ranks continue."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from indexer.ann import Mask
from indexer.ann import Rows as RowNumbers
from indexer.metadata.filters import parse_filter
from indexer.metadata.predicates import Filter
from indexer.metadata.schema import Schema
from indexer.retrieval import Candidates, Pool


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a ranking to answer with.

    Attributes:
        offset: How many hits the earlier pages had; ranks continue after it.
        only: Choose among these ids; None: among everything the request allows.
        served: Ids of earlier pages, passed over without being counted as excluded.
        skip: Passes over this many of the best, where `served` is too long to send around. Right
            only within one snapshot.
        ahead: If at most this many ids are left after the page, `Answer.following` names them all;
            else it names none, since the next page can be ranked as cheaply as this one.
        settled: `only` is in the order of its ranks, which no score gave it.
    """

    offset: int = 0
    only: Sequence[str] | None = None
    served: Sequence[str] = ()
    skip: int = 0
    ahead: int = 0
    settled: bool = False


FIRST_PAGE = Page()


class Rows(Protocol):
    """Ids to dense rows 0..count-1."""

    @property
    def count(self) -> int: ...  # noqa: D102
    def rows(self, ids: Sequence[str]) -> dict[str, int]: ...  # noqa: D102


class Listing(Rows, Protocol):
    """What can be listed; `Index` is one."""

    @property
    def schema(self) -> Schema: ...  # noqa: D102
    def ids(self, rows: Sequence[int]) -> list[str]: ...  # noqa: D102
    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]: ...  # noqa: D102
    def in_id_order(self, rows: RowNumbers) -> RowNumbers: ...  # noqa: D102
    @property
    def deleted(self) -> Mask | None: ...  # noqa: D102
    def mask(self, condition: Filter) -> Mask: ...  # noqa: D102


def narrowed(catalogue: Rows, pool: Pool, page: Page) -> Pool:
    """Return the part of the pool that is left for this page and later ones."""
    allowed = pool.allowed
    if page.only is not None:
        allowed = allowed & _mask_of(catalogue, page.only)
    if page.served:
        allowed = allowed & ~_mask_of(catalogue, page.served)
    return Pool(allowed, pool.excluded)


def wanted(eligible: int, k: int, page: Page) -> int:
    """Return how many candidates to rank, out of `eligible`, for a page of `k`."""
    if eligible - page.skip - k <= page.ahead:
        return eligible
    return page.skip + k


def after_skipped(found: Candidates, page: Page) -> Candidates:
    """Drop the ranks that earlier pages had."""
    kept = slice(page.skip, None)
    return replace(
        found, rows=found.rows[kept], scores=found.scores[kept], winners=found.winners[kept]
    )


def list_items(
    catalogue: Listing, *, after: str | None, limit: int, condition: Any
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
    rows = catalogue.in_id_order(np.arange(catalogue.count))
    rows = rows[0 if after is None else _first_after(catalogue, rows, after) :]
    if catalogue.deleted is not None:
        rows = rows[~catalogue.deleted[rows]]
    if condition is not None:
        rows = rows[catalogue.mask(parse_filter(condition, catalogue.schema))[rows]]
    return catalogue.items(rows[:limit].tolist()), len(rows)


def _first_after(catalogue: Listing, rows: RowNumbers, item_id: str) -> int:
    """The rows are in order of id, so an id that is gone still has its place."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if catalogue.ids([int(rows[middle])])[0] <= item_id:
            low = middle + 1
        else:
            high = middle
    return low


def _mask_of(catalogue: Rows, ids: Sequence[str]) -> Mask:
    mask = np.zeros(catalogue.count, np.bool_)
    mask[np.fromiter(catalogue.rows(ids).values(), np.int64)] = True
    return mask
