"""Ranks of two models on the same cases to a verdict: publish, or refuse with reasons. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation import SLICE_TITLES
from indexer.metrics import Comparison, compare_ranks
from indexer.release.holdout import MIN_CASES

# By slice: the share of NDCG@10 that a new snapshot may lose before it is refused.
# What nobody had met is no slice: to show it to all would win there, and harm everybody.
NDCG_TOLERANCE = {"all": 0.02, "new_item": 0.1, "new_user": 0.1}
GATE_TITLES = {**SLICE_TITLES, "new_item": "items that arrived lately"}
RECALL_TOLERANCE = 0.01  # that the index's recall may lose
MIN_SHARE = 0.5  # of the live snapshot's interactions, and of its quality: less is no accident

Slices = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of comparing a new model with the live one.

    Attributes:
        reasons: Why not to publish, one sentence each; none means it passes.
        comparison_by_slice: By slice, the number of cases and the fields of `Comparison`.
    """

    reasons: tuple[str, ...]
    comparison_by_slice: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GuardrailMetrics:
    """Facts about a snapshot that show wrong input, whatever a comparison on it says.

    Attributes:
        recall: Recall@10 of its index against exact search.
        interaction_count: Interactions that it learned from; 0 if none.
        ndcg10: Of the live snapshot: its NDCG@10 in the holdout evaluation of its own release,
            where it had seen none of the answers. Of the new one: what the live snapshot reaches
            on those of the new build's interactions that it should have learned from. None if it
            was not measured.
    """

    recall: float
    interaction_count: int
    ndcg10: float | None


def judge_release(
    new: NDArray[np.float64], live: NDArray[np.float64], users: NDArray[np.int64], slices: Slices
) -> Verdict:
    """Compare paired ranks by slice, and collect the slices in which the new model is worse.

    It is worse if the 95% interval of the difference of NDCG@10, over resampled users, lies below
    zero and the loss exceeds the slice's tolerance.

    Args:
        new: `(c,)` ranks by the new model, infinite if not found.
        live: `(c,)` ranks by the live one, of the same cases.
        users: `(c,)`, the user of each case.
        slices: Name to `(c,) bool`.
    """
    reasons, comparison_by_slice = [], {}
    for name, which in slices.items():
        comparison = compare_ranks(new[which], live[which], users[which])
        cases = int(which.sum())
        figures = {} if comparison is None else asdict(comparison)
        comparison_by_slice[name] = {"cases": cases, **figures}
        if comparison is None or cases < MIN_CASES or name not in NDCG_TOLERANCE:
            continue
        if _is_worse(comparison, NDCG_TOLERANCE[name]):
            low, high = comparison.ratio95
            reasons.append(
                f"NDCG@10 for {GATE_TITLES[name]} is {comparison.ratio:.2f} of the live "
                f"snapshot's (95% interval {low:.2f} to {high:.2f}, {cases} cases)"
            )
    return Verdict(tuple(reasons), comparison_by_slice)


def compare_with_peers(
    new: NDArray[np.float64],
    ranks_by_peer: Mapping[str, NDArray[np.float64]],
    users: NDArray[np.int64],
    slices: Slices,
) -> list[str]:
    """Return a sentence for each slice in which a simple method is clearly better.

    As in `judge_release`; of several such methods the best is named.

    Args:
        new: `(c,)` ranks by the new model, infinite if not found.
        ranks_by_peer: By name of a method its ranks `(c,)` of the same cases.
        users: `(c,)`, the user of each case.
        slices: Name to `(c,) bool`.
    """
    warnings = []
    for name, which in slices.items():
        if name not in NDCG_TOLERANCE or which.sum() < MIN_CASES:
            continue
        compared = {
            peer: compare_ranks(new[which], ranks[which], users[which])
            for peer, ranks in ranks_by_peer.items()
        }
        better = {
            peer: comparison
            for peer, comparison in compared.items()
            if comparison is not None and _is_worse(comparison, NDCG_TOLERANCE[name])
        }
        if better:
            peer, comparison = min(better.items(), key=lambda item: item[1].ratio)
            low, high = comparison.ratio95
            warnings.append(
                f"For {GATE_TITLES[name]} the simple method {peer} is clearly better: NDCG@10 is "
                f"{comparison.ratio:.2f} of its own (95% interval {low:.2f} to {high:.2f}, "
                f"{int(which.sum())} cases)"
            )
    return warnings


def _is_worse(comparison: Comparison, tolerance: float) -> bool:
    # Written as "below" only: if the live snapshot finds nothing, the ratio is NaN.
    return comparison.difference95[1] < 0 and comparison.ratio < 1 - tolerance


def check_guardrails(
    new: GuardrailMetrics, live: GuardrailMetrics, *, min_recall: float
) -> list[str]:
    """Return a sentence for each sign that the build itself, or its input, is wrong.

    Args:
        new: Of the build.
        live: Of the live snapshot.
        min_recall: Recall that was asked of the build's index.
    """
    alarms = []
    if new.recall < min(live.recall - RECALL_TOLERANCE, min_recall):
        alarms.append(
            f"the index finds {new.recall:.3f} of what exact search finds, "
            f"the live one {live.recall:.3f}"
        )
    if new.interaction_count < MIN_SHARE * live.interaction_count:
        alarms.append(
            f"it learned from {new.interaction_count} interactions, the live snapshot from "
            f"{live.interaction_count}; give all interactions, not only new ones"
        )
    if _has_quality_collapsed(new.ndcg10, live.ndcg10):
        alarms.append(
            f"the live snapshot does not know the interactions it learned from: NDCG@10 "
            f"{new.ndcg10:.4f}, at its release {live.ndcg10:.4f}; are the ids still the same?"
        )
    return alarms


def _has_quality_collapsed(ndcg10_now: float | None, ndcg10_at_release: float | None) -> bool:
    return (
        ndcg10_now is not None
        and ndcg10_at_release is not None
        and ndcg10_now < MIN_SHARE * ndcg10_at_release
    )
