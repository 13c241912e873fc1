"""Decisions follow evidence of whole users, and noise is none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.metrics import compute_ndcg10
from indexer.taste import fit_taste
from indexer.taste.prior import compute_prior
from indexer.taste.settings import TasteSettings
from indexer.taste.tuning import _raise_cold_level, compute_standard_error, gains_from_ranks
from tests.indexer.taste.worlds import ids, noise, random_meaning


def test_gains_by_hand() -> None:
    ranks = np.array([1, 3, 11, 51])
    np.testing.assert_allclose(compute_ndcg10(ranks), [1, 0.5, 0, 0])
    np.testing.assert_allclose(gains_from_ranks(ranks), [1, 0.5, 0.5 / np.log2(12), 0])


def test_ten_cases_of_one_user_are_one_observation() -> None:
    gains = np.array([1.0, -1.0])
    apart = compute_standard_error(gains, np.array([0, 1]))
    together = compute_standard_error(np.repeat(gains, 10), np.repeat([0, 1], 10))
    assert together == pytest.approx(apart) == pytest.approx(np.sqrt(2) / 2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_opens_nothing_that_is_worse_than_zero_shot(seed: int) -> None:
    model = fit_taste(noise(1_000, seed=seed), ids(60), random_meaning(60), seed=seed)
    report = model.report
    assert report["learned"]["all"]["gain"] >= report["zero_shot"]["all"]["gain"]


def test_what_nobody_met_gets_the_prior_of_a_typical_pick() -> None:
    counts = np.array([3.0, 1.0, 0.0])
    prior = compute_prior(counts, counts > 0, cold_level=1.0)
    typical = (3 * np.log(4) + 1 * np.log(2)) / 4
    np.testing.assert_allclose(prior, [np.log(4), np.log(2), typical], rtol=1e-6)


class _Told:
    """Ranks by cold level, written down: 1,000 cases, of each hundred the first forty cold."""

    def __init__(
        self, found: dict[float, tuple[int, int]], meaning: int, new_users: int = 0
    ) -> None:
        self.found, self.meaning, self.new_users = found, meaning, new_users
        self.report = lambda _: None

    def ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
        cold, warm = self.found[settings.cold_level] if settings.prior_weight else (self.meaning, 0)
        ranks = np.full(100, 99)
        ranks[:cold] = 10
        ranks[40 : 40 + warm] = 1
        return np.tile(ranks, 10)

    def cold(self) -> NDArray[np.bool_]:
        return np.tile(np.arange(100) < 40, 10)

    def new_user(self) -> NDArray[np.bool_]:
        return np.tile(np.arange(100) >= 100 - self.new_users, 10)


@pytest.mark.parametrize(
    ("found", "meaning", "level"),
    [
        # Ten of forty by meaning, so a tenth more are wanted: the least level that finds them.
        ({1: (5, 40), 1.25: (10, 40), 1.5: (12, 40), 1.75: (13, 40), 2: (14, 40)}, 10, 1.5),
        # What is wanted costs too much: as many as there are within three in a hundred.
        ({1: (0, 40), 1.25: (1, 39), 1.5: (1, 39), 1.75: (9, 30), 2: (20, 10)}, 10, 1.25),
        # Enough are found already.
        ({1: (12, 40), 1.25: (13, 40), 1.5: (14, 40), 1.75: (15, 40), 2: (16, 40)}, 10, 1.0),
    ],
)
def test_new_items_get_the_least_place_that_is_fair(
    found: dict[float, tuple[int, int]], meaning: int, level: float
) -> None:
    shut = TasteSettings()
    opened = replace(shut, prior_weight=0.1, cold_level=1.0)
    told: Any = _Told(found, meaning)
    assert _raise_cold_level(told, opened, shut).cold_level == level


def test_new_users_do_not_pay_for_new_items() -> None:
    # The sixty warm cases are of new users; of 1,000 cases 600 are theirs.
    found = {1: (0, 40), 1.25: (20, 39), 1.5: (20, 38), 1.75: (20, 38), 2: (20, 38)}
    shut = TasteSettings()
    opened = replace(shut, prior_weight=0.1, cold_level=1.0)
    wanted: Any = _Told(found, 20, new_users=60)
    assert _raise_cold_level(wanted, opened, shut).cold_level == 1.25
    dear: Any = _Told({**found, 1.25: (20, 38)}, 20, new_users=60)
    assert _raise_cold_level(dear, opened, shut).cold_level == 1.0
    nobody_new: Any = _Told({**found, 1.25: (20, 38)}, 20)
    assert _raise_cold_level(nobody_new, opened, shut).cold_level == 1.25
