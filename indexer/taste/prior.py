"""Events to what an item earns before anything is known about the user.

The logarithm of its recent picks, so that it adds to the other blocks like evidence to evidence.
What was never picked gets a level of its own: at zero, new items would be buried for being new.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.events import Events

MIN_DEVIATION, MAX_DEVIATION = -1.0, 2.0

Prior = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PickedPriorStats:
    """The prior of an item that is picked.

    Attributes:
        mean: Over picks, in the unit of the prior.
        spread: Standard deviation over picks, in the same unit.
    """

    mean: float = 0.0
    spread: float = 0.0

    def compute_deviations(self, prior: Prior) -> Prior:
        """Return `(m,) float32`: how far priors `(m,)` lie above the mean, in spreads.

        Cut to `MIN_DEVIATION` and `MAX_DEVIATION`: whatever is picked, what is popular never
        counts against an item.
        """
        if self.spread == 0:
            return np.zeros(len(prior), np.float32)
        deviations = (prior - self.mean) / self.spread
        clipped: Prior = np.clip(deviations, MIN_DEVIATION, MAX_DEVIATION).astype(np.float32)
        return clipped


def count_picks(events: Events, *, half_life: float, met_weight: float) -> NDArray[np.float64]:
    """Return `(n,)` decayed counts; an event that is not liked counts `met_weight`.

    Args:
        events: Of any size.
        half_life: In shares of all events; an older event counts half. 0 for no decay.
        met_weight: In [0, 1].
    """
    weight = np.where(events.liking > 0, 1.0, np.where(events.liking == 0, met_weight, 0.0))
    if half_life > 0:
        weight = weight * 0.5 ** (events.age / half_life)
    counts = np.bincount(events.item, weight, minlength=events.n_items)
    return counts.astype(np.float64)


def compute_prior(
    counts: NDArray[np.float64], is_warm: NDArray[np.bool_], *, cold_level: float
) -> Prior:
    """Return `(n,) float32` in nats.

    Args:
        counts: `(n,)` from `count_picks`.
        is_warm: `(n,)`, items with any interaction.
        cold_level: The prior of the others, as a share of what a picked item has on average.
    """
    prior = np.log1p(counts)
    total = counts.sum()
    picked_mean = float(prior @ counts / total) if total > 0 else 0.0
    return np.where(is_warm, prior, cold_level * picked_mean).astype(np.float32)


def compute_picked_prior_stats(prior: Prior, counts: NDArray[np.float64]) -> PickedPriorStats:
    """Return what the prior `(n,)` of a picked item is, for counts `(n,)` from `count_picks`."""
    total = counts.sum()
    if total == 0:
        return PickedPriorStats()
    mean = float(prior @ counts / total)
    return PickedPriorStats(mean, float(np.sqrt((prior - mean) ** 2 @ counts / total)))
