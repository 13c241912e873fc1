"""The order of candidates against plain loops, and exploration against its own probabilities."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.arrays import Vectors
from indexer.ranking import order as ranking
from indexer.ranking.order import diversify, explore, insert_pins

NOTHING_SHOWN = np.empty((0, 3), np.float32)


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Vectors, Vectors]:
    """Unit vectors on few directions, so that likeness ties are frequent; scores descending."""
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 9_999)))
    meaning = rng.integers(-1, 2, (count, 3)).astype(np.float32)
    meaning[~meaning.any(axis=1), 0] = 1
    meaning /= np.linalg.norm(meaning, axis=1, keepdims=True)
    scores = np.sort(rng.integers(0, 20, count) / np.float32(16))[::-1].astype(np.float32)
    return meaning, scores


def by_the_book(meaning: Vectors, scores: Vectors, diversity: float, window: int) -> list[int]:
    """Maximal marginal relevance, word for word."""
    low = float(scores[min(window, len(scores)) - 1])
    spread = float(scores[0]) - low or 1.0
    first = range(min(window, len(scores)))
    nearest = [
        max(float(meaning[a] @ meaning[b]) for b in first if a != b) for a in first[1:] and first
    ]
    mean_nearest = max(0.05, sum(nearest) / len(nearest)) if nearest else 1.0
    left, chosen = list(range(len(scores))), list[int]()
    while left:

        def marginal_relevance(position: int) -> float:
            near = [float(meaning[position] @ meaning[other]) for other in chosen]
            relevance = (float(scores[position]) - low) / spread
            return (1 - diversity) * relevance - diversity * max([0.0, *near]) / mean_nearest

        best = max(marginal_relevance(position) for position in left[:window])
        chosen.append(next(p for p in left[:window] if marginal_relevance(p) >= best - 1e-5))
        left.remove(chosen[-1])
    return chosen


@given(candidates(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([3, 100]))
def test_variety_is_maximal_marginal_relevance(case: Any, diversity: float, window: int) -> None:
    meaning, scores = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "DIVERSITY_WINDOW", window)
        order = diversify(
            meaning, scores, diversity=diversity, ranks=len(scores), shown_vectors=NOTHING_SHOWN
        )
    assert order.tolist() == by_the_book(meaning, scores, diversity, window)


@given(candidates(), st.integers(0, 45))
def test_a_shorter_arrangement_is_the_head_of_a_longer_one(case: Any, ranks: int) -> None:
    meaning, scores = case
    whole = diversify(
        meaning, scores, diversity=0.4, ranks=len(scores), shown_vectors=NOTHING_SHOWN
    )
    part = diversify(meaning, scores, diversity=0.4, ranks=ranks, shown_vectors=NOTHING_SHOWN)
    head = min(ranks, len(scores))
    assert part[:head].tolist() == whole[:head].tolist()
    assert part[head:].tolist() == sorted(part[head:].tolist())
    assert sorted(part.tolist()) == list(range(len(scores)))


def test_without_diversity_the_order_stays() -> None:
    meaning = np.ones((5, 3), np.float32) / np.sqrt(np.float32(3))
    scores = np.array([5, 4, 3, 2, 1], np.float32)
    order = diversify(meaning, scores, diversity=0.0, ranks=5, shown_vectors=NOTHING_SHOWN)
    assert order.tolist() == [0, 1, 2, 3, 4]


def test_what_earlier_pages_showed_is_not_shown_in_another_dress() -> None:
    meaning = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    scores = np.array([1.0, 0.9], np.float32)
    order = diversify(meaning, scores, diversity=0.6, ranks=2, shown_vectors=meaning[:1])
    assert order.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("pins", "total", "merged", "fixed"),
    [
        ([(7, 0)], 4, [7, 0, 1, 2], [0]),
        ([(7, 1), (8, 2)], 4, [0, 7, 8, 1], [1, 2]),
        ([(7, 9)], 4, [0, 1, 2, 7], [3]),
        ([(7, 9), (8, 12)], 5, [0, 1, 2, 7, 8], [3, 4]),
        ([(7, 3)], 2, [0, 1], []),
        ([], 3, [0, 1, 2], []),
    ],
)
def test_pins_come_at_their_rank_or_last(
    pins: list[tuple[int, int]], total: int, merged: list[int], fixed: list[int]
) -> None:
    found, pin_indices = insert_pins(np.arange(3), pins, total=total)
    assert found.tolist() == merged
    assert pin_indices.tolist() == fixed


@pytest.mark.parametrize(("k", "beyond_count"), [(5, 12), (5, 3), (1, 1), (4, 4), (3, 0)])
@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_propensities_are_how_often_a_rank_shows_what_it_does(
    k: int, beyond_count: int, probability: float
) -> None:
    """Over many seeds, the frequency of each item at each rank is its propensity."""
    order = np.arange(k + beyond_count)
    beyond = order[k:]
    free = np.delete(np.arange(k), 1) if k > 2 else np.arange(k)
    shown = np.zeros((k, k + beyond_count))
    propensities: dict[tuple[int, int], float] = {}
    tries = 3_000
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        found = explore(order, beyond, free=free, k=k, probability=probability, rng=rng)
        assert len(set(found.page.tolist())) == k
        assert sorted([*found.page, *found.rest]) == order.tolist()
        for rank, (position, propensity) in enumerate(
            zip(found.page.tolist(), found.propensities.tolist(), strict=True)
        ):
            shown[rank, position] += 1
            assert propensities.setdefault((rank, position), propensity) == propensity
    for (rank, position), propensity in propensities.items():
        deviation = 4 * np.sqrt(propensity * (1 - propensity) / tries) + 1e-9
        assert abs(shown[rank, position] / tries - propensity) <= deviation
    for rank in range(k):
        total = sum(propensity for (at, _), propensity in propensities.items() if at == rank)
        assert total == pytest.approx(1, abs=1e-9)


def test_inverse_propensity_estimates_are_unbiased() -> None:
    """What a uniform policy would earn, estimated from what exploration showed."""
    k, beyond_count, probability = 4, 10, 0.4
    order = np.arange(k + beyond_count)
    earns = np.random.default_rng(3).random(k + beyond_count)
    estimates = []
    for seed in range(8_000):
        rng = np.random.default_rng(seed)
        found = explore(order, order[k:], free=np.arange(k), k=k, probability=probability, rng=rng)
        # The target shows, at the first rank, its own item or one from beyond the page, each alike.
        target = np.where(np.isin(order, [0, *order[k:]]), 1 / (beyond_count + 1), 0)
        first = int(found.page[0])
        estimates.append(earns[first] * target[first] / found.propensities[0])
    truth = float(earns[[0, *order[k:]]].mean())
    error = float(np.std(estimates) / np.sqrt(len(estimates)))
    assert abs(np.mean(estimates) - truth) < 4 * error
