"""Candidate rows of several query vectors to those worth scoring exactly. Pure."""

from dataclasses import dataclass

import numpy as np

from indexer.arrays import Mask, Rows, Vectors, sort_distinct

_KEY_BITS = 32
_KEY_MASK = (1 << _KEY_BITS) - 1


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
    # One sort of integers, rows first and better scores before worse ones, takes a third of the
    # time of sorting by score and again by row.
    keys = (rows[usable] << _KEY_BITS) | _rank_descending(scores[usable])
    keys.sort()
    by_row = keys >> _KEY_BITS
    is_best = np.empty(len(keys), np.bool_)  # of its row
    is_best[:1] = True
    np.not_equal(by_row[1:], by_row[:-1], out=is_best[1:])
    distinct = by_row[is_best]
    if len(distinct) > limit:
        ranks = keys[is_best] & _KEY_MASK
        distinct = distinct[ranks <= np.partition(ranks, limit - 1)[limit - 1]]
    if each:
        own_best = rows[usable & (usable.cumsum(axis=1) <= each)]
        distinct = sort_distinct(np.concatenate([distinct, own_best]))
    return distinct


def _rank_descending(scores: Vectors) -> Rows:
    """Return numbers in [0, 2**32) that are smaller the larger a float32 score is, `(m,) int64`."""
    bits = scores.view(np.int32)
    # Of floats below zero the larger ones have the smaller bits.
    ascending = np.where(bits < 0, bits ^ np.int32(_KEY_MASK >> 1), bits).astype(np.int64)
    return (_KEY_MASK >> 1) - ascending


def find_kth_largest(values: Vectors, k: int) -> float:
    """Return the k-th largest of m values; minus infinity if there are fewer."""
    if not 0 < k <= len(values):
        return -np.inf
    return float(np.partition(values, len(values) - k)[len(values) - k])
