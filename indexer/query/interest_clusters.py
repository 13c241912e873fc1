"""A profile to the user's interest clusters, each with its share of the first ranks. Pure.

Someone who likes jazz and gardening has two. Liked items are joined by average-linkage clustering
(UPGMA, Sokal & Michener 1958) on cosine similarity, and each declared interest is a cluster of its
own unless it says nearly what another one says. The result counts only if there are at least two.

Of a longer history only groups of enough items are clusters. A history without such groups is split
only if its newest item has nothing to do with the rest, so that one event takes no more of a list
than its share.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.query.history_clusters import MIN_LIKED
from indexer.query.inputs import InputColumns

_MAX_LIKED_ITEMS = 32  # only the latest are clustered; 64 take twice the time
_MIN_CLUSTER_SHARE, _MIN_CLUSTER_ITEMS = 0.15, 3
_MIN_LINKAGE_COSINE = 0.1  # groups with a lower mean cosine are not joined
# The same for a short history if weights are learned: what was picked next then often came from
# the neighbourhood of the newest item, and only what opposes the rest is held apart without loss.
_MIN_LEARNED_COSINE = 0.0
_MIN_INTEREST_COSINE = 0.6  # of two declared interests that are one
_FACTOR_RANGE, _LEARNED_FACTOR_RANGE = 2.0, 1.4  # the latter where popularity was learned to count


@dataclass(frozen=True, slots=True)
class InterestClusters:
    """The inputs and the share of each of w clusters.

    Attributes:
        members: `(w, m) bool`, inputs of each cluster; dislikes belong to every one.
        shares: `(w,) float64`, share of the first ranks; they sum to 1.
        factor_range: How many times larger or smaller than what makes the best items of all
            clusters equal the factor of a cluster may be.
    """

    members: NDArray[np.bool_]
    shares: NDArray[np.float64]
    factor_range: float = _FACTOR_RANGE


def find_interest_clusters(
    columns: InputColumns, input_vectors: Vectors, *, has_learned_weights: bool = False
) -> InterestClusters | None:
    """Return the interest clusters of a profile; None if there are fewer than two.

    Declared interests and the history as a whole share by their weights. The clusters of a history
    share its part by their number of items; those of a longer one, if weights are learned, by the
    weights of the items, so that an interest of the past fades as fast as its items do.

    Args:
        columns: Of the m inputs, history in time order.
        input_vectors: `(m, d) float32`, unit meaning vectors.
        has_learned_weights: Whether a taste model weighed the history.
    """
    items = columns.find_liked_items(_MAX_LIKED_ITEMS)
    is_short = len(items) < MIN_LIKED
    of_history = _group_history(columns, input_vectors, has_learned_weights=has_learned_weights)
    of_interests = _group_interests(columns, input_vectors)
    groups = of_history + of_interests
    if len(groups) < 2:
        return None
    members = _assign_inputs(columns, input_vectors, groups, len(of_history))
    by_weight = has_learned_weights and not is_short
    popularity_leads = has_learned_weights and is_short and not of_interests
    return InterestClusters(
        members | (columns.is_profile & ~columns.is_liked),
        _compute_shares(columns, members, len(of_history), by_weight=by_weight),
        _LEARNED_FACTOR_RANGE if popularity_leads else _FACTOR_RANGE,
    )


def _group_history(
    columns: InputColumns, input_vectors: Vectors, *, has_learned_weights: bool
) -> list[Rows]:
    """Return the inputs of each cluster of the history; of texts alone there is one."""
    items = columns.find_liked_items(_MAX_LIKED_ITEMS)
    if not len(items):
        texts = np.flatnonzero(columns.is_liked & ~columns.is_interest)
        return [texts] if len(texts) else []
    if len(items) >= MIN_LIKED:
        groups = _group_long_history(items, input_vectors)
        if has_learned_weights or len(groups) > 1:
            return groups
    floor = _MIN_LEARNED_COSINE if has_learned_weights else _MIN_LINKAGE_COSINE
    return _hold_newest_apart(items, input_vectors, floor)


def _group_long_history(items: Rows, input_vectors: Vectors) -> list[Rows]:
    """Return the groups that hold enough of the history; one of all if fewer than two do."""
    groups = _join_nearest(items, input_vectors, _MIN_LINKAGE_COSINE)
    fewest = max(_MIN_CLUSTER_ITEMS, _MIN_CLUSTER_SHARE * len(items))
    large = [group for group in groups if len(group) >= fewest]
    return large if len(large) > 1 else [items]


def _hold_newest_apart(items: Rows, input_vectors: Vectors, floor: float) -> list[Rows]:
    """Return the group of the newest item and that of all other items, if there are others."""
    groups = _join_nearest(items, input_vectors, floor)
    newest = next(group for group in groups if items[-1] in group)
    older = np.setdiff1d(items, newest)
    return [older, newest] if len(older) else [items]


def _group_interests(columns: InputColumns, input_vectors: Vectors) -> list[Rows]:
    """Return the declared interests, those that say nearly the same together."""
    interests = np.flatnonzero(columns.is_interest & columns.is_liked)
    if not len(interests):
        return []
    return _join_nearest(interests, input_vectors, _MIN_INTEREST_COSINE)


def _assign_inputs(
    columns: InputColumns, input_vectors: Vectors, groups: list[Rows], of_history: int
) -> NDArray[np.bool_]:
    """Return the liked inputs of each of w clusters, `(w, m) bool`.

    Inputs of the history that are in no group, such as texts, join the nearest of the history.
    """
    members = np.zeros((len(groups), len(columns.weights)), np.bool_)
    if of_history:
        centres = np.stack([input_vectors[group].mean(axis=0) for group in groups[:of_history]])
        nearest = (input_vectors @ centres.T).argmax(axis=1)
        is_free = columns.is_liked & ~columns.is_interest
        is_free[np.concatenate(groups[:of_history])] = False
        members[:of_history] = (nearest == np.arange(of_history)[:, None]) & is_free
    for number, group in enumerate(groups):
        members[number, group] = True
    return members


def _compute_shares(
    columns: InputColumns, members: NDArray[np.bool_], of_history: int, *, by_weight: bool
) -> NDArray[np.float64]:
    """Return the share of each of w clusters, `(w,)`; the first `of_history` are the history's."""
    weights = members @ columns.weights
    if of_history and not by_weight:
        counts = members[:of_history] @ columns.is_item.astype(np.float64)
        if counts.any():
            weights[:of_history] = weights[:of_history].sum() * counts / counts.sum()
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _join_nearest(inputs: Rows, input_vectors: Vectors, floor: float) -> list[Rows]:
    """Return some inputs in groups by average-linkage clustering, each group ascending.

    The two groups with the highest mean cosine are joined until no mean reaches `floor`.
    """
    from scipy.cluster.hierarchy import average

    count = len(inputs)
    if count < 2:
        return [inputs]
    meaning = input_vectors[inputs]
    similarity = meaning @ meaning.T
    joins = average(1 - similarity[_list_pairs(count)].astype(np.float64))
    members = {number: [number] for number in range(count)}
    for number, (first, second, distance, _) in enumerate(joins.tolist(), count):
        if distance > 1 - floor:
            break  # joins come in order of distance
        members[number] = members.pop(int(first)) + members.pop(int(second))
    return [inputs[sorted(positions)] for positions in members.values()]


@cache
def _list_pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of all pairs of n items, in the order that SciPy takes them."""
    first, second = np.triu_indices(count, 1)
    return first, second
