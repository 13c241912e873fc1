"""Candidate rows of several query vectors to those worth scoring exactly. Pure."""

from dataclasses import dataclass

import numpy as np

from indexer.arrays import Mask, Rows, Vectors, sort_distinct


@dataclass(frozen=True, slots=True)
class NearRows:
    """The rows near any of q query vectors, with exact scores.

    Attributes:
        rows: `(m,) int64`, ascending, distinct.
        products: `(q, m) float32`, exact inner products.
        bound: No other allowed row has a larger product with any of the vectors, as far as the
            index finds them; minus infinity: no other row is allowed.
    """

    rows: Rows
    products: Vectors
    bound: float


def select_distinct_best(
    scores: Vectors, rows: Rows, usable: Mask, limit: int, *, each: int = 0
) -> Rows:
    """Return the distinct rows of the `limit` highest scores, ascending, and more.

    Args:
        scores: `(q, c) float32`, perhaps inexact, of c candidates of each query vector, best first.
        rows: `(q, c) int64`; a row may be a candidate of several vectors.
        usable: `(q, c) bool`, candidates that count.
        limit: How many scores; rows with several of them are fewer.
        each: The best so many of each vector are returned in any case.
    """
    kept_rows, kept_scores = rows[usable], scores[usable]
    # Rows of the best scores; as a row may have several, at most `limit` of them are distinct.
    if len(kept_rows) > limit:
        chosen = kept_rows[np.argpartition(-kept_scores, limit - 1)[:limit]]
    else:
        chosen = kept_rows
    if each:
        chosen = np.concatenate([chosen, rows[usable & (usable.cumsum(axis=1) <= each)]])
    return sort_distinct(chosen)


def find_kth_largest(values: Vectors, k: int) -> float:
    """Return the k-th largest of m values; minus infinity if there are fewer."""
    if not 0 < k <= len(values):
        return -np.inf
    return float(np.partition(values, len(values) - k)[len(values) - k])
