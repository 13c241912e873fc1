"""Events to a popularity prior: the score of an item before anything is known about the user.

It is the logarithm of one plus the item's recent picks, so that it adds to other scores as
log-odds do. Items without any event get a level of their own: with zero, new items would never
be shown.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.event_scale import BROWSED, LIKED, RATED_LOW
from indexer.taste.events import Events

MIN_DEVIATION, MAX_DEVIATION = -1.0, 2.0

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


def compute_prior(
    counts: NDArray[np.float64], is_warm: NDArray[np.bool_], *, cold_level: float
) -> Prior:
    """Return the prior of each item, `(n,) float32`, in nats.

    Args:
        counts: `(n,)` from `count_picks`.
        is_warm: `(n,) bool`, whether the item has any event.
        cold_level: Prior of the other items, as a share of the mean prior over picks.
    """
    prior = np.log1p(counts)
    total = counts.sum()
    picked_mean = float(prior @ counts / total) if total > 0 else 0.0
    return np.where(is_warm, prior, cold_level * picked_mean).astype(np.float32)


def compute_picked_prior_stats(prior: Prior, counts: NDArray[np.float64]) -> PickedPriorStats:
    """Return the statistics of a prior `(n,)` over picks, `counts` `(n,)` from `count_picks`."""
    total = counts.sum()
    if total == 0:
        return PickedPriorStats()
    mean = float(prior @ counts / total)
    return PickedPriorStats(mean, float(np.sqrt((prior - mean) ** 2 @ counts / total)))
