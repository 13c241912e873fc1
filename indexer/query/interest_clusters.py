"""A longer history to the worlds it comes from: someone who loves jazz and gardening has two.

Pure. Liked items are joined, the most alike first, while groups are alike on average; what is left
are worlds if each holds enough of the history and they have little in common. Most histories are
of one world.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.query.inputs import QueryInput, Role

MIN_LIKED = 8  # a shorter history is of one world
_MAX_LIKED_ITEMS = 32  # liked items that are looked at; of 64 it takes twice the time
_MIN_CLUSTER_SHARE, _MIN_CLUSTER_ITEMS = 0.15, 3
_MIN_LINKAGE_COSINE = 0.1  # mean cosine above which two groups are one world
CALIBRATION_RANKS = 10  # ranks over which worlds are shown in proportion
_MIN_FACTOR, _MAX_FACTOR = 0.5, 2.0  # by which a world is scaled
_BISECTION_STEPS = 16


@dataclass(frozen=True, slots=True)
class InterestClusters:
    """Which inputs belong to which world.

    Attributes:
        members: `(w, m) bool`: inputs of each world; dislikes belong to every one.
        shares: `(w,)`, of the liked items, or of their weights; they sum to 1.
    """

    members: NDArray[np.bool_]
    shares: NDArray[np.float64]


def find_interest_clusters(
    inputs: Sequence[QueryInput], input_vectors: Vectors, *, by_weight: bool = False
) -> InterestClusters | None:
    """Return the worlds of a history; None if there is but one.

    Args:
        inputs: The m inputs, history in time order.
        input_vectors: `(m, d) float32`, unit meaning vectors.
        by_weight: A world's share is that of the weights, which were learned, not of the items: a
            world left behind fades as fast as everything else.
    """
    liked = [p for p, s in enumerate(inputs) if s.role is Role.PROFILE and s.weight > 0]
    items = [position for position in liked if inputs[position].item_id is not None][
        -_MAX_LIKED_ITEMS:
    ]
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
    disliked = [p for p, s in enumerate(inputs) if s.role is Role.PROFILE and not s.weight > 0]
    members[:, disliked] = True
    counted = [inputs[position].weight if by_weight else 1.0 for position in items]
    interest_weights = members[:, items] @ np.array(counted)
    return InterestClusters(members, interest_weights / interest_weights.sum())


def compute_calibration_factors(
    products: Vectors, shared_scores: Vectors, shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by what each world's vectors are scaled to be shown in proportion, `(w,)`.

    If a world is to have n of the first ten ranks, its n-th best item must score what the n'-th
    best of every other does. The largest world keeps its scale.

    Args:
        products: `(w, c)`, of candidates with each world; one belongs to the world it fits best.
        shared_scores: `(c,)`, what each gains whatever the world.
        shares: `(w,)`, of the worlds.
    """
    quotas = np.maximum(1, np.round(CALIBRATION_RANKS * shares).astype(int))
    own = products.argmax(axis=0)
    factors = np.ones(len(shares))
    if (np.bincount(own, minlength=len(shares)) == 0).any():
        return factors

    def edge(interest: int, factor: float) -> float:
        scores = np.sort(
            factor * products[interest, own == interest] + shared_scores[own == interest]
        )
        return float(scores[-min(int(quotas[interest]), len(scores))])

    largest = int(np.argmax(shares))
    target = edge(largest, 1.0)
    for world in range(len(shares)):
        if world != largest:
            factors[world] = _bisect_factor(target, partial(edge, world))
    return factors


def _bisect_factor(target: float, compute_cutoff_score: Callable[[float], float]) -> float:
    """The factor at which an edge, which grows with it, comes nearest to a target."""
    low, high = _MIN_FACTOR, _MAX_FACTOR
    for _ in range(_BISECTION_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if compute_cutoff_score(middle) < target else (low, middle)
    return (low + high) / 2


def _cluster_by_average_linkage(alike: Vectors) -> NDArray[np.int64]:
    """Join the two groups most alike on average until none are alike enough, `(n,)` numbers."""
    group = np.arange(len(alike))
    sums, sizes = alike.astype(np.float64), np.ones(len(alike))
    gone = np.zeros(len(alike), np.bool_)
    means = sums.copy()
    np.fill_diagonal(means, -np.inf)
    for _ in range(len(alike) - 1):
        first, second = divmod(int(means.argmax()), len(means))
        if means[first, second] < _MIN_LINKAGE_COSINE:
            break
        group[group == second] = first
        sums[first] += sums[second]
        sums[:, first] += sums[:, second]
        sizes[first] += sizes[second]
        gone[second] = True
        # Only the joined group's means have changed; all of them anew would cost milliseconds.
        joined = sums[first] / (sizes[first] * sizes)
        joined[gone] = joined[first] = -np.inf
        means[first] = means[:, first] = joined
        means[second] = means[:, second] = -np.inf
    return group
