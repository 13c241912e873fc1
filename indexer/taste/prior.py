"""Events to a popularity prior: the score of an item before anything is known about the user.

It is the logarithm of one plus the item's recent picks, so that it adds to other scores as
log-odds do. What nobody ever picked has none. What arrived lately had no time to be picked yet: it
is lent the picks that such items come to have, fewer the more events have passed since.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.event_scale import BROWSED, LIKED, RATED_LOW
from indexer.taste.events import Events

MIN_DEVIATION, MAX_DEVIATION = -1.0, 2.0
NEW_SHARE = 0.1  # of all events: what arrived within the newest of them is new
NEW_HALF_LIFE = 0.05  # share of all events after which an arrival counts half
_LENT_UNTIL = 0.2  # share of all events after which nothing is lent any more
_PRIOR_ARRIVALS = 20

Prior = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PickedPriorStats:
    """Statistics of the prior over picks: each item counts as often as it is picked.

    Attributes:
        mean: In the unit of the prior.
        spread: Standard deviation, in the same unit.
    """

    mean: float = 0.0
    spread: float = 0.0

    def scale_by(self, weight: float) -> "PickedPriorStats":
        """Return the statistics of the prior times a weight."""
        return PickedPriorStats(self.mean * weight, self.spread * weight)

    def compute_deviations(self, prior: Prior) -> Prior:
        """Return how many spreads priors `(m,)` lie above the mean, `(m,) float32`.

        They are clipped to `MIN_DEVIATION` and `MAX_DEVIATION`, so that the prior's weight never
        becomes negative: popularity never counts against an item.
        """
        if self.spread == 0:
            return np.zeros(len(prior), np.float32)
        deviations = (prior - self.mean) / self.spread
        clipped: Prior = np.clip(deviations, MIN_DEVIATION, MAX_DEVIATION).astype(np.float32)
        return clipped


def count_picks(events: Events, *, half_life: float, met_weight: float) -> NDArray[np.float64]:
    """Return the decayed number of picks of each item, `(n,) float64`.

    Args:
        events: All events, counted by their strength; disliked ones count nothing.
        half_life: Age at which an event counts half, as a share of all events; 0 for no decay.
        met_weight: Weight of an event that is neither liked nor disliked, in [0, 1].
    """
    weight = np.zeros(len(events), np.float64)
    weight[events.liking == LIKED] = 1.0
    weight[(events.liking == BROWSED) | (events.liking == RATED_LOW)] = met_weight
    weight *= events.strength
    if half_life > 0:
        weight = weight * 0.5 ** (events.age / half_life)
    counts = np.bincount(events.item, weight, minlength=events.n_items)
    return counts.astype(np.float64)


def compute_prior(counts: NDArray[np.float64], lent: NDArray[np.float64]) -> Prior:
    """Return the prior of each item, `(n,) float32`, in nats.

    Args:
        counts: `(n,)` from `count_picks`.
        lent: `(n,)` from `lend_picks`.
    """
    prior: Prior = np.log1p(counts + lent).astype(np.float32)
    return prior


def lend_picks(
    counts: NDArray[np.float64], arrival_ages: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the picks that each item is lent because it arrived lately, `(n,) float64`.

    Right after its arrival it is what `estimate_early_picks` returns, and half of that whenever
    another `NEW_HALF_LIFE` of all events has passed, until `_LENT_UNTIL`. By then its own picks
    tell.

    Args:
        counts: `(n,)` from `count_picks`.
        arrival_ages: `(n,)`, see `Events`; NaN or empty where nothing is lent.
    """
    if not len(arrival_ages):
        return np.zeros(len(counts), np.float64)
    remaining = 0.5 ** (arrival_ages.astype(np.float64) / NEW_HALF_LIFE)
    remaining[~(arrival_ages <= _LENT_UNTIL)] = 0
    return remaining * estimate_early_picks(counts, arrival_ages)


def estimate_early_picks(counts: NDArray[np.float64], arrival_ages: NDArray[np.float32]) -> float:
    """Return how many picks an item has that arrived lately.

    It is the number whose prior is the mean prior of the items that arrived within the last
    `NEW_SHARE` of the events: the mean of picks themselves would be that of a few successes. The
    median item of those that were ever picked counts as another `_PRIOR_ARRIVALS` of them.

    Args:
        counts: `(n,)` from `count_picks`.
        arrival_ages: `(n,)`, see `Events`; empty if nothing is known.
    """
    picked = counts[counts > 0]
    if not len(picked):
        return 0.0
    total = _PRIOR_ARRIVALS * np.log1p(np.median(picked))
    weight = _PRIOR_ARRIVALS
    if len(arrival_ages):
        # What arrived after all events had no time to be picked.
        counted = counts[(arrival_ages > 0) & (arrival_ages <= NEW_SHARE)]
        total += np.log1p(counted).sum()
        weight += len(counted)
    return float(np.expm1(total / weight))


def compute_picked_prior_stats(prior: Prior, counts: NDArray[np.float64]) -> PickedPriorStats:
    """Return the statistics of a prior `(n,)` over picks, `counts` `(n,)` from `count_picks`."""
    total = counts.sum()
    if total == 0:
        return PickedPriorStats()
    mean = float(prior @ counts / total)
    return PickedPriorStats(mean, float(np.sqrt((prior - mean) ** 2 @ counts / total)))
