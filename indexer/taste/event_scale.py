"""Names and values of events to what each says: liked or not, and how strongly. Pure.

The strength of an event comes from its kind; ratings are ordered within theirs, around what their
user usually gives; counts grow as their logarithm. One rating among clicks changes no click.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from indexer.event_kinds import (
    COUNTED_EVENTS,
    EVENT_WEIGHTS,
    LIKED_SHARE,
    MAX_COUNT_STRENGTH,
    RATING_MAJORITY,
    RATING_WEIGHT,
    UNDONE_EVENTS,
    Event,
    find_event,
    find_undone,
    has_happened,
    measure_count,
)
from indexer.reading import infer_rating_scale

LIKED, BROWSED, RATED_LOW, DISLIKED = 1.0, 0.5, 0.0, -1.0
_CLEAR_LIKINGS = frozenset(["like", "purchase", "finish"])  # also where ratings say what is liked
_USER_MEAN_SHRINKAGE = 5.0  # ratings at the threshold that are mixed into a user's mean
_RATING_SPREAD = 0.2  # by which share a rating half the scale above the user's mean counts more

Likings = NDArray[np.float32]


class Reactions(NamedTuple):
    """What `m` events say.

    Attributes:
        liking: `(m,) float32`, `LIKED`, `BROWSED` (an unrated event where ratings say what is
            liked), `RATED_LOW` or `DISLIKED`; NaN for a kind of event that is not known.
        strength: `(m,) float32`, from 0; about 1 for a usual event that is not disliked.
    """

    liking: Likings
    strength: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EventScale:
    """What ratings, counts and kinds of events are worth in one set of interactions.

    Attributes:
        like_from: The least rating that is liking; None if there are no ratings.
        lowest_rating: The lowest possible one.
        likes_unrated: Whether events without a rating are liking although there are ratings, since
            most events have none.
        unit: Mean weight of the events that say something good; strengths are relative to it.
        own_weights: Events with a weight in `scenarios.toml`, and the weight.
        count_units: Kinds of events whose values are counts, and the mean of `measure_count`.
    """

    like_from: float | None = None
    lowest_rating: float = 0.0
    likes_unrated: bool = False
    unit: float = 1.0
    own_weights: tuple[tuple[str, float], ...] = ()
    count_units: tuple[tuple[str, float], ...] = ()

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return the scale that `dataclasses.asdict` and JSON made of one."""
        pairs = {
            name: tuple((str(kind), float(number)) for kind, number in facts.get(name, ()))
            for name in ("own_weights", "count_units")
        }
        return cls(**{**facts, **pairs})

    def find_weight(self, event: str) -> float | None:
        """Return the weight of a kind of event, 0 if it is not counted; None if it is not known."""
        if event == Event.RATING:
            return RATING_WEIGHT
        if event == Event.IMPRESSION:
            return 0.0
        weight = EVENT_WEIGHTS.get(event)
        if weight is None:
            weight = dict(self.own_weights).get(event)
        if weight is None and (known := find_event(event)) not in (None, event):
            weight = self.find_weight(str(known))
        return weight


def measure_event_scale(
    events: Sequence[str],
    values: NDArray[np.float64],
    own_weights: Mapping[str, float] | None = None,
) -> EventScale:
    """Return what `m` events are worth.

    Args:
        events: Their names.
        values: `(m,)`, NaN where there is none.
        own_weights: Weights of events that are not built in.
    """
    scale = EventScale(own_weights=tuple(sorted((own_weights or {}).items())))
    names, kind = np.unique(np.array(events, dtype=object).astype(str), return_inverse=True)
    weights = np.array([scale.find_weight(name) or 0.0 for name in names.tolist()], np.float64)
    counts = np.bincount(kind, minlength=len(names)) * (weights > 0)
    total = int(counts.sum())
    is_rating = _is_rating(events) & ~np.isnan(values)
    rated = int(is_rating.sum())
    low, high = infer_rating_scale(values[is_rating].tolist())
    return EventScale(
        like_from=LIKED_SHARE * high if rated else None,
        lowest_rating=low if rated else 0.0,
        likes_unrated=rated < RATING_MAJORITY * total,
        unit=float(counts @ weights / total) if total else 1.0,
        own_weights=scale.own_weights,
        count_units=_measure_count_units(names.tolist(), kind, values),
    )


def _measure_count_units(
    names: Sequence[str], kind: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[tuple[str, float], ...]:
    """Return the kinds of events whose values are counts, with their mean worth."""
    units = []
    for number, name in enumerate(names):
        counts = values[(kind == number) & (values >= 0)]
        if name in COUNTED_EVENTS and len(counts):
            units.append((name, max(float(np.log2(1 + counts).mean()), 1.0)))
    return tuple(units)


def judge_events(
    events: Sequence[str],
    values: NDArray[np.float64],
    scale: EventScale,
    group: NDArray[np.int64] | NDArray[np.int32] | None = None,
) -> Reactions:
    """Return what `m` events say.

    Args:
        events: Their names.
        values: `(m,)`, NaN where there is none.
        scale: What the events are worth.
        group: `(m,)`, whose event each is, numbered from 0; None: all are of one user.
    """
    # There are few kinds of events: what a kind says is found once and spread over its events.
    names = list(dict.fromkeys(events))
    number_by_name = {name: number for number, name in enumerate(names)}
    kind = np.array([number_by_name[name] for name in events], np.int64)
    weights = [scale.find_weight(name) for name in names]
    weight = np.array([np.nan if w is None else w for w in weights], np.float64)
    kind_liking = np.where(weight < 0, DISLIKED, _judge_unrated(names, scale))
    kind_liking[np.isnan(weight)] = np.nan
    liking = kind_liking[kind]
    strength = np.where(weight > 0, weight / scale.unit, 0.0)[kind]
    is_given = ~np.isnan(values)
    if not is_given.any():
        return Reactions(liking.astype(np.float32), strength.astype(np.float32))
    for name, unit in scale.count_units:
        mine = (kind == number_by_name.get(name, -1)) & (values >= 0)
        counts = np.array([measure_count(name, value) for value in values[mine].tolist()])
        strength[mine] *= np.minimum(counts / unit, MAX_COUNT_STRENGTH)
    for position in np.flatnonzero(values == 0).tolist():
        if not has_happened(events[position], 0.0):  # played 0 times: it was met, no more
            liking[position], strength[position] = RATED_LOW, 0.0
    is_rating = _is_rating(names)[kind] & is_given
    if is_rating.any():
        owner = np.zeros(len(events), np.int64) if group is None else group
        rated = _judge_ratings(values[is_rating], scale, owner[is_rating])
        liking[is_rating] = rated.liking
        strength[is_rating] *= rated.strength
    return Reactions(liking.astype(np.float32), strength.astype(np.float32))


def _judge_unrated(events: Sequence[str], scale: EventScale) -> NDArray[np.float64]:
    if scale.like_from is None or scale.likes_unrated:
        return np.full(len(events), LIKED)
    return np.array([LIKED if name in _CLEAR_LIKINGS else BROWSED for name in events], np.float64)


def _judge_ratings(
    values: NDArray[np.float64], scale: EventScale, owner: NDArray[np.integer]
) -> Reactions:
    """Return what ratings say: more the higher they are, around what their users usually give.

    A user who rarely gives four fifths of the scale likes what is above their own mean. The lowest
    rating is a dislike.
    """
    # A rating beside a model that knows none, as the first in a live store is.
    threshold = LIKED_SHARE * infer_rating_scale(values.tolist())[1]
    like_from = threshold if scale.like_from is None else scale.like_from
    count = np.bincount(owner)
    total = np.bincount(owner, values)
    usual = (total + _USER_MEAN_SHRINKAGE * like_from) / (count + _USER_MEAN_SHRINKAGE)
    mean = usual[owner]
    least = np.minimum(like_from, mean)
    is_liked = values >= least
    half = max((like_from / LIKED_SHARE - scale.lowest_rating) / 2, 1e-9)
    above = 1 + _RATING_SPREAD * np.clip((values - mean) / half, -1, 1)
    below = np.clip(
        (values - scale.lowest_rating) / np.maximum(least - scale.lowest_rating, 1e-9), 0, 1
    )
    low = np.where(values > scale.lowest_rating, RATED_LOW, DISLIKED)
    return Reactions(
        np.where(is_liked, LIKED, low).astype(np.float32),
        np.where(is_liked, above, below).astype(np.float32),
    )


def mark_undone(events: Sequence[str], pair: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which events a later one took back, `(m,) bool`.

    Args:
        events: Names of `m` events, in order of time within each pair.
        pair: `(m,)`, number of the user and item of each.
    """
    undone = np.zeros(len(events), bool)
    undoing = [position for position, name in enumerate(events) if name in UNDONE_EVENTS]
    # Few pairs have any, and the loop of the rule sees these alone.
    looked_at = np.flatnonzero(np.isin(pair, pair[undoing]))
    found = find_undone([(int(pair[place]), events[place]) for place in looked_at.tolist()])
    undone[looked_at[sorted(found)]] = True
    return undone


def _is_rating(events: Sequence[str]) -> NDArray[np.bool_]:
    return np.fromiter((event == Event.RATING for event in events), bool, len(events))
