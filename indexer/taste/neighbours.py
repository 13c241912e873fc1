"""Events to item-item neighbours: the items that are liked soon after an item. Closed form, sparse.

A pair of items liked by one user counts more the nearer the two are in the user's sequence, more
forward than backward, and more if it is recent. This is item-kNN with damped popularity (Deshpande
& Karypis 2004, "Item-based top-N recommendation"), made asymmetric and aware of time; the decay
over the gap and the direction are those of sequential rules (Ludewig & Jannach 2018) and of SLIST
(Choi et al. 2021).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.events import Events
from indexer.taste.matrices import (
    Matrix,
    build_matrix_from_coordinates,
    build_matrix_from_rows,
    scale_matrix,
)

GAP_DECAY_EVENTS = 15.0  # number of events between two items at which their weight falls to 1/e
BACKWARD_WEIGHT = 0.5  # weight of a pair from the later item to the earlier one
POPULARITY_SHRINKAGE = 5.0  # events added to both popularities, so that rare pairs count little
TARGET_POWER = 0.6  # strengths are divided by the target's popularity to this power
SOURCE_POWER = 0.5  # and by the source's to this one
MAX_NEIGHBOURS = 200  # kept for each source item
_MAX_LAG = 50
_MAX_PAIRS = 40_000_000
_FLUSH_PAIRS = 6_000_000


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For each source item the items that follow it, strongest first.

    Attributes:
        starts: `(n + 1,) int64`; the neighbours of row `j` are at `starts[j]:starts[j + 1]`.
        rows: `(z,) int32`, rows of the neighbours.
        values: `(z,) float32`, their strengths, positive.
    """

    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def n_items(self) -> int:
        """Rows of the catalogue."""
        return len(self.starts) - 1

    def to_matrix(self) -> Matrix:
        """Return the `(n, n)` sparse matrix of strengths, source by target."""
        return build_matrix_from_rows(self.values, self.rows, self.starts, self.n_items)


def fit_neighbours(
    events: Events, *, half_life: float = 0.0, max_neighbours: int = MAX_NEIGHBOURS
) -> Neighbours:
    """Fit from the liked events.

    Args:
        events: Of many events only nearer pairs are counted, which bounds the memory.
        half_life: Age at which a pair counts half, as a share of all events; 0 for no decay.
        max_neighbours: Neighbours kept for each item.
    """
    liked = events.select(events.is_liked)
    weight = np.ones(len(liked), np.float32)
    if half_life > 0:
        weight = (0.5 ** (liked.age / half_life)).astype(np.float32)
    counts = _count_pairs(liked, weight)
    popularity = np.bincount(liked.item, weight, minlength=events.n_items).astype(np.float64)
    source = (popularity + POPULARITY_SHRINKAGE) ** -SOURCE_POWER
    target = (popularity + POPULARITY_SHRINKAGE) ** -TARGET_POWER
    # Keeps strengths comparable between catalogues, since the powers do not add up to one.
    target *= _compute_typical_popularity(popularity) ** (SOURCE_POWER + TARGET_POWER - 1)
    return _keep_strongest(
        scale_matrix(counts, source.astype(np.float32), target.astype(np.float32)), max_neighbours
    )


def _compute_typical_popularity(popularity: NDArray[np.float64]) -> float:
    """Return the mean popularity of items with any liked event, plus the shrinkage."""
    picked = popularity[popularity > 0]
    return float(picked.mean()) + POPULARITY_SHRINKAGE if len(picked) else POPULARITY_SHRINKAGE


Pairs = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]


def _count_pairs(liked: Events, weight: NDArray[np.float32]) -> Matrix:
    """Return the `(n, n)` sums of pair weights; pairs are summed in portions to bound memory."""
    total = _sum_pairs([], liked.n_items)
    pending: list[Pairs] = []
    pending_count = 0
    for lag in range(1, min(_MAX_LAG, _MAX_PAIRS // max(len(liked), 1)) + 1):
        pairs = _collect_pairs(lag, liked, weight)
        pending.append(pairs)
        pending_count += len(pairs[0])
        if pending_count > _FLUSH_PAIRS:
            total = total + _sum_pairs(pending, liked.n_items)
            pending, pending_count = [], 0
    return total + _sum_pairs(pending, liked.n_items)


def _collect_pairs(lag: int, liked: Events, weight: NDArray[np.float32]) -> Pairs:
    """Return weights, sources and targets of pairs of a user's events `lag` positions apart."""
    older = np.flatnonzero(liked.user[lag:] == liked.user[:-lag])
    newer = older + lag
    near = np.float32(np.exp(-(lag - 1) / GAP_DECAY_EVENTS))
    together = liked.step[older] == liked.step[newer]
    forward = near * weight[newer]
    backward = near * weight[older] * np.where(together, 1, BACKWARD_WEIGHT).astype(np.float32)
    a, b = liked.item[older], liked.item[newer]
    return np.r_[forward, backward], np.r_[a, b], np.r_[b, a]


def _sum_pairs(parts: list[Pairs], n: int) -> Matrix:
    nothing = (np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32))
    values, sources, targets = (np.concatenate(part) for part in zip(nothing, *parts, strict=True))
    return build_matrix_from_coordinates(values, sources, targets, (n, n))


def _keep_strongest(matrix: Matrix, max_neighbours: int) -> Neighbours:
    """Keep the `max_neighbours` largest values of each row, without its own item.

    Equal values are ordered by row number.
    """
    pairs = matrix.tocoo()
    real = (pairs.row != pairs.col) & (pairs.data > 0)
    row, col, value = pairs.row[real], pairs.col[real], pairs.data[real]
    order = np.lexsort((col, -value, row))
    row, col, value = row[order], col[order], value[order]
    n = matrix.shape[0]
    starts = np.searchsorted(row, np.arange(n + 1))
    near = np.arange(len(row)) - starts[row] < max_neighbours
    kept = np.bincount(row[near], minlength=n)
    return Neighbours(
        np.r_[0, np.cumsum(kept)].astype(np.int64),
        col[near].astype(np.int32),
        value[near].astype(np.float32),
    )
