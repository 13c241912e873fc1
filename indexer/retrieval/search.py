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

from indexer.ann import AllowedRows, NearRows, contain_rows, find_kth_largest, select_top
from indexer.arrays import Rows, Vectors
from indexer.query import Eligible, TermTotals
from indexer.retrieval.term_bands import TermBand, VectorSearcher, build_bands

DENSE_SHARE = 0.05  # of all rows; one product with all of more rows is cheaper than a search
_SPARE_ROWS = 6  # searched beyond `limit`, so that a tie with the last is noticed
_FIRST_TERM_ROWS = 64  # rows with terms scored before it is known which others can matter
_TIE_TOLERANCE = 2e-6  # scores closer than this may be ties, which ids decide


class VectorSource(VectorSearcher, Protocol):
    """Item vectors that can be searched and scored."""

    def find_near(
        self, vectors: Vectors, depth: int, allowed: AllowedRows, *, each: int = 0
    ) -> NearRows:
        """Return the `depth` allowed rows with the highest product with any vector, and more."""
        ...

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
    if term_totals.catalogue_sums is None:
        return _search_near(source, vectors, eligible, limit, term_totals)
    term_rows, _ = term_totals.select(eligible.rows)
    allowed = eligible.rows.to_mask()
    if len(term_rows) > DENSE_SHARE * len(allowed):
        return score_rows(source, vectors, np.flatnonzero(allowed), limit, term_totals)
    allowed[term_rows] = False
    bands = build_bands(term_totals.catalogue_sums, allowed, limit)
    return _search_bands(source, vectors, (bands, term_rows), limit, term_totals)


def _search_near(
    source: VectorSource, vectors: Vectors, eligible: Eligible, limit: int, term_totals: TermTotals
) -> Candidates:
    """Search deeper until no row that was not found can be among the best.

    A row that was not found has at most the product `bound`, plus its own term if it has one. So
    of the rows with terms only those are scored whose term could lift them over the worst score
    that is still wanted, as in MaxScore (Turtle & Flood 1995).
    """
    limit = min(limit, eligible.count)
    if limit < 1:
        return score_rows(source, vectors, np.empty(0, np.int64), 0, term_totals)
    depth = limit + _SPARE_ROWS
    while True:
        near = find_candidates(source, vectors, eligible, depth, term_totals)
        scores = near.products.max(axis=0) + term_totals.lookup(near.rows)
        tolerance = -_TIE_TOLERANCE if near.ties_follow else _TIE_TOLERANCE
        is_complete = near.bound == -np.inf or len(near.rows) >= eligible.count
        if is_complete or find_kth_largest(scores, limit) > near.bound + tolerance:
            return _select_best(source, near, scores, limit)
        depth *= 4


def find_candidates(
    source: VectorSource,
    vectors: Vectors,
    eligible: Eligible,
    depth: int,
    term_totals: TermTotals,
    *,
    each: int = 0,
) -> NearRows:
    """Return the eligible rows near any query vector, and those that their terms could lift up.

    A row without a term can be missing that would rank among the `depth` best because terms push
    others down; it has at most the product `bound` of the result.

    Args:
        source: The item vectors.
        vectors: `(q, d) float32`.
        eligible: What may be found.
        depth: How many rows are the best by product; every other row whose term lifts it over the
            `depth`-th best of the rows found is added.
        term_totals: Terms of single rows; those of the whole catalogue are not looked at.
        each: How many of the best by product with each vector must be among them.
    """
    near = source.find_near(vectors, min(depth, eligible.count), eligible.rows, each=each)
    terms = term_totals.select(eligible.rows)
    return _add_rows_with_terms(source, vectors, near, terms, min(depth, eligible.count))


def _add_rows_with_terms(
    source: VectorSource,
    vectors: Vectors,
    near: NearRows,
    terms: tuple[Rows, Vectors],
    limit: int,
) -> NearRows:
    """Add the rows whose terms could lift them among the `limit` best, the largest terms first."""
    missing, values = terms
    if near.bound == -np.inf or not len(missing):
        return near
    totals = near.products.max(axis=0) + _look_up(terms, near.rows)
    for size in (_FIRST_TERM_ROWS, len(missing)):
        threshold = find_kth_largest(totals, limit)
        may_matter = values >= threshold - near.bound - _TIE_TOLERANCE
        missing, values = missing[may_matter], values[may_matter]
        is_missing = ~contain_rows(near.rows, missing)
        missing, values = missing[is_missing], values[is_missing]
        if not len(missing):
            return near
        added = np.sort(missing[np.argsort(-values, kind="stable")[:size]])
        products = source.scores(vectors, added)
        totals = np.concatenate([totals, products.max(axis=0) + _look_up(terms, added)])
        near = near.add(added, products)
    return near


def _look_up(terms: tuple[Rows, Vectors], rows: Rows) -> Vectors:
    """Return the terms of rows, `(m,) float32`; 0 where there is none."""
    term_rows, values = terms
    positions = np.minimum(term_rows.searchsorted(rows), len(term_rows) - 1)
    return np.where(term_rows[positions] == rows, values[positions], np.float32(0))


def _select_best(source: VectorSource, near: NearRows, scores: Vectors, limit: int) -> Candidates:
    """Return the `limit` best rows, ties by id."""
    by_id = source.sort_by_id(near.rows)
    is_ordered = by_id is near.rows  # no live items: rows are in order of id
    positions = np.arange(len(by_id)) if is_ordered else near.rows.searchsorted(by_id)
    kept = select_top(np.arange(len(by_id)), scores[positions], limit)
    chosen = positions[kept.rows]
    winners = near.products[:, chosen].argmax(axis=0)
    return Candidates(near.rows[chosen], kept.scores, winners)


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
    rows = eligible.rows.list_rows()
    scores = source.scores(vectors, rows).max(axis=0, initial=-np.inf) + term_totals.lookup(rows)
    keep = np.round(scores.astype(np.float64), 6) >= min_score  # as rounded as the answer shows it
    allowed = np.zeros(eligible.rows.total, np.bool_)
    allowed[rows[keep]] = True
    excluded = {**eligible.excluded, "min_score": int(len(rows) - np.count_nonzero(keep))}
    return Eligible.from_mask(allowed, excluded)
