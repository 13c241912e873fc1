"""Decisions follow evidence of whole users, and noise is none."""

import numpy as np
import pytest

from indexer.evaluation.metrics import gains
from indexer.taste import fit_taste
from indexer.taste.prior import prior_of
from indexer.taste.tuning import gain_of, standard_error
from tests.indexer.taste.worlds import ids, noise, random_meaning


def test_gains_by_hand() -> None:
    ranks = np.array([1, 3, 11, 51])
    np.testing.assert_allclose(gains(ranks), [1, 0.5, 0, 0])
    np.testing.assert_allclose(gain_of(ranks), [1, 0.5, 0.5 / np.log2(12), 0])


def test_ten_cases_of_one_user_are_one_observation() -> None:
    gains = np.array([1.0, -1.0])
    apart = standard_error(gains, np.array([0, 1]))
    together = standard_error(np.repeat(gains, 10), np.repeat([0, 1], 10))
    assert together == pytest.approx(apart) == pytest.approx(np.sqrt(2) / 2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_opens_nothing_that_is_worse_than_zero_shot(seed: int) -> None:
    model = fit_taste(noise(1_000, seed=seed), ids(60), random_meaning(60), seed=seed)
    report = model.report
    assert report["learned"]["all"]["gain"] >= report["zero_shot"]["all"]["gain"]


def test_what_nobody_met_gets_the_prior_of_a_typical_pick() -> None:
    counts = np.array([3.0, 1.0, 0.0])
    prior = prior_of(counts, counts > 0, cold_level=1.0)
    typical = (3 * np.log(4) + 1 * np.log(2)) / 4
    np.testing.assert_allclose(prior, [np.log(4), np.log(2), typical], rtol=1e-6)
