"""Held-out cases to settings: few numbers, each moved only by evidence.

Starting from one default that is good everywhere, a number is moved only where the paired gain
over whole users exceeds two standard errors: one (Breiman et al. 1984) is too little for the best
of many moves, and left to it the numbers fitted the windows. A block is shut when it does not
help. Too few cases leave everything shut, which is zero-shot.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.cores import count_threads
from indexer.metrics import compute_ndcg10
from indexer.taste.scorer import Scorer
from indexer.taste.settings import TasteSettings
from indexer.taste.tuning_trials import TuningTrials

MIN_CASES = 30
STANDARD_ERRORS = 2.0
MAX_COLD_LOSS = 0.03  # of NDCG@10 that a fair place for new items may cost
COLD_MARGIN = 1.1  # times what meaning alone finds: tuned text finds more than that
MIN_COLD_CASES = 20
MIN_NEW_USER_CASES = 200  # fewer differ by more than the tolerance for no reason
PRIOR_HALF_LIVES = (0.0, 0.3, 0.1, 0.03, 0.01)
TASTE_HALF_LIVES = (0.3, 1.0)
_COLD_LEVELS = (1.0, 1.25, 1.5, 1.75, 2.0)
_ROUNDS = 2
_BLOCK_WEIGHTS = (
    "neighbour_weight",
    "text_weight",
    "prior_weight",
    "repeat_weight",
    "context_gain",
    "context_weight",
)

Gains = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HoldoutEvaluation:
    """The windows a decision is made on.

    Attributes:
        scorers: One for each window.
        report: Called with a sentence about each decision.
        trials: What was tried before, and is kept.
    """

    scorers: Sequence[Scorer]
    report: Callable[[str], None] = lambda _: None
    trials: TuningTrials = field(default_factory=TuningTrials, repr=False)

    def __len__(self) -> int:
        return sum(len(scorer.cases) for scorer in self.scorers)

    def compute_ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
        """`(c,)` over all windows, which are asked at the same time."""
        known = self.trials.get(settings)
        if known is None:
            with ThreadPoolExecutor(count_threads()) as cores:
                parts = cores.map(lambda scorer: scorer.ranks(settings), self.scorers)
                known = np.concatenate([np.zeros(0, np.int64), *parts])
            self.trials.add(settings, known)
        return known

    def compute_gains(self, settings: TasteSettings) -> Gains:
        """`(c,)`, see `gains_from_ranks`."""
        return gains_from_ranks(self.compute_ranks(settings))

    def compute_lead(self, gains: Gains) -> float:
        """Return a mean paired gain less its standard errors over users."""
        _, user = np.unique(self._collect_users(), return_inverse=True)
        return float(gains.mean()) - STANDARD_ERRORS * compute_standard_error(gains, user)

    def collect_cold(self) -> NDArray[np.bool_]:
        """`(c,) bool`."""
        return np.concatenate([scorer.cases.cold for scorer in self.scorers])

    def collect_new_user(self) -> NDArray[np.bool_]:
        """`(c,) bool`."""
        return np.concatenate([scorer.cases.new_user for scorer in self.scorers])

    def _collect_users(self) -> NDArray[np.int64]:
        return np.concatenate([scorer.cases.user for scorer in self.scorers])


def build_presets(
    zero_shot: TasteSettings, *, has_times: bool, repeats: bool
) -> list[TasteSettings]:
    """Return open settings to start from; the first is good on average.

    The others are what catalogues are like where taste, fashion, meaning or habit leads.
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
        cold_level=1.0,
        context_weight=0.5 if zero_shot.context else 0.0,
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
    """Return the settings the evidence supports.

    Args:
        holdout: Held-out cases.
        zero_shot: Zero-shot.
        starts: Open settings; the first is the default.
    """
    if len(holdout) < MIN_CASES:
        return zero_shot
    chosen = _find_best_settings(holdout, starts[0], starts[1:])
    for _ in range(_ROUNDS):
        before = chosen
        for name, values in _list_moves(chosen):
            chosen = _try_move(holdout, chosen, name, values)
        if chosen == before:
            break
    chosen = _disable_idle_blocks(holdout, chosen)
    if holdout.compute_lead(holdout.compute_gains(chosen) - holdout.compute_gains(zero_shot)) <= 0:
        return zero_shot
    return _raise_cold_level(holdout, chosen, zero_shot)


def gains_from_ranks(ranks: NDArray[np.int64]) -> Gains:
    """Mean of NDCG@10 and NDCG@50 of one relevant item: the latter steadies the former."""
    ndcg50: Gains = np.where(ranks <= 50, 1 / np.log2(1 + ranks), 0.0)
    return (compute_ndcg10(ranks) + ndcg50) / 2


def compute_standard_error(gains: Gains, user: NDArray[np.int64]) -> float:
    """Of the mean, a user's cases being no independent evidence."""
    deviation = np.bincount(user, gains - gains.mean())
    return float(np.sqrt((deviation**2).sum())) / len(gains)


def _list_moves(current: TasteSettings) -> list[tuple[str, tuple[float, ...]]]:
    moves: list[tuple[str, tuple[float, ...]]] = [
        ("prior_weight", _list_multiples(current.prior_weight)),
        ("neighbour_weight", _list_multiples(current.neighbour_weight)),
        ("meaning_reach", (1.0, 2.0, 5.0, 15.0)),
        ("taste_reach", (3.0, 8.0, 20.0, 50.0)),
        ("text_weight", (0.0, 1.0, 2.0, 4.0)),
        ("met_weight", (0.0, 0.3, 0.6)),
        ("prior_lean", (0.0, 0.5, 1.0)),
    ]
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
    """Move one number where the lead over staying is largest, if there is a lead."""
    best = _find_best_settings(
        holdout, current, [replace_value(current, name, value) for value in values]
    )
    if best != current:
        holdout.report(f"{name} {getattr(current, name):g} → {getattr(best, name):g}")
    return best


def _find_best_settings(
    holdout: HoldoutEvaluation, current: TasteSettings, others: Sequence[TasteSettings]
) -> TasteSettings:
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
    for name in _BLOCK_WEIGHTS:
        if getattr(current, name):
            without = replace_value(current, name, 0.0)
            if holdout.compute_gains(without).mean() >= holdout.compute_gains(current).mean():
                holdout.report(f"{name} is shut")
                current = without
    return current


def _raise_cold_level(
    holdout: HoldoutEvaluation, current: TasteSettings, zero_shot: TasteSettings
) -> TasteSettings:
    """Raise the prior of what nobody met until it is found more often than by meaning alone.

    By a tenth more, or as often as the cost allows: in NDCG@10 of all and of new users, who have
    little but the prior, and would see nothing but new items first. With too few such cases it
    stays at the default.
    """
    cold, new_user = holdout.collect_cold(), holdout.collect_new_user()
    if cold.sum() < MIN_COLD_CASES or not current.prior_weight:
        return current
    ranks_by_level = {
        level: holdout.compute_ranks(replace(current, cold_level=level)) for level in _COLD_LEVELS
    }
    parts = [cold | ~cold, *([new_user] if new_user.sum() >= MIN_NEW_USER_CASES else [])]
    affordable = set(_COLD_LEVELS)
    for part in parts:
        ndcg = {
            level: float(compute_ndcg10(ranks[part]).mean())
            for level, ranks in ranks_by_level.items()
        }
        floor = (1 - MAX_COLD_LOSS) * max(ndcg.values())
        affordable -= {level for level in affordable if ndcg[level] < floor}
    if not affordable:
        return current
    recalls = {level: _compute_recall(ranks_by_level[level][cold]) for level in affordable}
    goal = min(
        COLD_MARGIN * _compute_recall(holdout.compute_ranks(zero_shot)[cold]), max(recalls.values())
    )
    level = min(level for level, recall in recalls.items() if recall >= goal)
    holdout.report(f"cold_level {current.cold_level:g} → {level:g}")
    return replace(current, cold_level=level)


def _compute_recall(ranks: NDArray[np.int64]) -> float:
    return float((ranks <= 10).mean())
