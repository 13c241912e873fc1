"""Ranks to metrics: NDCG@10, recall, MRR, coverage, and confidence intervals over users. Pure.

Each case has exactly one relevant item. Ranks are pessimistic: items with an equal score count as
ranked above the relevant one.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

ANSWER_LENGTH = 50
BOOTSTRAP_SEED = 2026
RESAMPLE_COUNT = 2_000
_TOP_K = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Means over cases; all zero if there are no cases.

    Attributes:
        coverage10: Share of the catalogue that is in the first ten of at least one list; None if
            the lists are unknown.
    """

    cases: int
    ndcg10: float
    recall10: float
    recall50: float
    mrr50: float
    coverage10: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """NDCG@10 compared with a reference on the same cases; paired bootstrap over users.

    Attributes:
        difference: Mean of own minus reference.
        difference95: Lower and upper end of its 95% interval.
        ratio: Own mean by the reference's; NaN if the reference's is zero.
        ratio95: Lower and upper end of its 95% interval.
    """

    difference: float
    difference95: tuple[float, float]
    ratio: float
    ratio95: tuple[float, float]


def find_rank(
    ids_and_scores: Sequence[tuple[str, float]], target: str, length: int = ANSWER_LENGTH
) -> float:
    """Return the rank of an item in a list of ids with scores, from 1; infinity if it is absent.

    If the item shares the lowest score of a full list with others, the rank is infinite too: the
    list may have been cut inside the tie, so the true rank is unknown.
    """
    scores = dict(ids_and_scores)
    if target not in scores:
        return math.inf
    own = scores[target]
    rank = sum(score >= own for _, score in ids_and_scores)
    tied = sum(score == own for _, score in ids_and_scores) > 1
    full = len(ids_and_scores) >= length
    return math.inf if full and tied and own == min(scores.values()) else rank


def compute_ranks(
    scores: NDArray[np.floating], targets: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Return the rank of each case's target, `(c,) float64` from 1; ties count against it.

    Args:
        scores: `(c, n)`; minus infinity for items that may not be recommended.
        targets: `(c,)`, column of the relevant item.
    """
    own = scores[np.arange(len(targets)), targets]
    ranks: Floats = (scores >= own[:, None]).sum(axis=1).astype(np.float64)
    return ranks


def compute_ndcg10(ranks: ArrayLike) -> Floats:
    """Return NDCG@10 of one relevant item at each rank: `1 / log2(1 + rank)`, 0 beyond ten."""
    rank = np.asarray(ranks, float)
    is_listed = rank <= _TOP_K
    return np.where(is_listed, 1 / np.log2(1 + np.where(is_listed, rank, 1)), 0)


def compute_metrics(
    ranks: ArrayLike, *, top10: Iterable[Collection[str | int]] = (), item_count: int = 0
) -> Metrics:
    """Return the metrics of some cases.

    Args:
        ranks: `(c,)`, from 1; infinite for a target that is not listed.
        top10: The first ten items of each list.
        item_count: Items in the catalogue; 0 leaves `coverage10` out.
    """
    rank = np.asarray(ranks, float)
    if len(rank) == 0:
        return Metrics(0, 0.0, 0.0, 0.0, 0.0)
    listed = rank <= ANSWER_LENGTH
    return Metrics(
        cases=len(rank),
        ndcg10=float(compute_ndcg10(rank).mean()),
        recall10=float((rank <= _TOP_K).mean()),
        recall50=float(listed.mean()),
        mrr50=float(np.where(listed, 1 / rank, 0).mean()),
        coverage10=len(set().union(*map(set, top10))) / item_count if item_count else None,
    )


def compare_ranks(ranks: ArrayLike, reference: ArrayLike, users: ArrayLike) -> Comparison | None:
    """Compare paired ranks by bootstrap over users, so that a user's cases stay together.

    Args:
        ranks: `(c,)`, ranks of the method.
        reference: `(c,)`, ranks of the reference for the same cases.
        users: `(c,)`, the user of each case.

    Returns:
        The comparison, or None if there are no cases.
    """
    own, other = compute_ndcg10(ranks), compute_ndcg10(reference)
    if len(own) == 0:
        return None
    _, user = np.unique(np.asarray(users), return_inverse=True)
    count = user.max() + 1
    a, b, cases = (np.bincount(user, x, count) for x in (own, other, np.ones(len(own))))
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    user_counts = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLE_COUNT).astype(
        float
    )
    sum_a, sum_b, size = user_counts @ a, user_counts @ b, user_counts @ cases
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(sum_b > 0, sum_a / sum_b, np.nan)
    has_hits = other.sum() > 0
    undefined = (math.nan, math.nan)
    return Comparison(
        difference=float((own - other).mean()),
        difference95=_compute_interval((sum_a - sum_b) / size),
        ratio=float(own.sum() / other.sum()) if has_hits else math.nan,
        ratio95=_compute_interval(ratios) if has_hits else undefined,
    )


def _compute_interval(values: Floats) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
