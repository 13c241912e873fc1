"""Events to held-out questions: what was known before a liked event, and which item it was."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.context_directions import find_word_rows
from indexer.taste.events import NO_WORD, Events
from indexer.taste.history import History

NEW_USER_EVENTS = 3  # of history at most
WINDOW_SHARE = 0.1
_MAX_HISTORY = 500
_MAX_SCORES = 8_000_000  # cases x items held at once, for each block
_MIN_CASES, _MAX_CASES = 100, 1000


@dataclass(frozen=True, slots=True)
class HoldoutCases:
    """Questions with known answers.

    Attributes:
        target: `(c,) int64`, the item picked.
        user: `(c,) int64`.
        cold: `(c,) bool`, whether the target has no event in the fitted part.
        new_user: `(c,) bool`, whether the history has at most `NEW_USER_EVENTS`.
        entry_case: `(h,) int64`, the case of each history entry; entries in time order.
        history: The `h` history entries of all cases.
        context_rows: `(c, columns) int64`, rows of the context words of now; see `find_word_rows`.
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


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the events to fit on and the questions that followed it."""

    train: Events
    cases: HoldoutCases


def split_windows(events: Events, *, repeats: bool, count: int, seed: int) -> list[Window]:
    """Cut the newest tenth of the events off, then the tenth before it, and so on.

    With times the cut is one moment for all; without, each user's last events are held out.

    Args:
        events: All that may be known.
        repeats: Whether an item of the history may be the answer.
        count: How many windows.
        seed: Draws the cases where there are more than fit.
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
            windows.append(Window(events.select(in_train), cases))
    return windows


def compute_newness(events: Events) -> NDArray[np.float32]:
    """Return `(m,)`, the share of events that are newer: of all, or without times of its user."""
    return events.age if events.has_times else _compute_share_after(events)


def compute_repeat_share(events: Events) -> float:
    """Return the share of liked events whose item the user had met before."""
    liked = np.flatnonzero(events.is_liked)
    if len(liked) == 0:
        return 0.0
    return float((~_find_first_interactions(events))[liked].mean())


def _find_first_interactions(events: Events) -> NDArray[np.bool_]:
    """Whether no earlier moment of the user has the item."""
    pair = events.user.astype(np.int64) * events.n_items + events.item
    _, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    is_first: NDArray[np.bool_] = events.step <= events.step[first][inverse]
    return is_first


def _compute_share_after(events: Events) -> NDArray[np.float32]:
    """Share of the user's events that come later; the last one is always in the first window."""
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
    limit = int(np.clip(_MAX_SCORES // max(events.n_items, 1), _MIN_CASES, _MAX_CASES))
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
            context_match=_compute_context_match(
                events.context_words[entry], events.context_words[chosen][case]
            ),
        ),
        context_rows=find_word_rows(events, events.context_words[chosen]),
    )


def _compute_step_offsets(events: Events) -> NDArray[np.int64]:
    """Rows of the same moment that come before each row."""
    return np.arange(len(events)) - find_step_starts(events)


def find_step_starts(events: Events) -> NDArray[np.int64]:
    """First row of each row's moment."""
    positions = np.arange(len(events))
    return np.maximum.accumulate(np.where(_is_step_start(events), positions, 0))


def _find_step_ends(events: Events) -> NDArray[np.int64]:
    """Last row of each row's moment."""
    starts = np.flatnonzero(_is_step_start(events))
    ends = np.r_[starts[1:], len(events)] - 1
    end: NDArray[np.int64] = ends[np.cumsum(_is_step_start(events)) - 1]
    return end


def _is_step_start(events: Events) -> NDArray[np.bool_]:
    changes = (events.user[1:] != events.user[:-1]) | (events.step[1:] != events.step[:-1])
    new: NDArray[np.bool_] = np.r_[np.ones(min(len(events), 1), bool), changes]
    return new


def _compute_context_match(
    past_words: NDArray[np.int32], current_words: NDArray[np.int32]
) -> NDArray[np.float32]:
    known = current_words != NO_WORD
    equal = ((past_words == current_words) & known).sum(axis=1)
    share: NDArray[np.float32] = (equal / np.maximum(known.sum(axis=1), 1)).astype(np.float32)
    return share
