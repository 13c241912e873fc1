"""A ranking to the part of it that one page needs: without what earlier pages showed."""

from dataclasses import replace

import numpy as np

from indexer.query import Catalogue, Eligible, Page, find_rows
from indexer.retrieval import Candidates


def restrict_to_page(catalogue: Catalogue, eligible: Eligible, page: Page) -> Eligible:
    """Return the eligible rows that are left for this page and later ones; counts stay."""
    rows = eligible.rows
    if page.only_ids is not None:
        only = np.zeros(catalogue.count, np.bool_)
        only[find_rows(catalogue, page.only_ids)] = True
        rows = rows.intersect(only)
    if page.served_ids:
        rows = rows.drop(find_rows(catalogue, page.served_ids))
    return Eligible(rows, eligible.excluded)


def compute_rank_depth(eligible_count: int, k: int, page: Page) -> int:
    """Return how many candidates to rank for a page of `k`.

    That is up to the end of the page, or all of them if so few follow it that the page names them.
    """
    if eligible_count - page.skip - k <= page.lookahead:
        return eligible_count
    return page.skip + k


def drop_skipped(candidates: Candidates, page: Page) -> Candidates:
    """Drop the first `page.skip` candidates, which earlier pages showed."""
    kept = slice(page.skip, None)
    return replace(
        candidates,
        rows=candidates.rows[kept],
        scores=candidates.scores[kept],
        winners=candidates.winners[kept],
    )
