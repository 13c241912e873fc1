"""Events to item-item neighbours: the items that are liked soon after an item. Closed form, sparse.

A pair of items liked by one user counts more the nearer the two are in the user's sequence, more
forward than backward, and more if it is recent. This is item-kNN with damped popularity (Deshpande
& Karypis 2004, "Item-based top-N recommendation"), made asymmetric and aware of time; the decay
over the gap and the direction are those of sequential rules (Ludewig & Jannach 2018) and of SLIST
(Choi et al. 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.cores import map_in_threads
from indexer.taste.events import Events
from indexer.taste.matrices import Matrix, build_matrix_from_rows

GAP_DECAY_EVENTS = 15.0  # number of events between two items at which their weight falls to 1/e
BACKWARD_WEIGHT = 0.5  # weight of a pair from the later item to the earlier one
POPULARITY_SHRINKAGE = 5.0  # events added to both popularities, so that rare pairs count little
TARGET_POWER = 0.6  # strengths are divided by the target's popularity to this power
SOURCE_POWER = 0.5  # and by the source's to this one
MAX_NEIGHBOURS = 200  # kept for each source item
_MAX_LAG = 50
_MAX_PAIRS = 40_000_000
_BLOCK_PAIRS = 2_000_000  # counted at once, which bounds the memory
_KEY_BITS, _VALUE_BITS = 64, 32  # of a sort key; the others hold the source and the target


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
        events: Of many events only nearer pairs are counted, which bounds the time.
        half_life: Age at which a pair counts half, as a share of all events; 0 for no decay.
        max_neighbours: Neighbours kept for each item.
    """
    return fit_neighbours_of_half_lives(events, (half_life,), max_neighbours)[half_life]


def fit_neighbours_of_half_lives(
    events: Events, half_lives: Sequence[float], max_neighbours: int = MAX_NEIGHBOURS
) -> dict[float, Neighbours]:
    """Fit once for each half-life, in less time than one after the other; see `fit_neighbours`."""
    liked = events.select(events.is_liked)
    pairs = _PairCounter(liked, np.argsort(liked.item, kind="stable"))
    weighings = [_Weighing.build(liked, half_life) for half_life in half_lives]

    def fit_block(rows: range) -> list[_Kept]:
        return [
            _keep_strongest(
                weighing.compute_strengths(counts, rows), (len(rows), liked.n_items), max_neighbours
            )
            for weighing, counts in zip(
                weighings, pairs.count(rows, [w.event_weight for w in weighings]), strict=True
            )
        ]

    blocks = map_in_threads(fit_block, pairs.split_items())
    return {
        half_life: _join_blocks([kept[number] for kept in blocks])
        for number, half_life in enumerate(half_lives)
    }


# How many neighbours each of some source items keeps, their rows and their strengths.
_Kept = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]
# Source (counted from the first of a block), target and strength of pairs.
_Strengths = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


def _join_blocks(blocks: list[_Kept]) -> Neighbours:
    nothing = (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    kept, rows, values = (np.concatenate(part) for part in zip(nothing, *blocks, strict=True))
    return Neighbours(np.r_[0, np.cumsum(kept)].astype(np.int64), rows, values)


@dataclass(frozen=True, slots=True)
class _Weighing:
    """What the pairs of one half-life count.

    Attributes:
        event_weight: `(m,) float32`, how much each event counts as the target of a pair.
        source: `(n,) float32`, what the strengths of an item's neighbours are multiplied by.
        target: `(n,) float32`, what the strengths of an item as a neighbour are multiplied by.
    """

    event_weight: NDArray[np.float32]
    source: NDArray[np.float32]
    target: NDArray[np.float32]

    @classmethod
    def build(cls, liked: Events, half_life: float) -> "_Weighing":
        weight = liked.strength
        if half_life > 0:
            weight = (weight * 0.5 ** (liked.age / half_life)).astype(np.float32)
        popularity = np.bincount(liked.item, weight, minlength=liked.n_items).astype(np.float64)
        source = (popularity + POPULARITY_SHRINKAGE) ** -SOURCE_POWER
        target = (popularity + POPULARITY_SHRINKAGE) ** -TARGET_POWER
        # Keeps strengths comparable between catalogues, since the powers do not add up to one.
        target *= _compute_typical_popularity(popularity) ** (SOURCE_POWER + TARGET_POWER - 1)
        return cls(weight, source.astype(np.float32), target.astype(np.float32))

    def compute_strengths(self, counts: Matrix, rows: range) -> _Strengths:
        """Scale the counts of pairs from some source items; pairs of an item with itself go."""
        source = np.repeat(np.arange(len(rows)), np.diff(counts.indptr))
        values = counts.data * self.source[rows.start : rows.stop][source]
        values *= self.target[counts.indices]
        is_pair = (counts.indices != source + rows.start) & (values > 0)
        return source[is_pair], counts.indices[is_pair], values[is_pair]


def _compute_typical_popularity(popularity: NDArray[np.float64]) -> float:
    """Return the mean popularity of items with any liked event, plus the shrinkage."""
    picked = popularity[popularity > 0]
    return float(picked.mean()) + POPULARITY_SHRINKAGE if len(picked) else POPULARITY_SHRINKAGE


@dataclass(frozen=True, slots=True)
class _PairCounter:
    """Counts pairs from some source items at once, which bounds the memory.

    Attributes:
        liked: `m` events.
        by_item: `(m,) int64`, the events in order of their items.
    """

    liked: Events
    by_item: NDArray[np.int64]

    @property
    def max_lag(self) -> int:
        """How many events of a user the two of a pair may be apart."""
        return min(_MAX_LAG, _MAX_PAIRS // max(len(self.liked), 1))

    def split_items(self) -> list[range]:
        """Split the source items into blocks of few pairs each."""
        n = self.liked.n_items
        ends = np.cumsum(np.bincount(self.liked.item, minlength=n))
        max_events = max(1, _BLOCK_PAIRS // max(2 * self.max_lag, 1))
        max_items = 1 << (_KEY_BITS - _VALUE_BITS - _count_bits(n))
        blocks: list[range] = []
        while (first := blocks[-1].stop if blocks else 0) < n:
            done = int(ends[first - 1]) if first else 0
            stop = int(np.searchsorted(ends, done + max_events, side="right"))
            blocks.append(range(first, min(max(stop, first + 1), first + max_items, n)))
        return blocks

    def count(self, rows: range, event_weights: list[NDArray[np.float32]]) -> list[Matrix]:
        """Return the `(len(rows), n)` sums of pair weights, once for each `event_weights` `(m,)`.

        They are the product of two matrices: of items with their events, and of events with the
        items near them.
        """
        items = self.liked.item[self.by_item]
        first, last = np.searchsorted(items, (rows.start, rows.stop))
        block = self.by_item[first:last]
        starts = np.searchsorted(items[first:last], np.arange(rows.start, rows.stop + 1))
        ones = np.ones(len(block), np.float32)
        own = build_matrix_from_rows(ones, np.arange(len(block)), starts, len(block))
        ends, other, near = self._find_near_events(block)
        targets = self.liked.item[other]
        return [
            own @ build_matrix_from_rows(near * weight[other], targets, ends, self.liked.n_items)
            for weight in event_weights
        ]

    def _find_near_events(
        self, block: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Find the events of the same users near each event of a block, itself with weight 0.

        Returns:
            Where those of each event of the block start, `(b + 1,)`; the near events; and what they
            count by their distance and direction.
        """
        user, step, max_lag = self.liked.user, self.liked.step, self.max_lag
        first = np.maximum(np.searchsorted(user, user[block]), block - max_lag)
        last = np.minimum(np.searchsorted(user, user[block], side="right"), block + max_lag + 1)
        length = last - first
        starts = np.r_[0, np.cumsum(length)]
        # 32 bits, since all that follows is reading and writing these many numbers
        other = np.arange(starts[-1], dtype=np.int32)
        other += np.repeat((first - starts[:-1]).astype(np.int32), length)
        event = np.repeat(block.astype(np.int32), length)
        distances = np.abs(np.arange(-max_lag, max_lag + 1))
        by_lag = np.exp(-(distances - 1) / GAP_DECAY_EVENTS).astype(np.float32)
        by_lag[max_lag] = 0
        near = by_lag[other - event + max_lag]
        near[(other < event) & (step[other] != step[event])] *= np.float32(BACKWARD_WEIGHT)
        return starts, other, near


def _keep_strongest(strengths: _Strengths, shape: tuple[int, int], max_neighbours: int) -> _Kept:
    """Keep the strongest pairs of each source item; equal ones are ordered by target.

    Source, strength and target become the bits of one number, in this order, since numbers are
    sorted many times faster than an order of rows is found.
    """
    source, column, value = strengths
    column_bits = _count_bits(shape[1])
    # The bits of positive floats are ordered as the floats are.
    keys = source.astype(np.uint64) << np.uint64(_VALUE_BITS + column_bits)
    keys |= (~value.view(np.uint32)).astype(np.uint64) << np.uint64(column_bits)
    keys |= column.astype(np.uint64)
    keys.sort()
    source = (keys >> np.uint64(_VALUE_BITS + column_bits)).astype(np.int64)
    counts = np.bincount(source, minlength=shape[0])
    is_near = (
        np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts) < max_neighbours
    )
    keys = keys[is_near]
    bits = (keys >> np.uint64(column_bits)).astype(np.uint32)
    columns = (keys & np.uint64((1 << column_bits) - 1)).astype(np.int32)
    return np.minimum(counts, max_neighbours), columns, (~bits).view(np.float32)


def _count_bits(n: int) -> int:
    """Return how many bits hold the numbers below `n`."""
    return max(n - 1, 1).bit_length()
