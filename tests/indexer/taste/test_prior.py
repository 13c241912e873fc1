"""The prior and what is usual of it, against numbers worked by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.taste.prior import PickedPriorStats, compute_picked_prior_stats, compute_prior

COUNTS = np.array([3.0, 1.0, 0.0])


def test_what_was_never_picked_has_a_share_of_what_a_pick_has() -> None:
    prior = compute_prior(COUNTS, np.array([True, True, False]), cold_level=0.5)
    typical = (3 * np.log(4) + np.log(2)) / 4
    np.testing.assert_allclose(prior, [np.log(4), np.log(2), 0.5 * typical], rtol=1e-6)


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
