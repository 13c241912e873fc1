"""A user's history and the learned settings to the weight of each history entry. Pure.

A query vector is the sum of weights times the vectors of the history's items, so a score splits
exactly into one share for each entry. Two things are not linear in the entries: the meaning profile
is scaled to a length of one times a shrinkage factor, and the weight of the popularity prior
depends on a mean over the history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer.taste.event_scale import BROWSED, LIKED, RATED_LOW, judge_events
from indexer.taste.settings import TasteSettings

MAX_NEIGHBOUR_ENTRIES = 100  # neighbours are looked up for the entries with the largest weights
AFFINITY_SHRINKAGE = 2.0  # weight of average items that are added to each history
_TINY = 1e-9

Coefficients = NDArray[np.float32]


class HistoryItem(NamedTuple):
    """One entry of a history: an item of the catalogue and the event with it.

    A tuple, since requests create hundreds and a frozen dataclass takes three times as long.
    """

    row: int
    event: str
    value: float | None = None
    at: float | None = None
    context: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The `m` entries of a history in time order, as arrays.

    Attributes:
        row: `(m,) int64`, row in the catalogue.
        age: `(m,) float32`, number of entries at strictly later times.
        liking: `(m,) float32`, see `Reactions`.
        strength: `(m,) float32`, see `Reactions`.
        context_match: `(m,) float32`, share of the current context words that the entry has too.
    """

    row: NDArray[np.int64]
    age: NDArray[np.float32]
    liking: NDArray[np.float32]
    strength: NDArray[np.float32]
    context_match: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScoreTermWeights:
    """The weights of `m` history entries in the score terms of single items.

    Attributes:
        neighbours: `(m,) float32`, for the neighbours of the entry's item.
        repeat: `(m,) float32`, for the entry's own item; the square root over the sum of an item's
            entries is taken later.
    """

    neighbours: Coefficients
    repeat: Coefficients


def build_history(
    entries: Sequence[HistoryItem],
    settings: TasteSettings,
    context: Mapping[str, str] | None = None,
) -> History:
    """Return the arrays of a history.

    Args:
        entries: In time order; an entry without a time has a time of its own.
        settings: The learned settings.
        context: Column to word of the current request.
    """
    current_context = {
        name: word for name, word in (context or {}).items() if name in settings.context
    }
    values = np.array([np.nan if e.value is None else e.value for e in entries], np.float64)
    reactions = judge_events([entry.event for entry in entries], values, settings.scale)
    return History(
        row=np.array([entry.row for entry in entries], np.int64),
        age=_compute_ages([entry.at for entry in entries]),
        liking=reactions.liking,
        strength=reactions.strength,
        context_match=_compute_context_matches(entries, current_context),
    )


def compute_entry_weights(history: History, reach: float, settings: TasteSettings) -> Coefficients:
    """Return the weight of each entry, `(m,) float32`.

    It is the strength of the entry (times `browse_weight` or `met_weight` if it is not liking, 0 if
    it is disliked or unknown) times recency times the gain of a matching context.

    Args:
        history: The `m` entries.
        reach: Age in events at which an entry counts a quarter.
        settings: The learned settings.
    """
    factor = np.zeros(len(history.liking), np.float32)
    factor[history.liking == LIKED] = 1.0
    factor[history.liking == BROWSED] = settings.browse_weight
    factor[history.liking == RATED_LOW] = settings.met_weight
    recency = (1 + history.age / np.float32(reach)) ** -2
    gain = 1 + np.float32(settings.context_gain) * history.context_match
    weights: Coefficients = (factor * history.strength * recency * gain).astype(np.float32)
    return weights


def compute_popularity_affinity(
    weights: Coefficients, prior_deviations: Coefficients, settings: TasteSettings
) -> float:
    """Return by which share the weight of the prior grows for this user; negative if it falls.

    Some users pick popular items and some do not.

    Args:
        weights: `(m,) float32`, from `compute_entry_weights`.
        prior_deviations: `(m,) float32`, priors of the entries' items in standard deviations from
            the mean of picked items.
        settings: The learned settings.
    """
    return (
        settings.prior_lean
        * float(weights @ prior_deviations)
        / (float(weights.sum()) + AFFINITY_SHRINKAGE)
    )


def compute_shrinkage_factor(
    weight_sum: NDArray[np.float64] | float, shrinkage: float
) -> NDArray[np.float32]:
    """Return the factor `weight_sum / (weight_sum + shrinkage)` that scales a profile, in [0, 1].

    A mean of few observations is shrunk towards the mean of all (James & Stein 1961): for a user
    with one event, popularity says more than the one item does.

    Args:
        weight_sum: Sum of the weights of the profile's entries, at least 0.
        shrinkage: The sum at which the factor is a half.
    """
    return np.asarray(weight_sum / np.maximum(weight_sum + shrinkage, _TINY), np.float32)


def keep_heaviest(weights: Coefficients) -> Coefficients:
    """Return the weights with all except the `MAX_NEIGHBOUR_ENTRIES` largest set to zero."""
    kept = weights.copy()
    kept[np.argsort(-weights, kind="stable")[MAX_NEIGHBOUR_ENTRIES:]] = 0
    return kept


def compute_repeat_weights(history: History, settings: TasteSettings) -> Coefficients:
    """Return the weight of each entry for its own item coming again, `(m,) float32`.

    It decays exponentially with age; disliked items have none.
    """
    not_disliked = (history.liking >= 0).astype(np.float32)
    decay: Coefficients = not_disliked * np.exp(-history.age / np.float32(settings.repeat_reach))
    return decay


def _compute_ages(timestamps: Sequence[float | None]) -> NDArray[np.float32]:
    """Return how many entries have a strictly later time, for entries in time order."""
    m = len(timestamps)
    # NaN, for an entry without a time, is different from itself, so each such entry is the last of
    # its time.
    times = np.array([np.nan if time is None else time for time in timestamps], np.float64)
    last_of_time = np.arange(m)
    last_of_time[:-1][times[:-1] == times[1:]] = m
    last_of_time = np.minimum.accumulate(last_of_time[::-1])[::-1]
    return (m - 1 - last_of_time).astype(np.float32)


def _compute_context_matches(
    entries: Sequence[HistoryItem], context: Mapping[str, str]
) -> NDArray[np.float32]:
    if not context:
        return np.zeros(len(entries), np.float32)
    return np.array(
        [_compute_context_match(entry.context or {}, context) for entry in entries], np.float32
    )


def _compute_context_match(past_context: Mapping[str, Any], context: Mapping[str, str]) -> float:
    same = [
        name
        for name, word in context.items()
        if name in past_context and str(past_context[name]) == word
    ]
    return len(same) / len(context)
