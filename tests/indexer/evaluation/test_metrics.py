"""Figures by hand, and against a second implementation in plain Python."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.metrics import compare_ranks, compute_metrics, compute_ndcg10, compute_ranks, find_rank

RANKS = st.lists(st.one_of(st.integers(1, 60).map(float), st.just(math.inf)), max_size=40)


def test_ranks_in_lists_by_hand() -> None:
    assert find_rank([("a", 3.0), ("b", 2.0), ("c", 1.0)], "b") == 2
    assert find_rank([("a", 3.0), ("b", 2.0), ("c", 2.0)], "b") == 3  # ties count against it
    assert find_rank([("a", 3.0), ("b", 2.0)], "z") == math.inf


def test_tied_with_the_end_of_a_full_list_is_not_found() -> None:
    tied = [("a", 3.0), ("b", 2.0), ("c", 2.0)]
    assert find_rank(tied, "b", length=3) == math.inf
    assert find_rank([("a", 3.0), ("b", 2.0), ("c", 1.0)], "c", length=3) == 3


def test_ranks_among_all_scores_by_hand() -> None:
    scores = np.array([[0.5, 0.9, 0.5, 0.1, 0.9]] * 2)
    assert compute_ranks(scores, np.array([0, 1])).tolist() == [4.0, 2.0]
    constant = np.zeros((1, 5))
    assert compute_ranks(constant, np.array([2])).tolist() == [5.0]


def test_figures_by_hand() -> None:
    found = compute_metrics([1, 3, 11, math.inf])
    assert found.ndcg10 == (1 + 0.5) / 4
    assert (found.recall10, found.recall50) == (0.5, 0.75)
    assert found.mrr50 == pytest.approx((1 + 1 / 3 + 1 / 11) / 4, abs=1e-15)
    assert compute_metrics([1, 1], top10=[["a", "b"], ["b", "c"]], item_count=10).coverage10 == 0.3
    assert compute_metrics([]).cases == 0


def by_hand(ranks: Sequence[float]) -> dict[str, float]:
    """The same figures, one case after the other."""
    ndcg = recall10 = recall50 = mrr = 0.0
    for rank in ranks:
        if rank <= 10:
            ndcg += 1 / math.log2(1 + rank)
            recall10 += 1
        if rank <= 50:
            recall50 += 1
            mrr += 1 / rank
    count = len(ranks)
    return {
        "ndcg10": ndcg / count, "recall10": recall10 / count,
        "recall50": recall50 / count, "mrr50": mrr / count,
    }  # fmt: skip


@given(RANKS.filter(len))
def test_figures_agree_with_a_second_implementation(ranks: list[float]) -> None:
    found = compute_metrics(ranks)
    for name, value in by_hand(ranks).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-13, abs=1e-15)


@given(
    st.lists(st.tuples(st.text("ab", max_size=3), st.integers(0, 4).map(float)), max_size=8),
    st.integers(1, 8),
)
def test_a_rank_is_one_more_than_the_others_that_score_as_high(
    pairs: list[tuple[str, float]], length: int
) -> None:
    items = list(dict(pairs).items())
    for target, own in items:
        others = [score for item, score in items if item != target]
        rank = 1 + sum(score >= own for score in others)
        beyond = len(items) >= length and own in others and all(own <= s for s in others)
        expected = math.inf if beyond else rank
        assert find_rank(items, target, length) == expected


def test_a_users_cases_are_resampled_together() -> None:
    ranks, reference = [1.0] * 50 + [math.inf] * 50, [math.inf] * 100
    apart = compare_ranks(ranks, reference, list(range(100)))
    together = compare_ranks(ranks, reference, [0] * 50 + [1] * 50)
    assert apart is not None
    assert together is not None
    assert apart.difference == together.difference == 0.5
    assert 0.39 < apart.difference95[0] < 0.42
    assert 0.58 < apart.difference95[1] < 0.61
    assert together.difference95 == (0.0, 1.0)  # either user may be drawn twice
    assert math.isnan(apart.ratio)


def test_the_interval_is_that_of_a_resampling_by_hand() -> None:
    rng = np.random.default_rng(3)
    ranks, reference = rng.integers(1, 14, 60).astype(float), rng.integers(1, 14, 60).astype(float)
    users = rng.integers(0, 17, 60)
    found = compare_ranks(ranks, reference, users)
    assert found is not None
    own, other = compute_ndcg10(ranks), compute_ndcg10(reference)
    names = sorted(set(users.tolist()))
    drawn = np.random.default_rng(2026).multinomial(
        len(names), [1 / len(names)] * len(names), 2_000
    )
    ratios = []
    for counts in drawn:
        taken = [
            (i, c)
            for name, c in zip(names, counts, strict=True)
            for i in np.flatnonzero(users == name)
        ]
        ratios.append(sum(c * own[i] for i, c in taken) / sum(c * other[i] for i, c in taken))
    assert found.ratio95 == pytest.approx(np.percentile(ratios, [2.5, 97.5]), rel=1e-12)
    assert found.ratio == pytest.approx(own.sum() / other.sum(), rel=1e-14)


def test_without_cases_there_is_nothing_to_compare() -> None:
    assert compare_ranks([], [], []) is None
