"""Events to what was picked after what: the lessons of a language model. Pure."""

import numpy as np
from numpy.typing import NDArray

from indexer.language import NONE, PAST_ITEMS, Sequels
from indexer.taste.cases import newness_of, step_start
from indexer.taste.events import Events

MOST_ITEMS = 10_000  # whose texts are learned from: the most met


def sequels_of(events: Events, *, newest_left_out: float, most_items: int = MOST_ITEMS) -> Sequels:
    """Return every liked event that has a liked one of an earlier moment before it.

    Args:
        events: All of them.
        newest_left_out: Share that is kept for judging.
        most_items: Of the catalogue; what is met less often than these is left out.
    """
    old = events.where(events.liked & (newness_of(events) >= newest_left_out))
    first = step_start(old)
    past = np.full((len(old), PAST_ITEMS), NONE, np.int32)
    for back in range(PAST_ITEMS):
        earlier = first - 1 - back
        same = earlier >= 0
        same[same] = old.user[earlier[same]] == old.user[same]
        past[same, back] = old.item[earlier[same]]
    return Sequels(past, old.item).among(_most_met(old, most_items))


def _most_met(events: Events, most: int) -> NDArray[np.bool_]:
    """`(n,)`; ties go to the first row."""
    met = np.bincount(events.item, minlength=events.n_items)
    known = np.zeros(events.n_items, bool)
    known[np.argsort(-met, kind="stable")[:most]] = True
    return known & (met > 0)
