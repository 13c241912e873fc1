"""Interactions and meaning vectors to a taste model.

Settings are tuned on held-out windows; the blocks are then fitted on all events.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.metrics import compute_ndcg10
from indexer.reading import Interaction
from indexer.taste.blocks import TasteBlocks
from indexer.taste.cases import compute_repeat_share, split_windows
from indexer.taste.context_directions import ContextDirections, fit_context_directions
from indexer.taste.events import Events, build_events
from indexer.taste.holdout_evaluation import HoldoutEvaluation, compute_rank_gains
from indexer.taste.model import TasteModel
from indexer.taste.neighbours import Neighbours, fit_neighbours_of_half_lives
from indexer.taste.prior import count_picks
from indexer.taste.scorer import Scorer
from indexer.taste.settings import TasteSettings
from indexer.taste.text_block import TextBlock
from indexer.taste.tuning import (
    PRIOR_HALF_LIVES,
    TASTE_HALF_LIVES,
    build_presets,
    has_lead,
    tune,
)
from indexer.taste.tuning_trials import TuningTrials, compute_trials_key
from indexer.taste.window_scorers import build_scorers

MIN_REPEAT_SHARE = 0.2  # share of repeated liked events from which users may get seen items again
WINDOW_COUNT = 3
_MIN_OLDER_CASES = 600
_PROBED_TEXT_WEIGHT = 2.0  # so that new items that taste finds by text are compared for certain
MET_PICK_WEIGHT = 0.5  # of an event that is not liking, in the popularity of its item

Meaning = NDArray[np.float32]


def fit_taste(
    interactions: Sequence[Interaction] | Events,
    item_ids: Sequence[str],
    meaning: Meaning,
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    trials_path: Path | None = None,
) -> TasteModel:
    """Tune and fit a taste model; without enough evidence it adds nothing to the meaning scores.

    Args:
        interactions: In the order of the source, or already as `Events`.
        item_ids: `n` ids, in row order.
        meaning: `(n, d) float32`, of unit length.
        seed: Of the random choice of validation cases.
        progress: Called with one sentence for each step.
        trials_path: File of the trials so far, from which a killed fit goes on; the caller removes
            it after the fit.

    Returns:
        The model. Its report holds, as `without_newest`, the settings tuned without the newest
        tenth of the events, if they have times and there are enough.
    """
    report_progress = progress or (lambda _: None)
    events = (
        interactions if isinstance(interactions, Events) else build_events(interactions, item_ids)
    )
    tuning_trials = (
        TuningTrials(trials_path, compute_trials_key(events, meaning, seed))
        if trials_path
        else TuningTrials()
    )
    # A function of its own, so that the blocks of the windows are freed before the final fit: both
    # may not fit in memory.
    settings, report = _tune_settings(
        events, meaning, report_progress, seed=seed, trials=tuning_trials
    )
    return fold_weights(fit_blocks(events, meaning, settings=settings), settings, report)


def _tune_settings(
    events: Events,
    meaning: Meaning,
    report_progress: Callable[[str], None],
    *,
    seed: int,
    trials: TuningTrials,
) -> tuple[TasteSettings, dict[str, Any]]:
    repeats = compute_repeat_share(events) >= MIN_REPEAT_SHARE
    zero_shot = TasteSettings(scale=events.scale, context=events.context_columns)
    starts = build_presets(zero_shot, has_times=events.has_times, repeats=repeats)
    scorers = build_scorers(
        events,
        split_windows(events, repeats=repeats, count=WINDOW_COUNT, seed=seed),
        lambda train: fit_blocks(train, meaning),
        repeats=repeats,
        probes=[zero_shot, *starts, replace(starts[0], text_weight=_PROBED_TEXT_WEIGHT)],
        seed=seed,
    )
    holdout = HoldoutEvaluation(scorers, report_progress, trials, seed)
    if trials.resumed_count:
        report_progress(
            f"{trials.resumed_count} settings were tried before the last fit was stopped"
        )
    sample = scorers[0].sample if scorers else None
    items = f", each compared with {len(sample):,} of {events.n_items:,} items" if sample else ""
    report_progress(f"{len(holdout)} held-out cases{items}")
    settings = tune(holdout, zero_shot, starts)
    report = _build_report(holdout, zero_shot, settings, starts) | {"events": len(events)}
    if last_sample := holdout.scorers[0].sample if scorers else None:
        report["compared"] = last_sample.summarise()
    if events.has_times:
        report |= _tune_without_newest(holdout, zero_shot, starts)
    return settings, report


def _tune_without_newest(
    holdout: HoldoutEvaluation, zero_shot: TasteSettings, starts: Sequence[TasteSettings]
) -> dict[str, Any]:
    """Tune on all windows but the newest, whose events may then judge the settings.

    Most of the settings that this tries have been tried on all windows, so that it takes a part of
    the time of another fit.

    Returns:
        The settings as `without_newest`; nothing if too few cases are left for a fair comparison
        with settings that were tuned on all.
    """
    older = holdout.drop_newest() if len(holdout) else holdout
    if len(older) < _MIN_OLDER_CASES:
        return {}
    return {"without_newest": asdict(tune(older, zero_shot, starts))}


def refit_taste(
    interactions: Sequence[Interaction] | Events,
    item_ids: Sequence[str],
    meaning: Meaning,
    *,
    settings: TasteSettings,
) -> TasteModel:
    """Fit a taste model with the settings of an earlier fit, without tuning.

    Args:
        interactions: All of them, in the order of the source, or already as `Events`.
        item_ids: `n` ids, in row order.
        meaning: `(n, d) float32`, of unit length.
        settings: Of an earlier fit.
    """
    events = (
        interactions
        if isinstance(interactions, Events)
        else build_events(interactions, item_ids, dict(settings.scale.own_weights))
    )
    scale = events.scale if len(events) else settings.scale
    kept = replace(settings, scale=scale, context=events.context_columns)
    return fold_weights(fit_blocks(events, meaning, settings=kept), kept, {"events": len(events)})


def confirm_taste(
    interactions: Sequence[Interaction] | Events,
    item_ids: Sequence[str],
    meaning: Meaning,
    *,
    settings: TasteSettings,
) -> TasteModel:
    """Fit with given settings if held-out events support them, else return what learns nothing.

    Args:
        interactions: In the order of the source, or already as `Events`.
        item_ids: `n` ids, in row order.
        meaning: `(n, d) float32`, of unit length.
        settings: To be confirmed, such as those that were tuned on more interactions.
    """
    events = (
        interactions
        if isinstance(interactions, Events)
        else build_events(interactions, item_ids, dict(settings.scale.own_weights))
    )
    settings = replace(settings, scale=events.scale, context=events.context_columns)
    if not events.has_times:
        settings = replace(settings, taste_half_life=0.0, prior_half_life=0.0)
    zero_shot = TasteSettings(scale=events.scale, context=events.context_columns)
    repeats = compute_repeat_share(events) >= MIN_REPEAT_SHARE
    windows = split_windows(events, repeats=repeats, count=WINDOW_COUNT, seed=0)
    holdout = HoldoutEvaluation(
        [
            Scorer(
                fit_blocks(window.train, meaning, settings=settings),
                window.cases,
                repeats,
                window.later_rows,
            )
            for window in windows
        ]
    )
    chosen = settings if has_lead(holdout, settings, zero_shot) else zero_shot
    return refit_taste(events, item_ids, meaning, settings=chosen)


def fit_blocks(
    events: Events, meaning: Meaning, *, settings: TasteSettings | None = None
) -> TasteBlocks:
    """Fit every block in closed form, unweighted; the text blocks follow when they are used.

    Args:
        events: The events to fit on.
        meaning: `(n, d) float32`, of unit length.
        settings: Fit only the blocks and half-lives that these use; None: all that tuning may try.
    """
    taste_half_lives: tuple[float, ...] = TASTE_HALF_LIVES if events.has_times else (0.0,)
    half_lives: tuple[float, ...] = PRIOR_HALF_LIVES if events.has_times else (0.0,)
    if settings is not None:
        uses_neighbours = settings.neighbour_weight > 0 or settings.text_weight > 0
        taste_half_lives = (settings.taste_half_life,) if uses_neighbours else ()
        half_lives = (settings.prior_half_life,)
    neighbours = fit_neighbours_of_half_lives(events, taste_half_lives)
    return TasteBlocks(
        meaning=meaning,
        neighbours=neighbours,
        context_directions=fit_context_directions(events, meaning),
        pick_counts={
            h: count_picks(events, half_life=h, met_weight=MET_PICK_WEIGHT) for h in half_lives
        },
        arrival_ages=events.arrival_ages,
    )


def fold_weights(
    blocks: TasteBlocks, settings: TasteSettings, report: dict[str, Any]
) -> TasteModel:
    """Multiply the blocks by the weights of the settings, and return them as a model."""
    n = len(blocks.meaning)
    empty = np.zeros((n, 0), np.float32)
    has_text = settings.text_weight > 0
    text = blocks.find_text(settings.taste_half_life) if has_text else TextBlock(empty, empty)
    has_neighbours = settings.neighbour_weight > 0
    near = (
        blocks.neighbours[settings.taste_half_life]
        if has_neighbours
        else _build_empty_neighbours(n)
    )
    prior, picked_prior_stats = blocks.weigh_prior(settings)
    newness, arrival_prior = blocks.weigh_newness(settings)
    picks = blocks.pick_counts[settings.prior_half_life].astype(np.float32)
    return TasteModel(
        targets=text.targets,
        sources=text.sources * np.float32(settings.text_weight),
        prior=prior,
        picked_prior_stats=picked_prior_stats,
        newness=newness,
        arrival_prior=arrival_prior,
        picks=picks,
        has_picks=bool(picks.any()),
        neighbours=replace(near, values=near.values * np.float32(settings.neighbour_weight)),
        context_directions=ContextDirections(
            blocks.context_directions.names,
            blocks.context_directions.vectors * np.float32(settings.context_weight),
        ),
        settings=settings,
        report=report,
    )


def _build_empty_neighbours(n: int) -> Neighbours:
    return Neighbours(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def _build_report(
    holdout: HoldoutEvaluation,
    zero_shot: TasteSettings,
    settings: TasteSettings,
    starts: Sequence[TasteSettings],
) -> dict[str, Any]:
    """Return metrics on the held-out cases of the learned settings and of three simpler ones.

    All are among all items, whatever the settings were tuned with.
    """
    if not len(holdout):
        return {"cases": 0}
    candidates = {
        "learned": settings,
        "zero_shot": zero_shot,
        "neighbours_only": replace(
            zero_shot,
            meaning_weight=0.0,
            neighbour_weight=1.0,
            taste_half_life=starts[0].taste_half_life,
        ),
        "popular": replace(
            zero_shot,
            meaning_weight=0.0,
            prior_weight=1.0,
            prior_half_life=starts[0].prior_half_life,
        ),
    }
    among_all = holdout.look_at_all()
    among_all.rank_together(list(candidates.values()))
    report: dict[str, Any] = {"cases": len(holdout)}
    for name, candidate in candidates.items():
        ranks = among_all.compute_ranks(candidate)
        slices = {
            "all": ranks > 0,
            "cold": holdout.collect_cold(),
            "new_user": holdout.collect_new_user(),
        }
        report[name] = {part: _compute_metrics(ranks[mask]) for part, mask in slices.items()}
    return report


def _compute_metrics(ranks: NDArray[np.int64]) -> dict[str, float]:
    if len(ranks) == 0:
        return {"cases": 0}
    return {
        "cases": len(ranks),
        "ndcg10": float(compute_ndcg10(ranks).mean()),
        "recall10": float((ranks <= 10).mean()),
        "gain": float(compute_rank_gains(ranks).mean()),
    }
