"""A longer history to the user's interest clusters, and the factors that balance them. Pure.

Someone who likes jazz and gardening has two. Liked items are joined by average-linkage clustering
(UPGMA, Sokal & Michener 1958) on cosine similarity. The result counts only if at least two clusters
hold enough of the history; most histories have one.

Each cluster is then shown in proportion to its share of the history, which is what calibrated
recommendations (Steck 2018) aim at. Here it is reached by scaling the query vectors of each
cluster, not by re-ranking.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.query.inputs import QueryInput, Role, find_liked_items

CALIBRATION_RANKS = 10  # the first ranks, over which clusters are shown in proportion
MIN_LIKED = 8  # a history with fewer liked items is not clustered
_MAX_LIKED_ITEMS = 32  # only the latest are clustered; 64 take twice the time
_MIN_CLUSTER_SHARE, _MIN_CLUSTER_ITEMS = 0.15, 3
_MIN_LINKAGE_COSINE = 0.1  # groups with a lower mean cosine are not joined
_MIN_FACTOR, _MAX_FACTOR = 0.5, 2.0
_BISECTION_STEPS = 16


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
    inputs: Sequence[QueryInput], input_vectors: Vectors, *, by_weight: bool = False
) -> InterestClusters | None:
    """Return the interest clusters of a history; None if there are fewer than two.

    Args:
        inputs: The m inputs, history in time order.
        input_vectors: `(m, d) float32`, unit meaning vectors.
        by_weight: Whether shares are those of the input weights instead of the number of items.
            For learned weights: an interest of the past then fades as fast as its items do.
    """
    profile = [(p, i) for p, i in enumerate(inputs) if i.role is Role.PROFILE]
    liked = [position for position, query_input in profile if query_input.weight > 0]
    items = find_liked_items(inputs, _MAX_LIKED_ITEMS)
    if len(items) < MIN_LIKED:
        return None
    meaning = input_vectors[items]
    group = _cluster_by_average_linkage(meaning @ meaning.T)
    numbers, counts = np.unique(group, return_counts=True)
    large = (counts >= _MIN_CLUSTER_ITEMS) & (counts >= _MIN_CLUSTER_SHARE * len(items))
    if np.count_nonzero(large) < 2:
        return None
    centres = np.stack([meaning[group == number].mean(axis=0) for number in numbers[large]])
    members = np.zeros((len(centres), len(inputs)), np.bool_)
    nearest = (input_vectors @ centres.T).argmax(axis=1)
    members[nearest[liked], liked] = True
    disliked = [position for position, query_input in profile if not query_input.weight > 0]
    members[:, disliked] = True
    item_weights = [inputs[position].weight if by_weight else 1.0 for position in items]
    cluster_weights = members[:, items] @ np.array(item_weights)
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

    def compute_cutoff_score(cluster: int, factor: float) -> float:
        """Return the score of the candidate on the last rank that a cluster is to have."""
        members = own == cluster
        scores = np.sort(factor * products[cluster, members] + shared_scores[members])
        return float(scores[-min(int(ranks[cluster]), len(scores))])

    largest = int(np.argmax(shares))
    target = compute_cutoff_score(largest, 1.0)
    for cluster in range(len(shares)):
        if cluster != largest:
            factors[cluster] = _bisect_factor(target, partial(compute_cutoff_score, cluster))
    return factors


def _bisect_factor(target: float, compute_cutoff_score: Callable[[float], float]) -> float:
    """Return the factor at which a score that grows with it comes nearest to a target."""
    low, high = _MIN_FACTOR, _MAX_FACTOR
    for _ in range(_BISECTION_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if compute_cutoff_score(middle) < target else (low, middle)
    return (low + high) / 2


def _cluster_by_average_linkage(similarity: Vectors) -> NDArray[np.int64]:
    """Return the cluster of each of n items, `(n,)`; numbers are not consecutive.

    The two groups with the highest mean similarity are joined until no mean reaches
    `_MIN_LINKAGE_COSINE`.

    Args:
        similarity: `(n, n)`, cosines.
    """
    group = np.arange(len(similarity))
    sums, sizes = similarity.astype(np.float64), np.ones(len(similarity))
    gone = np.zeros(len(similarity), np.bool_)
    means = sums.copy()
    np.fill_diagonal(means, -np.inf)
    for _ in range(len(similarity) - 1):
        first, second = divmod(int(means.argmax()), len(means))
        if means[first, second] < _MIN_LINKAGE_COSINE:
            break
        group[group == second] = first
        sums[first] += sums[second]
        sums[:, first] += sums[:, second]
        sizes[first] += sizes[second]
        gone[second] = True
        # Only the means of the joined group change; computing all of them would cost milliseconds.
        joined = sums[first] / (sizes[first] * sizes)
        joined[gone] = joined[first] = -np.inf
        means[first] = means[:, first] = joined
        means[second] = means[:, second] = -np.inf
    return group
