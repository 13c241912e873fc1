"""Neighbours against numbers worked by hand and a plain loop."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.taste import neighbours as neighbours_module
from indexer.taste.events import Events, build_events
from indexer.taste.neighbours import (
    Neighbours,
    fit_neighbours,
    fit_neighbours_of_half_lives,
)
from tests.indexer.taste.worlds import ids, interaction, noise


def dense(neighbours: Neighbours) -> list[list[float]]:
    rows: list[list[float]] = neighbours.to_matrix().toarray().tolist()
    return rows


def by_plain_loops(events: Events, half_life: float) -> NDArray[np.float64]:
    n = events.n_items
    weight = 0.5 ** (events.age.astype(float) / half_life)
    counts, appeal = np.zeros((n, n)), np.full(n, 5.0)
    for b in range(len(events)):
        appeal[events.item[b]] += weight[b]
        for a in range(max(0, b - 50), b):
            if events.user[a] != events.user[b]:
                continue
            near = math.exp(-(b - a - 1) / 15)
            back = 1.0 if events.step[a] == events.step[b] else 0.5
            counts[events.item[a], events.item[b]] += near * weight[b]
            counts[events.item[b], events.item[a]] += near * weight[a] * back
    np.fill_diagonal(counts, 0)
    usual: float = appeal[appeal > 5].mean()
    strengths: NDArray[np.float64] = counts / np.outer(appeal**0.5, appeal**0.6) * usual**0.1
    return strengths


def test_what_follows_counts_once_and_what_went_before_half() -> None:
    events = build_events([interaction("u", item) for item in "xyz"], ["x", "y", "z"])
    far = math.exp(-1 / 15)
    expected = np.array([[0, 1, far], [0.5, 0, 1], [0.5 * far, 0.5, 0]]) / 6
    np.testing.assert_allclose(dense(fit_neighbours(events)), expected, rtol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_pairs_agree_with_plain_loops(seed: int) -> None:
    events = build_events(noise(300, n=12, seed=seed), ids(12))
    fitted = fit_neighbours(events, half_life=0.3)
    np.testing.assert_allclose(dense(fitted), by_plain_loops(events, 0.3), rtol=1e-4, atol=1e-7)


def test_of_two_items_met_as_often_beside_a_third_the_rarer_is_its_nearer_neighbour() -> None:
    pairs = [interaction(user, item) for user in "ab" for item in ("x", "rare")]
    pairs += [interaction(user, item) for user in "cd" for item in ("x", "hit")]
    alone = [interaction(f"u{n}", "hit") for n in range(30)]
    found = dense(fit_neighbours(build_events(pairs + alone, ["x", "rare", "hit"])))
    assert found[0][1] / found[0][2] == pytest.approx((37 / 7) ** 0.6, rel=1e-5)
    assert found[1][0] / found[2][0] == pytest.approx((37 / 7) ** 0.5, rel=1e-5)


def test_disliked_items_have_no_neighbours() -> None:
    rows = [interaction("u", "x"), interaction("u", "y", event="dislike"), interaction("u", "z")]
    matrix = np.array(dense(fit_neighbours(build_events(rows, ["x", "y", "z"]))))
    assert matrix[1].sum() == matrix[:, 1].sum() == 0
    assert matrix[0, 2] > 0


def test_only_the_strongest_are_kept_and_ties_go_to_the_first_row() -> None:
    # All four at once: the nearer in order is the stronger, and of two as near the first stays.
    rows = [interaction(user, item, 1.0) for user in "uv" for item in "wxyz"]
    fitted = fit_neighbours(build_events(rows, list("wxyz")), max_neighbours=2)
    kept = [fitted.rows[fitted.starts[row] : fitted.starts[row + 1]].tolist() for row in range(4)]
    assert [sorted(rows) for rows in kept] == [[1, 2], [0, 2], [1, 3], [1, 2]]


def test_no_events_are_no_neighbours() -> None:
    fitted = fit_neighbours(build_events([], ids(3)))
    assert fitted.starts.tolist() == [0, 0, 0, 0]
    assert len(fitted.values) == 0


def test_several_half_lives_at_once_are_each_as_alone() -> None:
    events = build_events(noise(400, n=20), ids(20))
    together = fit_neighbours_of_half_lives(events, (0.1, 1.0), 5)
    for half_life, fitted in together.items():
        alone = fit_neighbours(events, half_life=half_life, max_neighbours=5)
        for name in ("starts", "rows", "values"):
            np.testing.assert_array_equal(getattr(fitted, name), getattr(alone, name))


@pytest.mark.parametrize("pairs", [1, 100, 10_000])
def test_the_size_of_a_block_changes_nothing(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    events = build_events(noise(300, n=12), ids(12))
    whole = fit_neighbours(events, half_life=0.3)
    monkeypatch.setattr(neighbours_module, "_BLOCK_PAIRS", pairs)
    parted = fit_neighbours(events, half_life=0.3)
    np.testing.assert_array_equal(parted.rows, whole.rows)
    np.testing.assert_array_equal(parted.values, whole.values)
