"""Events to the examples that the last layer of a language model is tuned on. Pure."""

import numpy as np
from numpy.typing import NDArray

from indexer.language import HISTORY_ITEMS, NO_ITEM, NextItemExamples
from indexer.taste.cases import compute_newness, find_step_starts
from indexer.taste.events import Events

MAX_ITEMS = 10_000  # the most frequent items; encoding the texts of all would take too long


def build_next_item_examples(
    events: Events, *, holdout_share: float, max_items: int = MAX_ITEMS
) -> NextItemExamples:
    """Return an example for every liked event that has an earlier liked event of its user.

    Events at the same time as the target are not part of its history.

    Args:
        events: All events.
        holdout_share: Share of the newest events to leave out, for validation.
        max_items: Only this many items, those with the most events, are used.
    """
    train = events.select(events.is_liked & (compute_newness(events) >= holdout_share))
    first = find_step_starts(train)
    history = np.full((len(train), HISTORY_ITEMS), NO_ITEM, np.int32)
    for back in range(HISTORY_ITEMS):
        earlier = first - 1 - back
        same_user = earlier >= 0
        same_user[same_user] = train.user[earlier[same_user]] == train.user[same_user]
        history[same_user, back] = train.item[earlier[same_user]]
    return NextItemExamples(history, train.item).keep_known(_find_most_frequent(train, max_items))


def _find_most_frequent(events: Events, max_items: int) -> NDArray[np.bool_]:
    """Return `(n,) bool`, the items with the most events; of equal ones the lower row."""
    counts = np.bincount(events.item, minlength=events.n_items)
    is_frequent = np.zeros(events.n_items, bool)
    is_frequent[np.argsort(-counts, kind="stable")[:max_items]] = True
    return is_frequent & (counts > 0)
