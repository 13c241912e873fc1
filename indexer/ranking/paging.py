"""A ranking to one page of it: what earlier pages showed is left out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from indexer.arrays import Mask
from indexer.query import Eligible, Page, RowLookup
from indexer.retrieval import Candidates


def restrict_to_page(catalogue: RowLookup, eligible: Eligible, page: Page) -> Eligible:
    """Return the part of the pool that is left for this page and later ones."""
    allowed = eligible.allowed
    if page.only_ids is not None:
        allowed = allowed & _build_mask(catalogue, page.only_ids)
    if page.served_ids:
        allowed = allowed & ~_build_mask(catalogue, page.served_ids)
    return Eligible(allowed, eligible.excluded)


def _build_mask(catalogue: RowLookup, ids: Sequence[str]) -> Mask:
    mask = np.zeros(catalogue.count, np.bool_)
    mask[np.fromiter(catalogue.rows(ids).values(), np.int64)] = True
    return mask


def compute_rank_depth(eligible: int, k: int, page: Page) -> int:
    """Return how many candidates to rank, out of `eligible`, for a page of `k`."""
    if eligible - page.skip - k <= page.lookahead:
        return eligible
    return page.skip + k


def drop_skipped(candidates: Candidates, page: Page) -> Candidates:
    """Drop the ranks that earlier pages had."""
    kept = slice(page.skip, None)
    return replace(
        candidates,
        rows=candidates.rows[kept],
        scores=candidates.scores[kept],
        winners=candidates.winners[kept],
    )
