"""A user's past and the learned settings to what each entry counts. Pure.

Everything is linear in the past items: a request vector is the sum of coefficients times item
vectors, so an inner product splits exactly into one share for each entry of the history. The
exceptions are the length of the meaning profile, which is one, times how certain the history is,
and how much the prior counts, which is a mean over the history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer.taste.events import compute_likings
from indexer.taste.settings import TasteSettings

MAX_NEIGHBOUR_ENTRIES = 100  # entries whose neighbours are looked up: the weightiest
AFFINITY_SHRINKAGE = (
    2.0  # a user's leaning is shrunk as if this much of the usual had been picked too
)
_TINY = 1e-9

Coefficients = NDArray[np.float32]


class HistoryItem(NamedTuple):
    """One entry of a history: an item of the catalogue and how it was met.

    A tuple, for a request makes hundreds: a frozen dataclass takes three times as long.
    """

    row: int
    event: str
    value: float | None = None
    at: float | None = None
    context: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A history in time order, as columns.

    Attributes:
        row: `(m,) int64`, row in the catalogue.
        age: `(m,) float32`, events in strictly later moments.
        liking: `(m,) float32`, 1 liked, 0 met, -1 disliked.
        context_match: `(m,) float32`, share of the circumstances of now that were those of then.
    """

    row: NDArray[np.int64]
    age: NDArray[np.float32]
    liking: NDArray[np.float32]
    context_match: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScoreTermWeights:
    """What each of `m` past items counts where it adds to single items.

    Attributes:
        neighbours: `(m,) float32`, for named neighbours.
        repeat: `(m,) float32`, before the square root over entries of one item.
    """

    neighbours: Coefficients
    repeat: Coefficients


def build_history(
    entries: Sequence[HistoryItem],
    settings: TasteSettings,
    context: Mapping[str, str] | None = None,
) -> History:
    """Read a history given in time order.

    Args:
        entries: Equal times are one moment; an entry without a time is a moment of its own.
        settings: Learned.
        context: The circumstances of now.
    """
    current_context = {
        name: word for name, word in (context or {}).items() if name in settings.context
    }
    return History(
        row=np.array([entry.row for entry in entries], np.int64),
        age=_compute_ages([entry.at for entry in entries]),
        liking=_compute_likings(entries, settings),
        context_match=_compute_context_matches(entries, current_context),
    )


def compute_entry_weights(history: History, reach: float, settings: TasteSettings) -> Coefficients:
    """Return what each entry counts: liking times recency times likeness of circumstances."""
    liking = np.where(
        history.liking > 0, 1.0, np.where(history.liking == 0, settings.met_weight, 0.0)
    ).astype(np.float32)
    recency = (1 + history.age / np.float32(reach)) ** -2
    gain = 1 + np.float32(settings.context_gain) * history.context_match
    weights: Coefficients = (liking * recency * gain).astype(np.float32)
    return weights


def compute_popularity_affinity(
    weights: Coefficients, prior_deviations: Coefficients, settings: TasteSettings
) -> float:
    """Return how much more the prior counts, as a share, than it does without a history.

    Some users pick what is popular and some what is not.

    Args:
        weights: `(m,) float32`, what the entries count, from `compute_entry_weights`.
        prior_deviations: `(m,) float32`, their priors in deviations from the usual one.
        settings: Learned.
    """
    return (
        settings.prior_lean
        * float(weights @ prior_deviations)
        / (float(weights.sum()) + AFFINITY_SHRINKAGE)
    )


def compute_shrinkage_factor(
    weight_sum: NDArray[np.float64] | float, shrinkage: float
) -> NDArray[np.float32]:
    """Return by what a profile is scaled, in [0, 1], whose entries weigh `held >= 0` together.

    As the mean of few observations is shrunk to that of all (James & Stein 1961): of a user who was
    seen once, the prior knows more than one unit vector does.
    """
    return np.asarray(weight_sum / np.maximum(weight_sum + shrinkage, _TINY), np.float32)


def keep_heaviest(weights: Coefficients) -> Coefficients:
    """Return the weights with all but the `MAX_NEIGHBOUR_ENTRIES` largest at zero."""
    kept = weights.copy()
    kept[np.argsort(-weights, kind="stable")[MAX_NEIGHBOUR_ENTRIES:]] = 0
    return kept


def compute_repeat_weights(history: History, settings: TasteSettings) -> Coefficients:
    """Return what each entry says for its own item coming again."""
    met = (history.liking >= 0).astype(np.float32)
    decay: Coefficients = met * np.exp(-history.age / np.float32(settings.repeat_reach))
    return decay


def _compute_ages(timestamps: Sequence[float | None]) -> NDArray[np.float32]:
    m = len(timestamps)
    ages = np.zeros(m, np.float32)
    for position in range(m - 2, -1, -1):
        same = timestamps[position] is not None and timestamps[position] == timestamps[position + 1]
        ages[position] = ages[position + 1] if same else m - 1 - position
    return ages


def _compute_likings(
    entries: Sequence[HistoryItem], settings: TasteSettings
) -> NDArray[np.float32]:
    values = np.array([np.nan if e.value is None else e.value for e in entries], np.float64)
    return compute_likings([entry.event for entry in entries], values, like_from=settings.like_from)


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
