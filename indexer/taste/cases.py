"""Events to hold-out cases: the history before a liked event, and the item that was liked. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.context_directions import find_word_rows
from indexer.taste.events import NO_WORD, Events
from indexer.taste.history import History

NEW_USER_EVENTS = 3  # a user with a history of at most this many events is new
WINDOW_SHARE = 0.1  # of all events
_MAX_HISTORY = 500
MAX_SCORES = 8_000_000  # cases times items, scores in memory at once for each block
MAX_COMPARED_ITEMS = 100_000  # in a larger catalogue, targets are compared with a sample
MAX_LARGE_SCORES = 16_000_000  # cases times items there, of a sample or of all items in turn
_MIN_CASES, _MAX_CASES = 100, 1000
_CASES_OF_SAMPLE = 300


@dataclass(frozen=True, slots=True)
class HoldoutCases:
    """`c` held-out liked events, each with the history of its user before it.

    Attributes:
        target: `(c,) int64`, row of the liked item.
        user: `(c,) int64`.
        cold: `(c,) bool`, whether the target has no event in the training part.
        new_user: `(c,) bool`, whether the history has at most `NEW_USER_EVENTS` events.
        entry_case: `(h,) int64`, the case of each history entry, ascending; entries of a case are
            in time order.
        history: The `h` history entries of all cases.
        context_rows: `(c, columns) int64`, rows of the target's context words; see
            `find_word_rows`.
    """

    target: NDArray[np.int64]
    user: NDArray[np.int64]
    cold: NDArray[np.bool_]
    new_user: NDArray[np.bool_]
    entry_case: NDArray[np.int64]
    history: History
    context_rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.target)

    def take_slice(self, numbers: slice) -> "HoldoutCases":
        """Return a slice of the cases, without a step."""
        first, last = np.searchsorted(self.entry_case, (numbers.start, numbers.stop))
        history = self.history
        return HoldoutCases(
            target=self.target[numbers],
            user=self.user[numbers],
            cold=self.cold[numbers],
            new_user=self.new_user[numbers],
            entry_case=self.entry_case[first:last] - numbers.start,
            history=History(
                row=history.row[first:last],
                age=history.age[first:last],
                liking=history.liking[first:last],
                strength=history.strength[first:last],
                context_match=history.context_match[first:last],
            ),
            context_rows=self.context_rows[numbers],
        )


@dataclass(frozen=True, slots=True)
class Window:
    """Events to fit on, and cases from the events that follow them.

    Attributes:
        train: The events to fit on.
        cases: The cases.
        later_rows: `(m,) int64`, items that arrived after the window, which could not be picked.
    """

    train: Events
    cases: HoldoutCases
    later_rows: NDArray[np.int64]


def split_windows(events: Events, *, repeats: bool, count: int, seed: int) -> list[Window]:
    """Hold out the newest tenth of the events, then the tenth before it, and so on.

    With times all users are cut at the same time; without, each user's last events are held out. A
    window without cases or without events to fit on is left out.

    Args:
        events: All events.
        repeats: Whether an item of the history may be the target.
        count: Number of windows.
        seed: Of the random choice of cases where there are too many.
    """
    newness = compute_newness(events)
    rng = np.random.default_rng(seed)
    windows = []
    for number in range(count):
        newer, older = number * WINDOW_SHARE, (number + 1) * WINDOW_SHARE
        in_train = newness >= older
        is_target = (newness < older) & (newness >= newer) & events.is_liked
        cases = _build_cases(events, is_target, in_train, rng, repeats=repeats)
        if len(cases) and in_train.any():
            later_rows = _find_later_rows(events, newer, newness >= newer)
            windows.append(Window(events.select(in_train), cases, later_rows))
    return windows


def _find_later_rows(
    events: Events, newer: float, is_earlier: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the items that arrived after a window and had no event before its end, `(m,) int64`.

    Args:
        events: All events.
        newer: Share of the events that came after the window.
        is_earlier: `(m,)`, which did not.
    """
    if not len(events.arrival_ages):
        return np.zeros(0, np.int64)
    is_later = events.arrival_ages < newer  # never where it is not known
    is_later[events.item[is_earlier]] = False
    return np.flatnonzero(is_later)


def compute_newness(events: Events) -> NDArray[np.float32]:
    """Return the share of newer events for each event, `(m,)`.

    With times it is of all events, otherwise of the events of the same user.
    """
    return events.age if events.has_times else _compute_share_after(events)


def compute_repeat_share(events: Events) -> float:
    """Return the share of liked events whose item its user had an earlier event with."""
    liked = np.flatnonzero(events.is_liked)
    if len(liked) == 0:
        return 0.0
    return float((~_find_first_interactions(events))[liked].mean())


def _find_first_interactions(events: Events) -> NDArray[np.bool_]:
    """Return `(m,) bool`: whether the user has no event with the item at an earlier time."""
    pair = events.user.astype(np.int64) * events.n_items + events.item
    _, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    is_first: NDArray[np.bool_] = events.step <= events.step[first][inverse]
    return is_first


def _compute_share_after(events: Events) -> NDArray[np.float32]:
    """Return the share of the user's events that come later, `(m,)`.

    For users with fewer than ten events it is a share of ten, so that each window holds out one.
    """
    m = len(events)
    last = np.searchsorted(events.user, events.user, side="right")
    total = last - np.searchsorted(events.user, events.user)
    later = last - 1 - np.arange(m)
    share: NDArray[np.float32] = (later / np.maximum(total, 1 / WINDOW_SHARE)).astype(np.float32)
    return share


def _build_cases(
    events: Events,
    is_target: NDArray[np.bool_],
    in_train: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    repeats: bool,
) -> HoldoutCases:
    chosen = np.flatnonzero(is_target if repeats else is_target & _find_first_interactions(events))
    limit = _count_most_cases(events.n_items)
    if len(chosen) > limit:
        chosen = np.sort(rng.choice(chosen, limit, replace=False))
    first = np.searchsorted(events.user, events.user[chosen])
    step_first = chosen - _compute_step_offsets(events)[chosen]
    start = np.maximum(first, step_first - _MAX_HISTORY)
    length = step_first - start
    case = np.repeat(np.arange(len(chosen)), length)
    position = np.arange(len(case)) - np.repeat(np.cumsum(length) - length, length)
    entry = start[case] + position
    warm = np.zeros(events.n_items, bool)
    warm[events.item[in_train]] = True
    return HoldoutCases(
        target=events.item[chosen].astype(np.int64),
        user=events.user[chosen].astype(np.int64),
        cold=~warm[events.item[chosen]],
        new_user=step_first - first <= NEW_USER_EVENTS,
        entry_case=case,
        history=History(
            row=events.item[entry].astype(np.int64),
            age=(step_first[case] - 1 - _find_step_ends(events)[entry]).astype(np.float32),
            liking=events.liking[entry],
            strength=events.strength[entry],
            context_match=_compute_context_match(
                events.context_words[entry], events.context_words[chosen][case]
            ),
        ),
        context_rows=find_word_rows(events, events.context_words[chosen]),
    )


def _count_most_cases(n_items: int) -> int:
    if n_items > MAX_COMPARED_ITEMS:
        return _CASES_OF_SAMPLE
    return int(np.clip(MAX_SCORES // max(n_items, 1), _MIN_CASES, _MAX_CASES))


def _compute_step_offsets(events: Events) -> NDArray[np.int64]:
    """Return how many events of the same user and time come before each event, `(m,)`."""
    return np.arange(len(events)) - find_step_starts(events)


def find_step_starts(events: Events) -> NDArray[np.int64]:
    """Return the position of the first event of the same user and time, `(m,)`."""
    positions = np.arange(len(events))
    return np.maximum.accumulate(np.where(_is_step_start(events), positions, 0))


def _find_step_ends(events: Events) -> NDArray[np.int64]:
    """Return the position of the last event of the same user and time, `(m,)`."""
    starts = np.flatnonzero(_is_step_start(events))
    ends = np.r_[starts[1:], len(events)] - 1
    end: NDArray[np.int64] = ends[np.cumsum(_is_step_start(events)) - 1]
    return end


def _is_step_start(events: Events) -> NDArray[np.bool_]:
    changes = (events.user[1:] != events.user[:-1]) | (events.step[1:] != events.step[:-1])
    is_start: NDArray[np.bool_] = np.r_[np.ones(min(len(events), 1), bool), changes]
    return is_start


def _compute_context_match(
    past_words: NDArray[np.int32], current_words: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return the share of the current context words that the past event has too, `(h,)`."""
    known = current_words != NO_WORD
    equal = ((past_words == current_words) & known).sum(axis=1)
    share: NDArray[np.float32] = (equal / np.maximum(known.sum(axis=1), 1)).astype(np.float32)
    return share
