"""A ranking to one page of it: what earlier pages showed is left out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from indexer.arrays import Mask
from indexer.query import Page, Pool, Rows
from indexer.retrieval import Candidates


def narrowed(catalogue: Rows, pool: Pool, page: Page) -> Pool:
    """Return the part of the pool that is left for this page and later ones."""
    allowed = pool.allowed
    if page.only is not None:
        allowed = allowed & _mask_of(catalogue, page.only)
    if page.served:
        allowed = allowed & ~_mask_of(catalogue, page.served)
    return Pool(allowed, pool.excluded)


def _mask_of(catalogue: Rows, ids: Sequence[str]) -> Mask:
    mask = np.zeros(catalogue.count, np.bool_)
    mask[np.fromiter(catalogue.rows(ids).values(), np.int64)] = True
    return mask


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
