"""Interactions to arrays of events: user, item, order, age, liking and context of each. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer.reading import Event, Interaction, infer_rating_scale

POSITIVE_SHARE = 0.8  # of the top of the rating scale is liking: 4 of 5, 8 of 10, 1 of 0/1
NO_WORD = -1

_DISLIKING_EVENTS = (Event.DISLIKE, Event.SKIP)
# Where there are ratings, only these other events mean liking; a view or a click does not.
_LIKING_EVENTS = (Event.LIKE, Event.PURCHASE, Event.FINISH)


@dataclass(frozen=True, slots=True)
class Events:
    """`m` events with items of the catalogue, sorted by user and then by time.

    Attributes:
        user: `(m,) int32`, users numbered from 0.
        item: `(m,) int32`, row in the catalogue.
        step: `(m,) int32`, rank of the event's time among the times of its user, from 0; equal for
            simultaneous events.
        age: `(m,) float32`, share of all events that are newer, in [0, 1); zeros without times.
        liking: `(m,) float32`, 1 liked, 0 neither, -1 disliked.
        context_words: `(m, c) int32`, number of the context word by column; `NO_WORD` where there
            is none.
        context_columns: The `c` context columns.
        vocabulary: For each column its words, in the order of their numbers.
        like_from: The least rating that is liking; None if no event is a rating.
        n_items: Rows of the catalogue.
        has_times: Whether every event has a time, so that users can be compared by it.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    step: NDArray[np.int32]
    age: NDArray[np.float32]
    liking: NDArray[np.float32]
    context_words: NDArray[np.int32]
    context_columns: tuple[str, ...]
    vocabulary: tuple[tuple[str, ...], ...]
    like_from: float | None
    n_items: int
    has_times: bool

    def __len__(self) -> int:
        return len(self.user)

    @property
    def is_liked(self) -> NDArray[np.bool_]:
        """`(m,) bool`."""
        return self.liking > 0

    def select(self, keep: NDArray[np.bool_]) -> "Events":
        """Return the events of a mask `(m,)`; ages are computed anew among them."""
        return replace(
            self,
            user=self.user[keep],
            item=self.item[keep],
            step=self.step[keep],
            age=_compute_ages(self.age[keep]),
            liking=self.liking[keep],
            context_words=self.context_words[keep],
        )


def build_events(interactions: Sequence[Interaction], item_ids: Sequence[str]) -> Events:
    """Sort interactions by user and time into arrays; those with unknown items are left out.

    Unless every one of them has a time, the order of the interactions is taken as their order.
    """
    rows = {item_id: row for row, item_id in enumerate(item_ids)}
    known = [event for event in interactions if event.item_id in rows]
    has_times = bool(known) and all(event.at is not None for event in known)
    users: dict[str, int] = {}
    user = np.array([users.setdefault(e.user_id, len(users)) for e in known], np.int32)
    item = np.array([rows[e.item_id] for e in known], np.int32)
    timestamps = (
        np.array([e.at for e in known], np.float64)
        if has_times
        else np.arange(len(known), dtype=float)
    )
    order = np.lexsort((item, timestamps, user))
    columns = tuple(sorted({name for e in known for name in e.context}))
    words, vocabulary = _encode_context(known, columns)
    newest_first = -timestamps if has_times else np.zeros(len(known))
    names = [event.event for event in known]
    values = np.array([np.nan if e.value is None else e.value for e in known], np.float64)
    like_from = find_like_threshold(names, values)
    return Events(
        user=user[order],
        item=item[order],
        step=compute_steps(user[order], timestamps[order]),
        age=_compute_ages(newest_first[order].astype(np.float64)),
        liking=compute_likings(names, values, like_from=like_from)[order],
        context_words=words[order],
        context_columns=columns,
        vocabulary=vocabulary,
        like_from=like_from,
        n_items=len(item_ids),
        has_times=has_times,
    )


def find_like_threshold(events: Sequence[str], values: NDArray[np.float64]) -> float | None:
    """Return the least rating that is liking, or None if there are no ratings.

    Args:
        events: Names of events.
        values: `(m,)`, their values; NaN where there is none.
    """
    rated = _is_rating(events) & ~np.isnan(values)
    if not rated.any():
        return None
    return POSITIVE_SHARE * infer_rating_scale(values[rated].tolist())[1]


def compute_likings(
    events: Sequence[str], values: NDArray[np.float64], *, like_from: float | None
) -> NDArray[np.float32]:
    """Return `(m,) float32`, 1 liked, 0 neither, -1 disliked.

    Args:
        events: Names of events.
        values: `(m,)`, NaN where there is none; only those of ratings are used.
        like_from: From `find_like_threshold`; with None every event except dislike and skip is
            liking.
    """
    disliked = _is_any(events, _DISLIKING_EVENTS)
    if like_from is None:
        return np.where(disliked, -1, 1).astype(np.float32)
    liked = _is_any(events, _LIKING_EVENTS)
    liked |= _is_rating(events) & (np.nan_to_num(values, nan=-np.inf) >= like_from)
    return np.where(disliked, -1, liked).astype(np.float32)


def _is_rating(events: Sequence[str]) -> NDArray[np.bool_]:
    return _is_any(events, (Event.RATING,))


def _is_any(events: Sequence[str], wanted: Sequence[Event]) -> NDArray[np.bool_]:
    names = {event.value for event in wanted}
    return np.fromiter((event in names for event in events), bool, len(events))


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
