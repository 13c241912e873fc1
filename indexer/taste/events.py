"""Interactions to arrays of events: user, item, order, age, liking and context of each. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from indexer.reading import Interaction
from indexer.taste.event_scale import (
    LIKED,
    EventScale,
    Reactions,
    judge_events,
    mark_undone,
    measure_event_scale,
)

NO_WORD = -1


@dataclass(frozen=True, slots=True)
class Events:
    """`m` events with items of the catalogue, sorted by user and then by time.

    Attributes:
        user: `(m,) int32`, users numbered from 0.
        item: `(m,) int32`, row in the catalogue.
        step: `(m,) int32`, rank of the event's time among the times of its user, from 0; equal for
            simultaneous events.
        age: `(m,) float32`, share of all events that are newer, in [0, 1); zeros without times.
        liking: `(m,) float32`, see `Reactions`; no kind is unknown.
        strength: `(m,) float32`, see `Reactions`.
        context_words: `(m, c) int32`, number of the context word by column; `NO_WORD` where there
            is none.
        context_columns: The `c` context columns.
        vocabulary: For each column its words, in the order of their numbers.
        scale: What ratings, counts and kinds of events are worth.
        n_items: Rows of the catalogue.
        has_times: Whether every event has a time, so that users can be compared by it.
        arrival_ages: `(n,) float32`, share of all events since an item arrived, NaN where that is
            unknown; empty: it is unknown of all.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    step: NDArray[np.int32]
    age: NDArray[np.float32]
    liking: NDArray[np.float32]
    strength: NDArray[np.float32]
    context_words: NDArray[np.int32]
    context_columns: tuple[str, ...]
    vocabulary: tuple[tuple[str, ...], ...]
    scale: EventScale
    n_items: int
    has_times: bool
    arrival_ages: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.user)

    @property
    def is_liked(self) -> NDArray[np.bool_]:
        """`(m,) bool`."""
        is_liked: NDArray[np.bool_] = self.liking == LIKED
        return is_liked

    def select(self, keep: NDArray[np.bool_]) -> "Events":
        """Return the events of a mask `(m,)`; ages are computed anew among them."""
        return replace(
            self,
            user=self.user[keep],
            item=self.item[keep],
            step=self.step[keep],
            age=_compute_ages(self.age[keep]),
            arrival_ages=_compute_arrival_ages(self.arrival_ages, self.age[keep]),
            liking=self.liking[keep],
            strength=self.strength[keep],
            context_words=self.context_words[keep],
        )


def build_events(
    interactions: Sequence[Interaction],
    item_ids: Sequence[str],
    own_weights: Mapping[str, float] | None = None,
    *,
    arrivals: NDArray[np.float64] | None = None,
) -> Events:
    """Sort interactions by user and time into arrays; those with unknown items are left out.

    Left out are also events that say nothing, such as impressions, and those that a later one took
    back, as a refund does. Unless every one has a time, the order of the interactions is taken as
    their order.

    Args:
        interactions: In the order of the source.
        item_ids: `n` ids, in row order.
        own_weights: Weights of events that are not built in.
        arrivals: `(n,)`, when each item arrived, Unix seconds; NaN where that is unknown.
    """
    rows = {item_id: row for row, item_id in enumerate(item_ids)}
    known = _keep_telling(
        [event for event in interactions if event.item_id in rows], own_weights or {}
    )
    users: dict[str, int] = {}
    user = np.array([users.setdefault(e.user_id, len(users)) for e in known], np.int32)
    scale, reactions = _judge(known, user, own_weights)
    columns = tuple(sorted({name for e in known for name in e.context}))
    words, vocabulary = _encode_context(known, columns)
    timestamps, has_times = _find_timestamps(known)
    unsorted = Events(
        user=user,
        item=np.array([rows[e.item_id] for e in known], np.int32),
        step=np.zeros(len(known), np.int32),
        age=np.zeros(len(known), np.float32),
        liking=reactions.liking,
        strength=reactions.strength,
        context_words=words,
        context_columns=columns,
        vocabulary=vocabulary,
        scale=scale,
        n_items=len(item_ids),
        has_times=has_times,
    )
    return _sort_events(unsorted, [event.event for event in known], timestamps, arrivals)


def _judge(
    events: Sequence[Interaction],
    user: NDArray[np.int32],
    own_weights: Mapping[str, float] | None,
) -> tuple[EventScale, Reactions]:
    """Return what the kinds and values of `m` events are worth, and what each event says."""
    names = [event.event for event in events]
    values = np.array([np.nan if e.value is None else e.value for e in events], np.float64)
    scale = measure_event_scale(names, values, own_weights)
    return scale, judge_events(names, values, scale, user)


def _sort_events(
    events: Events,
    names: Sequence[str],
    timestamps: NDArray[np.float64],
    arrivals: NDArray[np.float64] | None,
) -> Events:
    """Return events by user and time, with their steps and ages, without those taken back.

    Args:
        events: In the order of the source.
        names: `m` kinds of event.
        timestamps: `(m,)`, times or positions in the source.
        arrivals: `(n,)`, times at which items arrived; None: none is known.
    """
    order = _order_events(names, events.user, events.item, timestamps)
    newest_first = -timestamps[order] if events.has_times else np.zeros(len(order))
    return replace(
        events,
        user=events.user[order],
        item=events.item[order],
        step=compute_steps(events.user[order], timestamps[order]),
        age=_compute_ages(newest_first),
        arrival_ages=(
            np.zeros(0, np.float32)
            if arrivals is None or not events.has_times
            else _compute_arrival_ages(-arrivals, newest_first)
        ),
        liking=events.liking[order],
        strength=events.strength[order],
        context_words=events.context_words[order],
    )


def _find_timestamps(events: Sequence[Interaction]) -> tuple[NDArray[np.float64], bool]:
    """Return the times of `m` events, `(m,)`, and whether they are times.

    Else they are the positions of the events in the source.
    """
    has_times = bool(events) and all(event.at is not None for event in events)
    if has_times:
        return np.array([event.at for event in events], np.float64), True
    return np.arange(len(events), dtype=np.float64), False


def _order_events(
    names: Sequence[str],
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    timestamps: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the positions of `m` events by user and time, without those that were taken back."""
    order = np.lexsort((item, timestamps, user))
    pair = user.astype(np.int64) * (int(item.max(initial=0)) + 1) + item
    undone = mark_undone([names[position] for position in order.tolist()], pair[order])
    kept: NDArray[np.int64] = order[~undone]
    return kept


def _keep_telling(
    events: Sequence[Interaction], own_weights: Mapping[str, float]
) -> list[Interaction]:
    """Return the events of kinds that have a weight."""
    scale = EventScale(own_weights=tuple(own_weights.items()))
    tells = {name: bool(scale.find_weight(name)) for name in {event.event for event in events}}
    return [event for event in events if tells[event.event]]


def compute_steps(user: NDArray[np.int32], timestamps: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the rank of each event's time among the times of its user, `(m,) int32` from 0.

    Args:
        user: `(m,)`, sorted.
        timestamps: `(m,)`, ascending within a user.
    """
    if len(user) == 0:
        return np.zeros(0, np.int32)
    new_user = np.r_[True, user[1:] != user[:-1]]
    advance = np.r_[False, timestamps[1:] != timestamps[:-1]] & ~new_user
    running = np.cumsum(advance)
    first = np.maximum.accumulate(np.where(new_user, np.arange(len(user)), 0))
    steps: NDArray[np.int32] = (running - running[first]).astype(np.int32)
    return steps


def _compute_ages(newest_first: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the share of events that are strictly newer, `(m,)`.

    Args:
        newest_first: `(m,)`, smaller for newer events.
    """
    values, inverse, counts = np.unique(newest_first, return_inverse=True, return_counts=True)
    newer = np.cumsum(counts) - counts
    share: NDArray[np.float32] = (newer[inverse] / max(len(newest_first), 1)).astype(np.float32)
    return share if len(values) > 1 else np.zeros(len(newest_first), np.float32)


def _compute_arrival_ages(
    arrivals: NDArray[np.floating], newest_first: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the share of events that are not older than each of some arrivals, `(n,)`.

    Args:
        arrivals: `(n,)`, smaller for later ones, NaN where unknown; empty: nothing is known.
        newest_first: `(m,)`, of the events, in the same unit.
    """
    newer = np.searchsorted(np.sort(newest_first), arrivals, side="right")
    share = newer / max(len(newest_first), 1)
    return np.where(np.isnan(arrivals), np.nan, share).astype(np.float32)


def _encode_context(
    events: Sequence[Interaction], columns: Sequence[str]
) -> tuple[NDArray[np.int32], tuple[tuple[str, ...], ...]]:
    """Return the numbers of the context words `(m, c)`, and the words of each column."""
    words = np.full((len(events), len(columns)), NO_WORD, np.int32)
    vocabulary = []
    for c, column in enumerate(columns):
        known = sorted({e.context[column] for e in events if column in e.context})
        numbers = {word: number for number, word in enumerate(known)}
        words[:, c] = [_encode_word(e.context, column, numbers) for e in events]
        vocabulary.append(tuple(known))
    return words, tuple(vocabulary)


def _encode_word(context: Mapping[str, str], column: str, numbers: Mapping[str, int]) -> int:
    return numbers[context[column]] if column in context else NO_WORD
