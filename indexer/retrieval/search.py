"""Query vectors and eligible rows to `Candidates`: the `min(limit, eligible)` best rows.

The score of a row is its highest inner product with the query vectors, plus its additive terms.
Rows with a term of their own are few and scored exactly; all others are found by the vector index,
so the result is the true top of both together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.ann import select_top
from indexer.arrays import Rows, Vectors
from indexer.query import Eligible, TermTotals
from indexer.retrieval.term_bands import TermBand, VectorSearcher, build_bands

DENSE_SHARE = 0.05  # of all rows; one product with all of more rows is cheaper than a search


class VectorSource(VectorSearcher, Protocol):
    """Item vectors that can be searched and scored."""

    def sort_by_id(self, rows: Rows) -> Rows:
        """Return distinct ascending rows in order of their items' ids: how ties are broken."""
        ...

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Return exact inner products `(q, m) float32`."""
        ...


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows with their scores, best first, ties by id.

    Attributes:
        rows: `(m,) int64`, distinct.
        scores: `(m,) float32`, inner product plus additive terms.
        winners: `(m,) int64`, the query vector that gave the inner product.
    """

    rows: Rows
    scores: Vectors
    winners: NDArray[np.int64]


def retrieve(
    source: VectorSource, vectors: Vectors, eligible: Eligible, limit: int, term_totals: TermTotals
) -> Candidates:
    """Return the `min(limit, eligible.count)` best of the eligible rows.

    Args:
        source: The item vectors.
        vectors: `(q, d) float32` query vectors; a row counts with the best of them.
        eligible: What may be found.
        limit: How many.
        term_totals: Terms added to the inner product.
    """
    term_rows = term_totals.select_rows(eligible.allowed)
    allowed = eligible.allowed
    if len(term_rows) > DENSE_SHARE * len(allowed):
        return score_rows(source, vectors, np.flatnonzero(allowed), limit, term_totals)
    if len(term_rows):
        allowed = allowed.copy()
        allowed[term_rows] = False
    if term_totals.catalogue_sums is not None:
        bands = build_bands(term_totals.catalogue_sums, allowed, limit)
        return _search_bands(source, vectors, (bands, term_rows), limit, term_totals)
    results = source.find_nearest(vectors, limit, allowed)
    rows = np.unique(np.concatenate([term_rows, *(top.rows for top in results)]))
    return score_rows(source, vectors, rows, limit, term_totals)


def _search_bands(
    source: VectorSource,
    vectors: Vectors,
    bands_and_rows: tuple[Sequence[TermBand], Rows],
    limit: int,
    term_totals: TermTotals,
) -> Candidates:
    """Widen the bands until no row that was not found can be among the best.

    Args:
        source: The item vectors.
        vectors: `(q, d) float32` query vectors.
        bands_and_rows: Disjoint bands, and rows beside them that are always scored.
        limit: How many.
        term_totals: Terms added to the inner product.
    """
    bands, term_rows = bands_and_rows
    while True:
        parts = [term_rows, *(band.search(source, vectors) for band in bands)]
        results = score_rows(source, vectors, np.unique(np.concatenate(parts)), limit, term_totals)
        threshold = float(results.scores[-1]) if 0 < limit <= len(results.rows) else -np.inf
        unfinished = [band for band in bands if band.may_hide(threshold)]
        if not unfinished:
            return results
        for band in unfinished:
            band.widen()


def score_rows(
    source: VectorSource, vectors: Vectors, rows: Rows, limit: int, term_totals: TermTotals
) -> Candidates:
    """Score distinct ascending rows exactly and keep the `limit` best."""
    rows = source.sort_by_id(rows)
    products = source.scores(vectors, rows)
    winners = products.argmax(axis=0)
    scores = products.max(axis=0) + term_totals.lookup(rows)
    kept = select_top(np.arange(len(rows)), scores, limit)
    return Candidates(rows[kept.rows], kept.scores, winners[kept.rows])


def apply_min_score(
    source: VectorSource,
    vectors: Vectors,
    eligible: Eligible,
    min_score: float,
    term_totals: TermTotals,
) -> Eligible:
    """Keep the eligible rows that score at least `min_score`; count the others."""
    rows = np.flatnonzero(eligible.allowed)
    scores = source.scores(vectors, rows).max(axis=0, initial=-np.inf) + term_totals.lookup(rows)
    keep = np.round(scores.astype(np.float64), 6) >= min_score  # as rounded as the answer shows it
    allowed = np.zeros_like(eligible.allowed)
    allowed[rows[keep]] = True
    excluded = {**eligible.excluded, "min_score": int(len(rows) - np.count_nonzero(keep))}
    return Eligible(allowed, excluded)
