"""Events to what was picked after what: the lessons of a language model. Pure."""

import numpy as np
from numpy.typing import NDArray

from indexer.language import HISTORY_ITEMS, NO_ITEM, NextItemExamples
from indexer.taste.cases import compute_newness, find_step_starts
from indexer.taste.events import Events

MAX_ITEMS = 10_000  # whose texts are learned from: the most met


def build_next_item_examples(
    events: Events, *, holdout_share: float, max_items: int = MAX_ITEMS
) -> NextItemExamples:
    """Return every liked event that has a liked one of an earlier moment before it.

    Args:
        events: All of them.
        holdout_share: Share that is kept for judging.
        max_items: Of the catalogue; what is met less often than these is left out.
    """
    old = events.select(events.is_liked & (compute_newness(events) >= holdout_share))
    first = find_step_starts(old)
    past = np.full((len(old), HISTORY_ITEMS), NO_ITEM, np.int32)
    for back in range(HISTORY_ITEMS):
        earlier = first - 1 - back
        same = earlier >= 0
        same[same] = old.user[earlier[same]] == old.user[same]
        past[same, back] = old.item[earlier[same]]
    return NextItemExamples(past, old.item).keep_known(_find_most_frequent(old, max_items))


def _find_most_frequent(events: Events, max_items: int) -> NDArray[np.bool_]:
    """`(n,)`; ties go to the first row."""
    counts = np.bincount(events.item, minlength=events.n_items)
    known = np.zeros(events.n_items, bool)
    known[np.argsort(-counts, kind="stable")[:max_items]] = True
    return known & (counts > 0)
