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
        ties_follow: Whether other rows with the product `bound` have higher row numbers than those
            returned with it.
    """

    rows: Rows
    products: Vectors
    bound: float
    ties_follow: bool = False

    def add(self, rows: Rows, products: Vectors) -> "NearRows":
        """Return these rows and m others, with their `(q, m) float32` products."""
        together = np.concatenate([self.rows, rows])
        order = np.argsort(together, kind="stable")
        all_products = np.concatenate([self.products, products], axis=1)[:, order]
        return NearRows(together[order], all_products, self.bound, self.ties_follow)


def select_distinct_best(
    scores: Vectors, rows: Rows, usable: Mask, limit: int, *, each: int = 0
) -> Rows:
    """Return up to `limit` distinct rows with the highest of their scores, ascending, and more.

    Args:
        scores: `(q, c) float32`, perhaps inexact, of c candidates of each query vector, best first.
        rows: `(q, c) int64`; a row may be a candidate of several vectors.
        usable: `(q, c) bool`, candidates that count.
        limit: How many.
        each: The best so many of each vector are returned in any case.
    """
    # A table with a place for each row is a third of the time of a sort by row and score. Only the
    # places of candidates are ever written or read, so that its size, a catalogue's, costs nothing.
    near_rows, near_scores = rows[usable], scores[usable]
    best = np.empty(int(rows.max(initial=-1)) + 1, np.float32)
    best[near_rows] = -np.inf
    np.maximum.at(best, near_rows, near_scores)
    distinct = sort_distinct(near_rows[best[near_rows] == near_scores])
    if len(distinct) > limit:
        best_scores = best[distinct]
        distinct = distinct[best_scores >= find_kth_largest(best_scores, limit)]
    if each:
        own_best = rows[usable & (usable.cumsum(axis=1) <= each)]
        distinct = sort_distinct(np.concatenate([distinct, own_best]))
    return distinct


def find_kth_largest(values: Vectors, k: int) -> float:
    """Return the k-th largest of m values; minus infinity if there are fewer."""
    if not 0 < k <= len(values):
        return -np.inf
    return float(np.partition(values, len(values) - k)[len(values) - k])
