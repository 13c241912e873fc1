"""A longer history to the user's interest clusters, and the factors that balance them. Pure.

Someone who likes jazz and gardening has two. Liked items are joined by average-linkage clustering
(UPGMA, Sokal & Michener 1958) on cosine similarity. The result counts only if at least two clusters
hold enough of the history; most histories have one.

Each cluster is then shown in proportion to its share of the history, which is what calibrated
recommendations (Steck 2018) aim at. Here it is reached by scaling the query vectors of each
cluster, not by re-ranking.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from indexer.ann import find_kth_largest
from indexer.arrays import Vectors
from indexer.query.inputs import InputColumns

CALIBRATION_RANKS = 10  # the first ranks, over which clusters are shown in proportion
MIN_LIKED = 8  # a history with fewer liked items is not clustered
_MAX_LIKED_ITEMS = 32  # only the latest are clustered; 64 take twice the time
_MIN_CLUSTER_SHARE, _MIN_CLUSTER_ITEMS = 0.15, 3
_MIN_LINKAGE_COSINE = 0.1  # groups with a lower mean cosine are not joined
_MIN_FACTOR, _MAX_FACTOR = 0.5, 2.0
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class InterestClusters:
    """The inputs and the share of each of w clusters.

    Attributes:
        members: `(w, m) bool`, inputs of each cluster; dislikes belong to every one.
        shares: `(w,) float64`, share of the liked items or of their weights; they sum to 1.
    """

    members: NDArray[np.bool_]
    shares: NDArray[np.float64]


def find_interest_clusters(
    columns: InputColumns, input_vectors: Vectors, *, by_weight: bool = False
) -> InterestClusters | None:
    """Return the interest clusters of a history; None if there are fewer than two.

    Args:
        columns: Of the m inputs, history in time order.
        input_vectors: `(m, d) float32`, unit meaning vectors.
        by_weight: Whether shares are those of the input weights instead of the number of items.
            For learned weights: an interest of the past then fades as fast as its items do.
    """
    items = columns.find_liked_items(_MAX_LIKED_ITEMS)
    if len(items) < MIN_LIKED:
        return None
    meaning = input_vectors[items]
    fewest = max(_MIN_CLUSTER_ITEMS, _MIN_CLUSTER_SHARE * len(items))
    groups = _cluster_by_average_linkage(meaning @ meaning.T)
    large = [group for group in groups if len(group) >= fewest]
    if len(large) < 2:
        return None
    centres = np.stack([meaning[group].mean(axis=0) for group in large])
    nearest = (input_vectors @ centres.T).argmax(axis=1)
    is_liked = columns.is_liked
    members = (nearest == np.arange(len(centres))[:, None]) & is_liked
    members |= columns.is_profile & ~is_liked
    item_weights = columns.weights[items] if by_weight else np.ones(len(items))
    cluster_weights = members[:, items] @ item_weights
    return InterestClusters(members, cluster_weights / cluster_weights.sum())


def compute_calibration_factors(
    products: Vectors, shared_scores: Vectors, shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the factor of each cluster's query vectors, `(w,)`, between 0.5 and 2.

    If a cluster's share of the first ten ranks is r, its r-th best candidate must score what the
    r'-th best candidate of any other cluster does, r' being the ranks of that one. The largest
    cluster has factor 1, and all do if one has no candidate.

    Args:
        products: `(w, c)`, of c candidates with each cluster; a candidate belongs to the cluster
            with the largest product.
        shared_scores: `(c,)`, the part of each candidate's score that no factor changes.
        shares: `(w,)`, of the clusters.
    """
    ranks = np.maximum(1, np.round(CALIBRATION_RANKS * shares).astype(int))
    own = products.argmax(axis=0)
    factors = np.ones(len(shares))
    if (np.bincount(own, minlength=len(shares)) == 0).any():
        return factors

    largest = int(np.argmax(shares))
    members = own == largest
    scores = products[largest, members] + shared_scores[members]
    target = find_kth_largest(scores, min(int(ranks[largest]), len(scores)))
    for cluster in range(len(shares)):
        if cluster != largest:
            members = own == cluster
            factors[cluster] = _find_factor(
                products[cluster, members], shared_scores[members], target, int(ranks[cluster])
            )
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
    factor = float(np.partition(needed, rank - 1)[rank - 1])
    return min(max(factor, _MIN_FACTOR), _MAX_FACTOR)


def _cluster_by_average_linkage(similarity: Vectors) -> list[list[int]]:
    """Return the positions of the items in each cluster, ascending, of n items.

    The two groups with the highest mean similarity are joined until no mean reaches
    `_MIN_LINKAGE_COSINE`.

    Args:
        similarity: `(n, n)`, cosines.
    """
    from scipy.cluster.hierarchy import average

    count = len(similarity)
    joins = average(1 - similarity[_list_pairs(count)].astype(np.float64))
    members = {number: [number] for number in range(count)}
    for number, (first, second, distance, _) in enumerate(joins.tolist(), count):
        if distance > 1 - _MIN_LINKAGE_COSINE:
            break  # joins come in order of distance
        members[number] = members.pop(int(first)) + members.pop(int(second))
    return [sorted(items) for items in members.values()]


@cache
def _list_pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of all pairs of n items, in the order that SciPy takes them."""
    first, second = np.triu_indices(count, 1)
    return first, second
