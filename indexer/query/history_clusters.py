"""A longer history to a few clusters of liked items, each of which gets a query vector. Pure.

Used by scenarios with `cluster_vectors` when the snapshot has no taste model and
`interest_clusters` finds no two interests.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.query.inputs import InputColumns, QueryInput

MIN_LIKED = 8  # a history with fewer liked items is not clustered
_MAX_LIKED_ITEMS = 64  # only the latest are clustered
_MIN_CLUSTER_ITEMS = 3
_ITERATIONS = 6
_TINY = 1e-9


def cluster_history(
    inputs: Sequence[QueryInput], input_vectors: Vectors, max_clusters: int
) -> list[NDArray[np.float32]]:
    """Return the inputs of each cluster, each `(m,)` of zeros and ones; empty if none is formed.

    Clusters of fewer than `_MIN_CLUSTER_ITEMS` items are dropped.

    Args:
        inputs: The m inputs, history in time order.
        input_vectors: `(m, d) float32`, unit meaning vectors.
        max_clusters: Largest number of clusters; 0: none.
    """
    if not max_clusters:
        return []
    liked = InputColumns.build(inputs).find_liked_items(_MAX_LIKED_ITEMS)
    if len(liked) < MIN_LIKED:
        return []
    group = _assign_clusters(input_vectors[liked], max_clusters)
    clusters = []
    for number in range(max_clusters):
        positions = liked[group == number]
        if len(positions) >= _MIN_CLUSTER_ITEMS:
            membership = np.zeros(len(inputs), np.float32)
            membership[positions] = 1.0
            clusters.append(membership)
    return clusters


def _assign_clusters(items: Vectors, max_clusters: int) -> NDArray[np.int64]:
    """Return the cluster of each of n unit vectors, `(n,)`, by spherical k-means.

    Spherical k-means is that of Dhillon & Modha (2001). The starts are the latest item and then,
    each time, the item least similar to the starts so far (farthest-first, Gonzalez 1985), so the
    same history always gives the same clusters.
    """
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
