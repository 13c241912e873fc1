"""A longer history to a few clusters of liked items, each to be looked for by itself. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.query.inputs import QueryInput, Role

MIN_LIKED = 8  # a shorter history is not taken apart
_MAX_LIKED_ITEMS = 64  # liked items that are looked at
_MIN_CLUSTER_ITEMS = 3
_ITERATIONS = 6
_TINY = 1e-9


def cluster_history(
    inputs: Sequence[QueryInput], input_vectors: Vectors, max_clusters: int
) -> list[NDArray[np.float32]]:
    """Return which inputs belong to which cluster, each `(m,)` of zeros and ones.

    Spherical k-means that starts from the latest item and then from those least like the starts so
    far, so that the same history always falls apart the same way.

    Args:
        inputs: The m inputs, history in time order.
        input_vectors: `(m, d) float32`, unit meaning vectors.
        max_clusters: How many clusters at most.
    """
    liked = [
        position
        for position, query_input in enumerate(inputs)
        if query_input.role is Role.PROFILE
        and query_input.weight > 0
        and query_input.item_id is not None
    ][-_MAX_LIKED_ITEMS:]
    if not max_clusters or len(liked) < MIN_LIKED:
        return []
    group = _assign_clusters(input_vectors[liked], max_clusters)
    clusters = []
    for number in range(max_clusters):
        positions = np.array(liked)[group == number]
        if len(positions) >= _MIN_CLUSTER_ITEMS:
            membership = np.zeros(len(inputs), np.float32)
            membership[positions] = 1.0
            clusters.append(membership)
    return clusters


def _assign_clusters(items: Vectors, max_clusters: int) -> NDArray[np.int64]:
    """The cluster of each of n unit vectors, `(n,)`."""
    starts = [len(items) - 1]
    for _ in range(min(max_clusters, len(items)) - 1):
        starts.append(int((items @ items[starts].T).max(axis=1).argmin()))
    centres = items[starts]
    group: NDArray[np.int64] = (items @ centres.T).argmax(axis=1)
    for _ in range(_ITERATIONS):
        sums = np.stack(
            [items[group == n].sum(axis=0) if (group == n).any() else c
             for n, c in enumerate(centres)]
        )  # fmt: skip
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _TINY)
        group = (items @ centres.T).argmax(axis=1)
    return group
