"""The prior and what is usual of it, against numbers worked by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.taste.prior import (
    PickedPriorStats,
    compute_picked_prior_stats,
    compute_prior,
    estimate_early_picks,
    lend_picks,
)

COUNTS = np.array([3.0, 1.0, 0.0])


def test_what_was_never_picked_has_no_prior_and_lent_picks_count_as_own() -> None:
    prior = compute_prior(COUNTS, np.array([0.0, 0.0, 0.0]))
    np.testing.assert_allclose(prior, [np.log(4), np.log(2), 0.0], rtol=1e-6)
    prior = compute_prior(COUNTS, np.array([0.0, 2.0, 5.0]))
    np.testing.assert_allclose(prior, [np.log(4), np.log(4), np.log(6)], rtol=1e-6)


def test_an_arrival_is_lent_half_as_much_whenever_a_twentieth_of_the_events_has_passed() -> None:
    ages = np.array([0.0, 0.05, 0.1, 0.5, np.nan], np.float32)
    counts = np.array([0.0, 0.0, 7.0, 0.0, 1.0])
    lent = lend_picks(counts, ages)
    # Two arrivals have 0 and 7 picks; all that were picked have 7 and 1, whose median, 4, counts as
    # twenty more.
    early = (1 * 8 * 5**20) ** (1 / 22) - 1
    np.testing.assert_allclose(lent, [early, early / 2, early / 4, 0, 0], rtol=1e-5)
    assert not lend_picks(counts, np.zeros(0, np.float32)).any()


def test_arrivals_are_worth_what_the_mean_prior_of_the_lately_arrived_is() -> None:
    # Twenty of the newest tenth have 3 picks or 0, so that their mean prior is half of log(4). The
    # median of what was picked, 3, counts as twenty more: together that is 3/4 of log(4). What
    # arrived after all events had no chance.
    counts = np.r_[np.tile([3.0, 0.0], 10), np.zeros(10), np.full(30, 3.0)]
    ages = np.r_[np.full(20, 0.1), np.zeros(10), np.full(15, 0.11), np.full(15, np.nan)]
    assert estimate_early_picks(counts, ages.astype(np.float32)) == pytest.approx(4**0.75 - 1)
    assert estimate_early_picks(np.zeros(3), np.zeros(0, np.float32)) == 0.0


def test_the_usual_prior_is_that_of_a_pick_not_of_an_item() -> None:
    prior = np.array([2.0, 6.0, 100.0], np.float32)
    usual = compute_picked_prior_stats(prior, COUNTS)  # three picks of 2 and one of 6
    assert usual.mean == 3.0
    assert usual.spread == pytest.approx(np.sqrt(3))
    np.testing.assert_allclose(usual.compute_deviations(prior[:2]), [-1 / np.sqrt(3), np.sqrt(3)])


def test_no_pick_is_so_far_from_the_usual_that_popularity_would_count_against_an_item() -> None:
    prior = np.array([-1e6, 3.0, 1e6], np.float32)
    assert PickedPriorStats(3.0, 0.5).compute_deviations(prior).tolist() == [-1, 0, 2]


@pytest.mark.parametrize("counts", [np.zeros(3), np.array([5.0, 0.0, 0.0])])
def test_where_all_picks_are_alike_nobody_leans(counts: NDArray[np.float64]) -> None:
    prior = np.array([2.0, 6.0, 1.0], np.float32)
    assert not compute_picked_prior_stats(prior, counts).compute_deviations(prior).any()
