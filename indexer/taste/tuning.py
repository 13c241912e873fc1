"""Hold-out cases to learned settings, by coordinate search with a test of significance.

The search starts from a preset that is good on most catalogues. A number is changed only if the
mean paired gain, with standard errors over users, is at least two standard errors above zero: one
(the rule of Breiman et al. 1984) is too little for the best of many changes, and overfitted the
windows. A block that does not help is turned off. With too few cases all blocks stay off, which is
zero-shot.

In a large catalogue the search looks at a sample, in which settings that put first what nobody
looked at seem better than they are. So what the winner of a round puts first joins the sample
before the next, and what is decided at last is decided by ranks among all items.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from indexer.taste.event_scale import BROWSED, RATED_LOW
from indexer.taste.holdout_evaluation import HoldoutEvaluation
from indexer.taste.settings import TasteSettings

MIN_CASES = 30
MIN_KIND_CASES = 100  # with a history that has some event of a kind, to tune what it is worth
PRIOR_HALF_LIVES = (0.0, 0.3, 0.1, 0.03, 0.01)
TASTE_HALF_LIVES = (0.3, 1.0)
# With all of the weight, the season of a request's time alone cost 12% of NDCG@10 on the validation
# part of one set of books; with a quarter it costs nothing there.
LEARNED_MOMENT_SHARE = 0.25
_ROUNDS = 2
_BLOCK_WEIGHTS = (
    "neighbour_weight",
    "text_weight",
    "prior_weight",
    "repeat_weight",
    "context_gain",
    "context_weight",
)


def build_presets(
    zero_shot: TasteSettings, *, has_times: bool, repeats: bool
) -> list[TasteSettings]:
    """Return settings with blocks turned on, to start the search from.

    The first is good on most catalogues; the others suit catalogues where popularity, meaning or
    repeated items matter most.

    Args:
        zero_shot: The settings without anything learned.
        has_times: Whether events have times, so that half-lives make sense.
        repeats: Whether items may be recommended again.
    """
    half_life, short, shortest = (0.1, 0.03, 0.01) if has_times else (0.0, 0.0, 0.0)
    default = replace(
        zero_shot,
        meaning_doubt=0.5,
        taste_reach=8.0,
        met_weight=0.3,
        neighbour_weight=2.5,
        prior_weight=0.08,
        prior_half_life=half_life,
        prior_lean=1.0,
        taste_half_life=TASTE_HALF_LIVES[0] if has_times else 0.0,
        context_weight=0.5 if zero_shot.context else 0.0,
        moment_share=LEARNED_MOMENT_SHARE,
    )
    starts = [
        default,
        replace(default, prior_weight=0.16, prior_half_life=short),
        replace(default, neighbour_weight=1.2, meaning_reach=2.0),
    ]
    if not repeats:
        return starts
    habit = replace(
        default, prior_weight=0.4, prior_half_life=shortest, prior_lean=0.0, repeat_weight=2.8
    )
    return [
        replace(habit, neighbour_weight=1.2),
        replace(habit, neighbour_weight=0.3),
        *(replace(start, repeat_weight=0.7) for start in starts),
    ]


def tune(
    holdout: HoldoutEvaluation, zero_shot: TasteSettings, starts: Sequence[TasteSettings]
) -> TasteSettings:
    """Return the best settings that the hold-out cases support; `zero_shot` if none are better.

    Args:
        holdout: The hold-out cases.
        zero_shot: The settings without anything learned.
        starts: From `build_presets`; another than the first is taken only if it is better.
    """
    if len(holdout) < MIN_CASES:
        return zero_shot
    chosen = _find_best_settings(holdout, starts[0], starts[1:])
    winners = [chosen]
    for _ in range(_ROUNDS):
        for name, values in _list_moves(holdout, chosen):
            chosen = _try_move(holdout, chosen, name, values)
        if chosen == winners[-1]:
            break
        winners.append(chosen)
        holdout.widen_sample(chosen)
    among_all = holdout.look_at_all()
    if among_all is not holdout:
        among_all.rank_together([zero_shot, *winners])
        chosen = _find_best_settings(among_all, winners[0], winners[1:])
    chosen = _confirm_idle(among_all, chosen, _disable_idle_blocks(holdout, chosen))
    if not has_lead(among_all, chosen, zero_shot):
        return zero_shot
    return chosen


def _confirm_idle(
    among_all: HoldoutEvaluation, current: TasteSettings, without: TasteSettings
) -> TasteSettings:
    """Return the settings without idle blocks, unless these are of use among all items."""
    loss = among_all.compute_gains(current).mean() - among_all.compute_gains(without).mean()
    if loss > 0:
        among_all.report("among all items it is of use, and stays on")
        return current
    return without


def has_lead(holdout: HoldoutEvaluation, settings: TasteSettings, zero_shot: TasteSettings) -> bool:
    """Return whether enough hold-out cases show that settings are better than learning nothing."""
    if len(holdout) < MIN_CASES:
        return False
    gains = holdout.compute_gains(settings) - holdout.compute_gains(zero_shot)
    return holdout.compute_lead(gains) > 0


def _list_moves(
    holdout: HoldoutEvaluation, current: TasteSettings
) -> list[tuple[str, tuple[float, ...]]]:
    """Return the numbers to try changing, in order, with the values to try.

    What a kind of event is worth is only tried where enough cases have some, and is never 0: what
    the windows are silent about must still count in the histories to come.
    """
    moves: list[tuple[str, tuple[float, ...]]] = [
        ("prior_weight", _list_multiples(current.prior_weight)),
        ("neighbour_weight", _list_multiples(current.neighbour_weight)),
        ("meaning_reach", (1.0, 2.0, 5.0, 15.0)),
        ("taste_reach", (3.0, 8.0, 20.0, 50.0)),
        ("text_weight", (0.0, 1.0, 2.0, 4.0)),
        ("prior_lean", (0.0, 0.5, 1.0)),
    ]
    if holdout.count_cases_with(RATED_LOW) >= MIN_KIND_CASES:
        moves.append(("met_weight", (0.1, 0.3, 0.6)))
    if holdout.count_cases_with(BROWSED) >= MIN_KIND_CASES:
        moves.append(("browse_weight", (0.1, 0.5, 1.0)))
    if current.prior_half_life:
        moves.insert(0, ("prior_half_life", PRIOR_HALF_LIVES))
    if current.taste_half_life:
        moves.append(("taste_half_life", TASTE_HALF_LIVES))
    if current.repeat_weight:
        moves.insert(0, ("repeat_weight", _list_multiples(current.repeat_weight)))
        moves.append(("repeat_reach", (30.0, 100.0, 300.0)))
    if current.context:
        moves.append(("context_gain", (0.0, 1.0, 3.0)))
        moves.append(("context_weight", (0.0, 0.25, 0.5, 1.0)))
    return moves


def _list_multiples(value: float) -> tuple[float, ...]:
    return tuple(value * factor for factor in (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0))


def _try_move(
    holdout: HoldoutEvaluation, current: TasteSettings, name: str, values: Sequence[float]
) -> TasteSettings:
    """Return the settings with one number changed to its best value, or unchanged."""
    best = _find_best_settings(
        holdout, current, [replace_value(current, name, value) for value in values]
    )
    if best != current:
        holdout.report(f"{name} {getattr(current, name):g} → {getattr(best, name):g}")
    return best


def _find_best_settings(
    holdout: HoldoutEvaluation, current: TasteSettings, others: Sequence[TasteSettings]
) -> TasteSettings:
    """Return the settings with the largest lead over `current`, or `current` if none has any."""
    current_gains = holdout.compute_gains(current)
    best, lead = current, 0.0
    for other in others:
        if other == current:
            continue
        other_lead = holdout.compute_lead(holdout.compute_gains(other) - current_gains)
        if other_lead > lead:
            best, lead = other, other_lead
    return best


def replace_value(settings: TasteSettings, name: str, value: float) -> TasteSettings:
    """Return the settings with one number changed."""
    change: dict[str, Any] = {name: value}
    return replace(settings, **change)


def _disable_idle_blocks(holdout: HoldoutEvaluation, current: TasteSettings) -> TasteSettings:
    """Turn off every block without which the mean gain is as high."""
    for name in _BLOCK_WEIGHTS:
        if getattr(current, name):
            without = replace_value(current, name, 0.0)
            if holdout.compute_gains(without).mean() >= holdout.compute_gains(current).mean():
                holdout.report(f"{name} is turned off")
                current = without
    return current
