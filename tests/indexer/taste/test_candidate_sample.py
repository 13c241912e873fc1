"""A weighted sample: first ranks exact, others right in the mean, all by hand or by brute force."""

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.taste.candidate_sample import ABSENT, CandidateSample, alternate, draw_sample
from tests.indexer.taste.worlds import random_meaning

NO_ROWS = np.zeros(0, np.int64)


def draw(n: int, required: list[int], preferred: list[int], size: int, seed: int = 0) -> object:
    return draw_sample(
        random_meaning(n),
        np.array(required, np.int64),
        np.array(preferred, np.int64),
        size=size,
        rng=np.random.default_rng(seed),
    )


def test_a_rank_by_hand() -> None:
    sample = CandidateSample(
        rows=np.array([7, 2, 0, 5]),
        certain_count=2,
        drawn_weight=3.0,
        columns=np.array([2, ABSENT, 1, ABSENT, ABSENT, 3, ABSENT, 0], np.int32),
        meaning=random_meaning(4),
    )
    is_above = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]], bool)
    assert sample.estimate_ranks(is_above).tolist() == [1, 2, 4, 8]


def test_what_is_required_comes_first_then_what_is_preferred_then_a_draw_of_the_others() -> None:
    sample = draw(100, [9, 3, 9], [50, 3, 51, 52, 51, 53], size=16)
    assert isinstance(sample, CandidateSample)
    assert sample.rows[:6].tolist() == [9, 3, 50, 51, 52, 53]
    assert sample.certain_count == 6
    assert len(sample) == len(set(sample.rows.tolist())) == 16
    assert sample.drawn_weight == pytest.approx(94 / 10)
    assert sample.columns[sample.rows].tolist() == list(range(16))
    assert np.count_nonzero(sample.columns == ABSENT) == 84
    np.testing.assert_array_equal(sample.meaning, random_meaning(100)[sample.rows])


def test_an_eighth_is_drawn_even_if_more_is_preferred_and_all_that_is_required_is_in() -> None:
    sample = draw(100, [0], list(range(1, 90)), size=16)
    assert isinstance(sample, CandidateSample)
    assert (sample.certain_count, len(sample)) == (14, 16)
    crowded = draw(100, list(range(40)), [99], size=16)
    assert isinstance(crowded, CandidateSample)
    assert (crowded.certain_count, len(crowded)) == (40, 42)


def test_the_same_seed_draws_the_same() -> None:
    one, same, other = (draw(500, [1], [2], size=50, seed=seed) for seed in (4, 4, 5))
    assert isinstance(one, CandidateSample)
    assert isinstance(same, CandidateSample)
    assert isinstance(other, CandidateSample)
    np.testing.assert_array_equal(one.rows, same.rows)
    assert set(one.rows.tolist()) != set(other.rows.tolist())


def test_everything_may_be_in_the_sample() -> None:
    sample = draw(10, [4], [], size=10)
    assert isinstance(sample, CandidateSample)
    assert sorted(sample.rows.tolist()) == list(range(10))
    assert sample.drawn_weight == 1.0


def test_both_come_in_turn_and_the_longer_goes_on() -> None:
    mixed = alternate(np.array([1, 2]), np.array([7, 8, 9, 10]))
    assert mixed.tolist() == [1, 7, 2, 8, 9, 10]
    assert alternate(NO_ROWS, np.array([3])).tolist() == [3]


def rank_by_sample(scores: NDArray[np.float64], target: int, best: int, seed: int) -> int:
    """The estimated rank of an item, if the `best` first items are compared for certain."""
    n = len(scores)
    sample = draw_sample(
        np.zeros((n, 1), np.float32),
        np.array([target]),
        np.argsort(-scores)[:best],
        size=best + 1 + 100,
        rng=np.random.default_rng(seed),
    )
    is_above = (scores[sample.rows] >= scores[target])[None, :]
    return int(sample.estimate_ranks(is_above)[0])


@pytest.mark.parametrize("rank", [1, 10, 50])
def test_the_first_ranks_are_exact(rank: int) -> None:
    scores = np.random.default_rng(1).permutation(1_000).astype(float)
    target = int(np.argsort(-scores)[rank - 1])
    assert {rank_by_sample(scores, target, 50, seed) for seed in range(20)} == {rank}


def test_the_mean_of_the_estimates_is_the_rank_and_their_spread_is_what_theory_says() -> None:
    n, best, rank, drawn, draws = 1_000, 50, 400, 100, 2_000
    scores = np.random.default_rng(2).permutation(n).astype(float)
    target = int(np.argsort(-scores)[rank - 1])
    ranks = np.array([rank_by_sample(scores, target, best, seed) for seed in range(draws)])
    # Of the others, 949 of whom 100 are drawn, 349 are above: a hypergeometric number of them.
    others, above = n - best - 1, rank - 1 - best
    share = above / others
    spread = np.sqrt(drawn * share * (1 - share) * (others - drawn) / (others - 1))
    spread *= others / drawn
    assert ranks.mean() == pytest.approx(rank, abs=4 * spread / np.sqrt(draws))
    assert ranks.std() == pytest.approx(spread, rel=0.1)
