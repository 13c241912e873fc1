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


def build_presets(shut: TasteSettings, *, timed: bool, repeats: bool) -> list[TasteSettings]:
    """Return open settings to start from; the first is good on average.

    The others are what catalogues are like where taste, fashion, meaning or habit leads.
    """
    half_life, short, shortest = (0.1, 0.03, 0.01) if timed else (0.0, 0.0, 0.0)
    default = replace(
        shut,
        meaning_doubt=0.5,
        taste_reach=8.0,
        met_weight=0.3,
        neighbour_weight=2.5,
        prior_weight=0.08,
        prior_half_life=half_life,
        prior_lean=1.0,
        taste_half_life=TASTE_HALF_LIVES[0] if timed else 0.0,
        cold_level=1.0,
        context_weight=0.5 if shut.context else 0.0,
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
    evidence: HoldoutEvaluation, shut: TasteSettings, starts: Sequence[TasteSettings]
) -> TasteSettings:
    """Return the settings the evidence supports.

    Args:
        evidence: Held-out cases.
        shut: Zero-shot.
        starts: Open settings; the first is the default.
    """
    if len(evidence) < MIN_CASES:
        return shut
    chosen = _find_best_settings(evidence, starts[0], starts[1:])
    for _ in range(_ROUNDS):
        before = chosen
        for name, values in _list_moves(chosen):
            chosen = _try_move(evidence, chosen, name, values)
        if chosen == before:
            break
    chosen = _disable_idle_blocks(evidence, chosen)
    if evidence.compute_lead(evidence.compute_gains(chosen) - evidence.compute_gains(shut)) <= 0:
        return shut
    return _raise_cold_level(evidence, chosen, shut)


def gains_from_ranks(ranks: NDArray[np.int64]) -> Gains:
    """Mean of NDCG@10 and NDCG@50 of one relevant item: the latter steadies the former."""
    wide: Gains = np.where(ranks <= 50, 1 / np.log2(1 + ranks), 0.0)
    return (compute_ndcg10(ranks) + wide) / 2


def compute_standard_error(gains: Gains, user: NDArray[np.int64]) -> float:
    """Of the mean, a user's cases being no independent evidence."""
    deviation = np.bincount(user, gains - gains.mean())
    return float(np.sqrt((deviation**2).sum())) / len(gains)


def _list_moves(now: TasteSettings) -> list[tuple[str, tuple[float, ...]]]:
    moves: list[tuple[str, tuple[float, ...]]] = [
        ("prior_weight", _list_multiples(now.prior_weight)),
        ("neighbour_weight", _list_multiples(now.neighbour_weight)),
        ("meaning_reach", (1.0, 2.0, 5.0, 15.0)),
        ("taste_reach", (3.0, 8.0, 20.0, 50.0)),
        ("text_weight", (0.0, 1.0, 2.0, 4.0)),
        ("met_weight", (0.0, 0.3, 0.6)),
        ("prior_lean", (0.0, 0.5, 1.0)),
    ]
    if now.prior_half_life:
        moves.insert(0, ("prior_half_life", PRIOR_HALF_LIVES))
    if now.taste_half_life:
        moves.append(("taste_half_life", TASTE_HALF_LIVES))
    if now.repeat_weight:
        moves.insert(0, ("repeat_weight", _list_multiples(now.repeat_weight)))
        moves.append(("repeat_reach", (30.0, 100.0, 300.0)))
    if now.context:
        moves.append(("context_gain", (0.0, 1.0, 3.0)))
        moves.append(("context_weight", (0.0, 0.25, 0.5, 1.0)))
    return moves


def _list_multiples(value: float) -> tuple[float, ...]:
    return tuple(value * factor for factor in (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0))


def _try_move(
    evidence: HoldoutEvaluation, now: TasteSettings, name: str, values: Sequence[float]
) -> TasteSettings:
    """Move one number where the lead over staying is largest, if there is a lead."""
    best = _find_best_settings(evidence, now, [replace_value(now, name, value) for value in values])
    if best != now:
        evidence.report(f"{name} {getattr(now, name):g} → {getattr(best, name):g}")
    return best


def _find_best_settings(
    evidence: HoldoutEvaluation, now: TasteSettings, others: Sequence[TasteSettings]
) -> TasteSettings:
    stay = evidence.compute_gains(now)
    best, lead = now, 0.0
    for other in others:
        if other == now:
            continue
        ahead = evidence.compute_lead(evidence.compute_gains(other) - stay)
        if ahead > lead:
            best, lead = other, ahead
    return best


def replace_value(settings: TasteSettings, name: str, value: float) -> TasteSettings:
    """Return the settings with one number changed."""
    change: dict[str, Any] = {name: value}
    return replace(settings, **change)


def _disable_idle_blocks(evidence: HoldoutEvaluation, now: TasteSettings) -> TasteSettings:
    for name in _BLOCK_WEIGHTS:
        if getattr(now, name):
            without = replace_value(now, name, 0.0)
            if evidence.compute_gains(without).mean() >= evidence.compute_gains(now).mean():
                evidence.report(f"{name} is shut")
                now = without
    return now


def _raise_cold_level(
    evidence: HoldoutEvaluation, now: TasteSettings, shut: TasteSettings
) -> TasteSettings:
    """Raise the prior of what nobody met until it is found more often than by meaning alone.

    By a tenth more, or as often as the cost allows: in NDCG@10 of all and of new users, who have
    little but the prior, and would see nothing but new items first. With too few such cases it
    stays at the default.
    """
    cold, new_user = evidence.collect_cold(), evidence.collect_new_user()
    if cold.sum() < MIN_COLD_CASES or not now.prior_weight:
        return now
    tried = {
        level: evidence.compute_ranks(replace(now, cold_level=level)) for level in _COLD_LEVELS
    }
    parts = [cold | ~cold, *([new_user] if new_user.sum() >= MIN_NEW_USER_CASES else [])]
    fair = set(_COLD_LEVELS)
    for part in parts:
        ndcg = {level: float(compute_ndcg10(ranks[part]).mean()) for level, ranks in tried.items()}
        floor = (1 - MAX_COLD_LOSS) * max(ndcg.values())
        fair -= {level for level in fair if ndcg[level] < floor}
    if not fair:
        return now
    recalls = {level: _compute_recall(tried[level][cold]) for level in fair}
    goal = min(
        COLD_MARGIN * _compute_recall(evidence.compute_ranks(shut)[cold]), max(recalls.values())
    )
    level = min(level for level, recall in recalls.items() if recall >= goal)
    evidence.report(f"cold_level {now.cold_level:g} → {level:g}")
    return replace(now, cold_level=level)


def _compute_recall(ranks: NDArray[np.int64]) -> float:
    return float((ranks <= 10).mean())
