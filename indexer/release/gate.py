"""Two sets of answers to the same exam to a verdict: publish, or refuse and say why. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.metrics import Comparison, compare_ranks
from indexer.release.holdout import MIN_CASES

NDCG_TOLERANCE = {"all": 0.02, "cold": 0.1, "new_user": 0.1}  # of NDCG@10 that noise may cost
_SLICE_NAMES = {"all": "all users", "cold": "items nobody had met", "new_user": "new users"}
RECALL_TOLERANCE = 0.01  # of the index against exact search
MIN_SHARE = 0.5  # of the live snapshot's rows, and of its quality: less is no accident

Slices = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison says.

    Attributes:
        reasons: Against publishing; none is a pass.
        comparison_by_slice: By slice, the new against the live: cases, ratio, intervals.
    """

    reasons: tuple[str, ...]
    comparison_by_slice: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GuardrailMetrics:
    """What is known of a snapshot beside its answers.

    Attributes:
        recall: Of its index against exact search.
        interaction_count: Interactions it learned from; 0 if none.
        ndcg10: Of the live one, on the exam of its release, of whose answers it had seen none;
            of the new one, what the live one reaches on rows of the new that it learned from, if
            they are the same. None if there is no such exam.
    """

    recall: float
    interaction_count: int
    ndcg10: float | None


def judge_release(
    new: NDArray[np.float64], live: NDArray[np.float64], users: NDArray[np.int64], slices: Slices
) -> Verdict:
    """Compare paired ranks: worse is where the whole interval, and more than noise, is below."""
    reasons, comparison_by_slice = [], {}
    for name, which in slices.items():
        found = compare_ranks(new[which], live[which], users[which])
        cases = int(which.sum())
        comparison_by_slice[name] = {"cases": cases, **({} if found is None else asdict(found))}
        if found is not None and cases >= MIN_CASES and _is_worse(found, NDCG_TOLERANCE[name]):
            low, high = found.ratio95
            reasons.append(
                f"NDCG@10 for {_SLICE_NAMES[name]} is {found.ratio:.2f} of the live snapshot's "
                f"(95% interval {low:.2f} to {high:.2f}, {cases} cases)"
            )
    return Verdict(tuple(reasons), comparison_by_slice)


def _is_worse(comparison: Comparison, tolerance: float) -> bool:
    # Written as "below" only: without anything found by the live one, the ratio is NaN.
    return comparison.difference95[1] < 0 and comparison.ratio < 1 - tolerance


def check_guardrails(
    new: GuardrailMetrics, live: GuardrailMetrics, *, min_recall: float
) -> list[str]:
    """Say what no comparison on the new rows can show, when the rows themselves are wrong."""
    found = []
    if new.recall < min(live.recall - RECALL_TOLERANCE, min_recall):
        found.append(
            f"the index finds {new.recall:.3f} of what exact search finds, "
            f"the live one {live.recall:.3f}"
        )
    if new.interaction_count < MIN_SHARE * live.interaction_count:
        found.append(
            f"it learned from {new.interaction_count} interactions, the live snapshot from {live.interaction_count}; "
            f"give all interactions, not only new ones"
        )
    if _has_quality_collapsed(new.ndcg10, live.ndcg10):
        found.append(
            f"the live snapshot does not know the interactions it learned from: NDCG@10 "
            f"{new.ndcg10:.4f}, at its release {live.ndcg10:.4f}; are the ids still the same?"
        )
    return found


def _has_quality_collapsed(ndcg10_now: float | None, ndcg10_at_release: float | None) -> bool:
    return (
        ndcg10_now is not None
        and ndcg10_at_release is not None
        and ndcg10_now < MIN_SHARE * ndcg10_at_release
    )
