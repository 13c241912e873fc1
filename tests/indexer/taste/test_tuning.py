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
from indexer.taste.settings import TasteSettings
from indexer.taste.tuning import tune
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


class FlatteringHoldout:
    """A sample that makes text look good, though it puts 40 other items before each target.

    Args:
        learns: Whether it sees through it when the winner's first items join it.
    """

    def __init__(self, *, learns: bool, among_all: bool = False) -> None:
        self.report = lambda _: None
        self.learns, self.is_exact = learns, among_all
        self.winners: list[TasteSettings] = []

    def __len__(self) -> int:
        return 1_000

    def rank_together(self, trials: Sequence[TasteSettings]) -> None:
        """They are known."""

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
