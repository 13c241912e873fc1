"""Hold-out windows to their scorers, over all items or, in a large catalogue, over a sample.

The sample is the same for all windows. What may come near the top is in it for certain: the
targets, the first items of every case under a few settings, and the items with the most events.
Settings that put other items first seem better than they are (see `candidate_sample`), so the
sample is drawn anew with the first items of settings that win.
"""

from collections.abc import Callable, Sequence

import numpy as np

from indexer.arrays import Rows
from indexer.taste.blocks import TasteBlocks
from indexer.taste.candidate_sample import CandidateSample, alternate, draw_sample
from indexer.taste.cases import MAX_COMPARED_ITEMS, MAX_LARGE_SCORES, Window
from indexer.taste.catalogue_ranking import rank_in_tiles
from indexer.taste.events import Events
from indexer.taste.scorer import Scorer
from indexer.taste.settings import TasteSettings

FIRST_COUNT = 50  # items of each case and setting, as many as a rank may be to count for anything


def build_scorers(
    events: Events,
    windows: Sequence[Window],
    fit: Callable[[Events], TasteBlocks],
    *,
    repeats: bool,
    probes: Sequence[TasteSettings],
    seed: int,
) -> list[Scorer]:
    """Return a scorer for each window.

    Args:
        events: All events.
        windows: Of the events.
        fit: Fits the blocks of a window on its older events.
        repeats: Whether items of the history may be recommended again.
        probes: Settings whose first items are compared for certain.
        seed: Of the random draw of other items.
    """
    scorers = [
        Scorer(fit(window.train), window.cases, repeats, window.later_rows) for window in windows
    ]
    if events.n_items <= MAX_COMPARED_ITEMS or not scorers:
        return scorers
    sample = _sample_items(events, scorers, probes, seed)
    return [scorer.look_at(sample) for scorer in scorers]


def widen_sample(
    scorers: Sequence[Scorer], first_rows: Rows, *, rng_seed: Sequence[int]
) -> list[Scorer]:
    """Return the scorers with a sample, as large, that has some first items of the cases.

    They take turns with what was compared for certain, the targets before all; the others are drawn
    anew.

    Args:
        scorers: They have one sample, or none and are returned as they are.
        first_rows: `(c, k)`, of all cases, best first.
        rng_seed: Of the random draw.
    """
    sample = scorers[0].sample
    if sample is None:
        return list(scorers)
    wider = draw_sample(
        scorers[0].blocks.meaning,
        _collect_targets(scorers),
        alternate(_order_by_place(first_rows), sample.rows[: sample.certain_count]),
        size=len(sample),
        rng=np.random.default_rng(rng_seed),
    )
    return [scorer.look_at(wider) for scorer in scorers]


def _collect_targets(scorers: Sequence[Scorer]) -> Rows:
    return np.concatenate([scorer.cases.target for scorer in scorers])


def _sample_items(
    events: Events, scorers: Sequence[Scorer], probes: Sequence[TasteSettings], seed: int
) -> CandidateSample:
    most_cases = max(len(scorer.cases) for scorer in scorers)
    return draw_sample(
        scorers[0].blocks.meaning,
        _collect_targets(scorers),
        alternate(_find_first_rows(scorers, probes), _order_by_events(events)),
        size=min(MAX_COMPARED_ITEMS, MAX_LARGE_SCORES // most_cases),
        rng=np.random.default_rng(seed),
    )


def _find_first_rows(scorers: Sequence[Scorer], probes: Sequence[TasteSettings]) -> Rows:
    """Return the first items of all cases by each of some settings, see `_order_by_place`."""
    found = [
        ranked.rows for scorer in scorers for ranked in rank_in_tiles(scorer, probes, FIRST_COUNT)
    ]
    return _order_by_place(np.concatenate(found))


def _order_by_place(first_rows: Rows) -> Rows:
    """Return the distinct rows of `(c, k)`: what is first in any case, then what is second, on."""
    by_place: Rows = first_rows.T.ravel()
    _, first = np.unique(by_place, return_index=True)
    return by_place[np.sort(first)]


def _order_by_events(events: Events) -> Rows:
    """Return the items that have any event, those with the most first."""
    counts = np.bincount(events.item, minlength=events.n_items)
    order: Rows = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return order
