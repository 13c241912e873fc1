"""The products of candidates with interest clusters to the factors that balance them. Pure.

Each cluster is shown in proportion to its share of the profile, which is what calibrated
recommendations (Steck 2018) aim at. Here it is reached by scaling the query vectors of each
cluster, not by re-ranking: the list stays in order of score, and reasons stay exact.
"""

import numpy as np
from numpy.typing import NDArray

from indexer.ann import find_kth_largest
from indexer.arrays import Vectors
from indexer.query.interest_clusters import InterestClusters

CALIBRATION_RANKS = 10  # the first ranks, over which clusters are shown in proportion
_MIN_START, _MAX_START = 0.25, 4.0
_ROUNDS = 4  # factors decide which cluster a candidate belongs to, and that decides the factors
_TINY = 1e-9


def compute_calibration_factors(
    products: Vectors, shared_scores: Vectors, clusters: InterestClusters
) -> NDArray[np.float64]:
    """Return the factor of each cluster's query vectors, `(w,)`.

    If a cluster's share of the first ten ranks is r, its r-th best candidate must score what the
    r'-th best candidate of any other cluster does, r' being the ranks of that one. The largest
    cluster has factor 1, and all do if one has no candidate.

    Args:
        products: `(w, c)`, of c candidates with each cluster; a candidate belongs to the cluster
            with the largest product times factor.
        shared_scores: `(c,)`, the part of each candidate's score that no factor changes.
        clusters: The w clusters.
    """
    shares = clusters.shares
    if not products.size:
        return np.ones(len(shares))
    ranks = np.maximum(1, np.round(CALIBRATION_RANKS * shares).astype(int))
    largest = int(np.argmax(shares))
    # Texts of two languages, or a text and an item, reach different heights: each cluster is
    # measured by its own best.
    heights = np.maximum(products.max(axis=1), _TINY).astype(np.float64)
    starts = np.clip(heights[largest] / heights, _MIN_START, _MAX_START)
    lowest, highest = starts / clusters.factor_range, starts * clusters.factor_range
    factors: NDArray[np.float64] = starts.copy()
    for _ in range(_ROUNDS):
        own = (products * factors[:, None]).argmax(axis=0)
        if (np.bincount(own, minlength=len(shares)) == 0).any():
            return np.ones(len(shares))
        is_member = own == largest
        scores = products[largest, is_member] + shared_scores[is_member]
        target = find_kth_largest(scores, min(int(ranks[largest]), len(scores)))
        for cluster in np.flatnonzero(np.arange(len(shares)) != largest):
            is_member = own == cluster
            factor = _find_factor(
                products[cluster, is_member], shared_scores[is_member], target, int(ranks[cluster])
            )
            factors[cluster] = min(max(factor, lowest[cluster]), highest[cluster])
    return factors


def _find_factor(products: Vectors, shared_scores: Vectors, target: float, rank: int) -> float:
    """Return the factor at which the `rank`-th best candidate of a cluster scores `target`.

    A candidate reaches it with the factor `(target - shared) / product`, so the wanted one is the
    `rank`-th smallest of these.

    Args:
        products: `(c,) float32`, of the candidates with the cluster; the factor multiplies these.
        shared_scores: `(c,) float32`, added to them.
        target: The score to reach.
        rank: From 1; of fewer candidates the last.
    """
    needed = (target - shared_scores.astype(np.float64)) / np.maximum(products, _TINY)
    rank = min(rank, len(needed))
    return float(np.partition(needed, rank - 1)[rank - 1])
