"""Settings change only where the gain over users is significant, and never by noise."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typing_extensions import override

from indexer.metrics import compute_ndcg10
from indexer.taste import fit_taste
from indexer.taste.holdout_evaluation import compute_rank_gains, compute_standard_error
from indexer.taste.prior import compute_prior
from indexer.taste.settings import TasteSettings
from indexer.taste.tuning import _raise_cold_level, tune
from tests.indexer.taste.worlds import ids, noise, random_meaning


def test_gains_by_hand() -> None:
    ranks = np.array([1, 3, 11, 51])
    np.testing.assert_allclose(compute_ndcg10(ranks), [1, 0.5, 0, 0])
    np.testing.assert_allclose(compute_rank_gains(ranks), [1, 0.5, 0.5 / np.log2(12), 0])


def test_ten_cases_of_one_user_are_one_observation() -> None:
    gains = np.array([1.0, -1.0])
    apart = compute_standard_error(gains, np.array([0, 1]))
    together = compute_standard_error(np.repeat(gains, 10), np.repeat([0, 1], 10))
    assert together == pytest.approx(apart) == pytest.approx(np.sqrt(2) / 2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_gives_settings_that_are_no_worse_than_zero_shot(seed: int) -> None:
    model = fit_taste(noise(1_000, seed=seed), ids(60), random_meaning(60), seed=seed)
    report = model.report
    assert report["learned"]["all"]["gain"] >= report["zero_shot"]["all"]["gain"]


def test_an_item_without_events_gets_the_mean_prior_over_picks() -> None:
    counts = np.array([3.0, 1.0, 0.0])
    prior = compute_prior(counts, counts > 0, cold_level=1.0)
    typical = (3 * np.log(4) + 1 * np.log(2)) / 4
    np.testing.assert_allclose(prior, [np.log(4), np.log(2), typical], rtol=1e-6)


class FixedHoldout:
    """A hold-out evaluation with given ranks by cold level.

    Of each hundred of its 1,000 cases the first forty are of cold items.

    Args:
        hits: Cold and warm items found in the first ten, of each hundred cases, by cold level.
        cold_hits_by_meaning: Cold items found without a prior.
        new_users: Of each hundred cases, the last ones.
    """

    def __init__(
        self, hits: dict[float, tuple[int, int]], cold_hits_by_meaning: int, new_users: int = 0
    ) -> None:
        self.hits, self.cold_hits_by_meaning = hits, cold_hits_by_meaning
        self.new_users = new_users
        self.report = lambda _: None

    def compute_ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
        by_meaning = (self.cold_hits_by_meaning, 0)
        cold, warm = self.hits[settings.cold_level] if settings.prior_weight else by_meaning
        ranks = np.full(100, 99)
        ranks[:cold] = 10
        ranks[40 : 40 + warm] = 1
        return np.tile(ranks, 10)

    def rank_together(self, trials: Sequence[TasteSettings]) -> None:
        """They are known."""

    def collect_cold(self) -> NDArray[np.bool_]:
        return np.tile(np.arange(100) < 40, 10)

    def collect_new_user(self) -> NDArray[np.bool_]:
        return np.tile(np.arange(100) >= 100 - self.new_users, 10)


@pytest.mark.parametrize(
    ("hits", "cold_hits_by_meaning", "level"),
    [
        # Meaning finds ten of forty, so a tenth more are aimed at: the lowest level with as many.
        ({1: (5, 40), 1.25: (10, 40), 1.5: (12, 40), 1.75: (13, 40), 2: (14, 40)}, 10, 1.5),
        # That costs too much: the most that can be found for a loss of three in a hundred.
        ({1: (0, 40), 1.25: (1, 39), 1.5: (1, 39), 1.75: (9, 30), 2: (20, 10)}, 10, 1.25),
        # The first level finds enough.
        ({1: (12, 40), 1.25: (13, 40), 1.5: (14, 40), 1.75: (15, 40), 2: (16, 40)}, 10, 1.0),
    ],
)
def test_new_items_get_the_lowest_level_that_finds_enough_of_them(
    hits: dict[float, tuple[int, int]], cold_hits_by_meaning: int, level: float
) -> None:
    zero_shot = TasteSettings()
    tuned = replace(zero_shot, prior_weight=0.1, cold_level=1.0)
    holdout: Any = FixedHoldout(hits, cold_hits_by_meaning)
    assert _raise_cold_level(holdout, tuned, zero_shot).cold_level == level


def test_new_users_do_not_pay_for_new_items() -> None:
    # The sixty warm cases are of new users; of 1,000 cases 600 are theirs.
    hits = {1: (0, 40), 1.25: (20, 39), 1.5: (20, 38), 1.75: (20, 38), 2: (20, 38)}
    zero_shot = TasteSettings()
    tuned = replace(zero_shot, prior_weight=0.1, cold_level=1.0)
    affordable: Any = FixedHoldout(hits, 20, new_users=60)
    assert _raise_cold_level(affordable, tuned, zero_shot).cold_level == 1.25
    too_costly: Any = FixedHoldout({**hits, 1.25: (20, 38)}, 20, new_users=60)
    assert _raise_cold_level(too_costly, tuned, zero_shot).cold_level == 1.0
    without_new_users: Any = FixedHoldout({**hits, 1.25: (20, 38)}, 20)
    assert _raise_cold_level(without_new_users, tuned, zero_shot).cold_level == 1.25


class FlatteringHoldout(FixedHoldout):
    """A sample that makes text look good, though it puts 40 other items before each target.

    Args:
        learns: Whether it sees through it when the winner's first items join it.
    """

    def __init__(self, *, learns: bool, among_all: bool = False) -> None:
        super().__init__({}, 0)
        self.learns, self.is_exact = learns, among_all
        self.winners: list[TasteSettings] = []

    def __len__(self) -> int:
        return 1_000

    @override
    def compute_ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
        if settings.text_weight:
            return np.full(1_000, 41 if self.is_exact else 1)
        return np.full(1_000, 3 if settings.neighbour_weight else 60)

    def compute_gains(self, settings: TasteSettings) -> NDArray[np.float64]:
        return compute_rank_gains(self.compute_ranks(settings))

    def compute_lead(self, gains: NDArray[np.float64]) -> float:
        return float(gains.mean())

    def count_cases_with(self, liking: float) -> int:
        return 0

    def widen_sample(self, winner: TasteSettings) -> None:
        self.winners.append(winner)
        self.is_exact = self.learns

    def look_at_all(self) -> "FlatteringHoldout":
        return FlatteringHoldout(learns=self.learns, among_all=True)


@pytest.mark.parametrize("learns", [True, False])
def test_settings_that_a_sample_flatters_are_not_kept(*, learns: bool) -> None:
    holdout: Any = FlatteringHoldout(learns=learns)
    zero_shot = TasteSettings()
    start = replace(zero_shot, neighbour_weight=1.0)
    found = tune(holdout, zero_shot, [start])
    assert (found.text_weight, found.neighbour_weight) == (0, 1)
    assert holdout.winners[0].text_weight > 0


def test_a_block_that_a_sample_takes_for_idle_is_kept_if_it_helps_among_all() -> None:
    class TextHelpsHoldout(FlatteringHoldout):
        @override
        def compute_ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
            helped = settings.text_weight or not self.is_exact
            return np.full(1_000, 2 if helped and settings.neighbour_weight else 60)

        @override
        def look_at_all(self) -> "TextHelpsHoldout":
            return TextHelpsHoldout(learns=False, among_all=True)

    holdout: Any = TextHelpsHoldout(learns=False)
    zero_shot = TasteSettings()
    start = replace(zero_shot, neighbour_weight=1.0, text_weight=1.0)
    assert tune(holdout, zero_shot, [start]) == start
