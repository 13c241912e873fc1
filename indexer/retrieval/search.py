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

from indexer.ann import Found, best
from indexer.arrays import Mask, Rows, Vectors
from indexer.query import Additive, Pool
from indexer.retrieval.term_bands import Band, bands_of

DENSE_SHARE = 0.05


class VectorSource(Protocol):
    """Where item vectors are searched and scored."""

    def in_id_order(self, rows: Rows) -> Rows:
        """Return distinct ascending rows in order of their items' ids: how ties are broken."""
        ...

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Return exact inner products `(q, m) float32`."""
        ...

    def nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[Found]:
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
    source: VectorSource, vectors: Vectors, pool: Pool, want: int, additive: Additive
) -> Candidates:
    """Return the `min(want, eligible)` best rows of the pool.

    Args:
        source: The item vectors.
        vectors: `(q, d) float32` request vectors; the best of them counts.
        pool: What is allowed.
        want: How many.
        additive: Terms added to the inner product.
    """
    special = additive.rows(pool.allowed)
    allowed = pool.allowed
    if len(special) > DENSE_SHARE * len(allowed):
        # So many named rows that one product with all is cheaper than a search beside them.
        return score_rows(source, vectors, np.flatnonzero(allowed), want, additive)
    if len(special):
        allowed = allowed.copy()
        allowed[special] = False
    if additive.everywhere is not None:
        bands = bands_of(additive.everywhere, allowed, want)
        return _widened(source, vectors, (bands, special), want, additive)
    found = source.nearest(vectors, want, allowed)
    rows = np.unique(np.concatenate([special, *(hits.rows for hits in found)]))
    return score_rows(source, vectors, rows, want, additive)


def _widened(
    source: VectorSource,
    vectors: Vectors,
    among: tuple[Sequence[Band], Rows],
    want: int,
    additive: Additive,
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
    source: VectorSource, vectors: Vectors, rows: Rows, want: int, additive: Additive
) -> Candidates:
    """Score given rows exactly and keep the `want` best."""
    rows = source.in_id_order(rows)
    products = source.scores(vectors, rows)
    winners = products.argmax(axis=0)
    scores = products.max(axis=0) + additive.of(rows)
    kept = best(np.arange(len(rows)), scores, want)
    return Candidates(rows[kept.rows], kept.scores, winners[kept.rows])


def at_least(
    source: VectorSource, vectors: Vectors, pool: Pool, min_score: float, additive: Additive
) -> Pool:
    """Narrow the pool to rows scoring at least `min_score`, counting the others."""
    rows = np.flatnonzero(pool.allowed)
    scores = source.scores(vectors, rows).max(axis=0, initial=-np.inf) + additive.of(rows)
    keep = np.round(scores.astype(np.float64), 6) >= min_score  # the number the answer tells
    allowed = np.zeros_like(pool.allowed)
    allowed[rows[keep]] = True
    excluded = {**pool.excluded, "min_score": int(len(rows) - np.count_nonzero(keep))}
    return Pool(allowed, excluded)
