"""Interactions and meaning to a taste model: tuned on held-out windows, then fitted on all."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.metrics import gains
from indexer.reading import Interaction
from indexer.taste.cases import repeat_share, windows_of
from indexer.taste.context_directions import Circumstances, fit_circumstances
from indexer.taste.events import Events, events_of
from indexer.taste.model import TasteModel
from indexer.taste.neighbours import Neighbours, fit_neighbours
from indexer.taste.prior import picks, usual_of
from indexer.taste.scorer import Blocks, Scorer
from indexer.taste.settings import TasteSettings
from indexer.taste.text_block import TextTaste, fit_text_taste
from indexer.taste.tuning import (
    PRIOR_HALF_LIVES,
    TASTE_HALF_LIVES,
    Evidence,
    gain_of,
    presets,
    tune,
)
from indexer.taste.tuning_trials import Trials, key_of

REPEAT_SHARE = 0.2  # of liked events; above it items are consumed again and again
WINDOWS = 3
MET_PICK = 0.5  # what meeting an item without liking it says for its popularity

Meaning = NDArray[np.float32]


def fit_taste(
    interactions: Sequence[Interaction] | Events,
    item_ids: Sequence[str],
    meaning: Meaning,
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    trials: Path | None = None,
) -> TasteModel:
    """Learn from interactions; without evidence the model adds nothing to zero-shot.

    Args:
        interactions: In row order, or already as columns.
        item_ids: `n` ids.
        meaning: `(n, d) float32`, of unit length.
        seed: Draws the validation cases.
        progress: Called with one sentence for each step.
        trials: File in which a killed fit finds what it has tried; the caller removes it in the
            end.
    """
    say = progress or (lambda _: None)
    events = interactions if isinstance(interactions, Events) else events_of(interactions, item_ids)
    # What was fitted to tune is gone before all is fitted: at scale both would not fit in memory.
    tried = Trials(trials, key_of(events, meaning, seed)) if trials else Trials()
    settings, report = _tuned(events, meaning, say, seed=seed, trials=tried)
    return weighted(fit_blocks(events, meaning, only=settings), settings, report)


def _tuned(
    events: Events, meaning: Meaning, say: Callable[[str], None], *, seed: int, trials: Trials
) -> tuple[TasteSettings, dict[str, Any]]:
    repeats = repeat_share(events) >= REPEAT_SHARE
    evidence = Evidence(
        [
            Scorer(fit_blocks(window.fitted, meaning), window.cases, repeats)
            for window in windows_of(events, repeats=repeats, count=WINDOWS, seed=seed)
        ],
        say,
        trials,
    )
    if trials.resumed:
        say(f"{trials.resumed} settings were tried before the last fit was stopped")
    shut = TasteSettings(like_from=events.like_from, context=events.columns)
    starts = presets(shut, timed=events.timed, repeats=repeats)
    say(f"{len(evidence)} held-out cases")
    settings = tune(evidence, shut, starts)
    return settings, _report(evidence, shut, settings, starts) | {"events": len(events)}


def refit_taste(
    interactions: Sequence[Interaction] | Events,
    item_ids: Sequence[str],
    meaning: Meaning,
    *,
    settings: TasteSettings,
) -> TasteModel:
    """Learn from interactions with settings that were tuned before: one pass, nothing is tried.

    Args:
        interactions: In row order, or already as columns; all of them.
        item_ids: `n` ids.
        meaning: `(n, d) float32`, of unit length.
        settings: Of an earlier fit.
    """
    events = interactions if isinstance(interactions, Events) else events_of(interactions, item_ids)
    kept = replace(settings, like_from=events.like_from, context=events.columns)
    return weighted(fit_blocks(events, meaning, only=kept), kept, {"events": len(events)})


def fit_blocks(events: Events, meaning: Meaning, *, only: TasteSettings | None = None) -> Blocks:
    """Fit every block in closed form, unweighted; or only those that some settings open."""
    taste_half_lives: tuple[float, ...] = TASTE_HALF_LIVES if events.timed else (0.0,)
    half_lives: tuple[float, ...] = PRIOR_HALF_LIVES if events.timed else (0.0,)
    if only is not None:
        opened = only.neighbour_weight > 0 or only.text_weight > 0
        taste_half_lives = (only.taste_half_life,) if opened else ()
        half_lives = (only.prior_half_life,)
    neighbours = {h: fit_neighbours(events, half_life=h) for h in taste_half_lives}
    with_text = only is None or only.text_weight > 0
    warm = np.zeros(events.n_items, bool)
    warm[events.item] = True
    return Blocks(
        meaning=meaning,
        neighbours=neighbours,
        text={h: fit_text_taste(near, meaning) for h, near in neighbours.items() if with_text},
        circumstances=fit_circumstances(events, meaning),
        picks={h: picks(events, half_life=h, met_weight=MET_PICK) for h in half_lives},
        warm=warm,
    )


def weighted(blocks: Blocks, settings: TasteSettings, report: dict[str, Any]) -> TasteModel:
    """Fold the weights into the blocks, so that a request's weights are 1."""
    n = len(blocks.warm)
    empty = np.zeros((n, 0), np.float32)
    opened = settings.text_weight > 0
    text = blocks.text[settings.taste_half_life] if opened else TextTaste(empty, empty)
    taste = settings.neighbour_weight > 0
    near = blocks.neighbours[settings.taste_half_life] if taste else _none(n)
    prior = blocks.prior(settings) * np.float32(settings.prior_weight)
    return TasteModel(
        targets=text.targets,
        sources=text.sources * np.float32(settings.text_weight),
        prior=prior,
        usual=usual_of(prior, blocks.picks[settings.prior_half_life]),
        neighbours=replace(near, values=near.values * np.float32(settings.neighbour_weight)),
        circumstances=Circumstances(
            blocks.circumstances.names,
            blocks.circumstances.vectors * np.float32(settings.context_weight),
        ),
        settings=settings,
        report=report,
    )


def _none(n: int) -> Neighbours:
    return Neighbours(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def _report(
    evidence: Evidence,
    shut: TasteSettings,
    settings: TasteSettings,
    starts: Sequence[TasteSettings],
) -> dict[str, Any]:
    """NDCG@10 and recall@10 on the held-out cases, against zero-shot and two cheap peers."""
    if not len(evidence):
        return {"cases": 0}
    rivals = {
        "learned": settings,
        "zero_shot": shut,
        "neighbours_only": replace(
            shut,
            meaning_weight=0.0,
            neighbour_weight=1.0,
            taste_half_life=starts[0].taste_half_life,
        ),
        "popular": replace(
            shut, meaning_weight=0.0, prior_weight=1.0, prior_half_life=starts[0].prior_half_life
        ),
    }
    figures: dict[str, Any] = {"cases": len(evidence)}
    for name, rival in rivals.items():
        ranks = evidence.ranks(rival)
        slices = {"all": ranks > 0, "cold": evidence.cold(), "new_user": evidence.new_user()}
        figures[name] = {part: _figures(ranks[which]) for part, which in slices.items()}
    return figures


def _figures(ranks: NDArray[np.int64]) -> dict[str, float]:
    if len(ranks) == 0:
        return {"cases": 0}
    return {
        "cases": len(ranks),
        "ndcg10": float(gains(ranks).mean()),
        "recall10": float((ranks <= 10).mean()),
        "gain": float(gain_of(ranks).mean()),
    }
