"""Request vectors to scored candidates that keep the promise: never fewer than min(k, eligible).

The score of an item is its best inner product with the request vectors plus additive terms. Rows
with an additive term are few and scored exactly; all others come from the index, so the result is
the true top of both together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.ann import TopRows, select_top
from indexer.arrays import Mask, Rows, Vectors
from indexer.query import Eligible, TermTotals
from indexer.retrieval.term_bands import TermBand, build_bands

DENSE_SHARE = 0.05


class VectorSource(Protocol):
    """Where item vectors are searched and scored."""

    def sort_by_id(self, rows: Rows) -> Rows:
        """Return distinct ascending rows in order of their items' ids: how ties are broken."""
        ...

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Return exact inner products `(q, m) float32`."""
        ...

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        """Find the allowed rows with the highest inner product for each vector."""
        ...


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows with their scores, best first, ties by id.

    Attributes:
        rows: `(m,) int64`, distinct.
        scores: `(m,) float32`, inner product plus additive terms.
        winners: `(m,) int64`, which request vector gave the inner product.
    """

    rows: Rows
    scores: Vectors
    winners: NDArray[np.int64]


def retrieve(
    source: VectorSource, vectors: Vectors, pool: Eligible, want: int, additive: TermTotals
) -> Candidates:
    """Return the `min(want, eligible)` best rows of the pool.

    Args:
        source: The item vectors.
        vectors: `(q, d) float32` request vectors; the best of them counts.
        pool: What is allowed.
        want: How many.
        additive: Terms added to the inner product.
    """
    special = additive.select_rows(pool.allowed)
    allowed = pool.allowed
    if len(special) > DENSE_SHARE * len(allowed):
        # So many named rows that one product with all is cheaper than a search beside them.
        return score_rows(source, vectors, np.flatnonzero(allowed), want, additive)
    if len(special):
        allowed = allowed.copy()
        allowed[special] = False
    if additive.catalogue_sums is not None:
        bands = build_bands(additive.catalogue_sums, allowed, want)
        return _search_bands(source, vectors, (bands, special), want, additive)
    found = source.find_nearest(vectors, want, allowed)
    rows = np.unique(np.concatenate([special, *(hits.rows for hits in found)]))
    return score_rows(source, vectors, rows, want, additive)


def _search_bands(
    source: VectorSource,
    vectors: Vectors,
    among: tuple[Sequence[TermBand], Rows],
    want: int,
    additive: TermTotals,
) -> Candidates:
    """Search bands and some special rows until no row that was not found can be among the best."""
    bands, special = among
    while True:
        parts = [special, *(band.search(source, vectors) for band in bands)]
        found = score_rows(source, vectors, np.unique(np.concatenate(parts)), want, additive)
        least = float(found.scores[-1]) if 0 < want <= len(found.rows) else -np.inf
        wider = [band for band in bands if band.may_hide(least)]
        if not wider:
            return found
        for band in wider:
            band.widen()


def score_rows(
    source: VectorSource, vectors: Vectors, rows: Rows, want: int, additive: TermTotals
) -> Candidates:
    """Score given rows exactly and keep the `want` best."""
    rows = source.sort_by_id(rows)
    products = source.scores(vectors, rows)
    winners = products.argmax(axis=0)
    scores = products.max(axis=0) + additive.lookup(rows)
    kept = select_top(np.arange(len(rows)), scores, want)
    return Candidates(rows[kept.rows], kept.scores, winners[kept.rows])


def apply_min_score(
    source: VectorSource, vectors: Vectors, pool: Eligible, min_score: float, additive: TermTotals
) -> Eligible:
    """Narrow the pool to rows scoring at least `min_score`, counting the others."""
    rows = np.flatnonzero(pool.allowed)
    scores = source.scores(vectors, rows).max(axis=0, initial=-np.inf) + additive.lookup(rows)
    keep = np.round(scores.astype(np.float64), 6) >= min_score  # the number the answer tells
    allowed = np.zeros_like(pool.allowed)
    allowed[rows[keep]] = True
    excluded = {**pool.excluded, "min_score": int(len(rows) - np.count_nonzero(keep))}
    return Eligible(allowed, excluded)
