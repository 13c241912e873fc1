"""A large catalogue is learned by a sample of it: near the whole, by bounded memory, told."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.metrics import compute_ndcg10
from indexer.taste import TasteModel, cases, catalogue_ranking, fit_taste, window_scorers
from indexer.taste.candidate_sample import draw_sample
from indexer.taste.cases import Window, split_windows
from indexer.taste.catalogue_ranking import compute_ranks, rank_in_tiles
from indexer.taste.events import build_events
from indexer.taste.fit import fit_blocks
from indexer.taste.scorer import HIDDEN_SCORE, Scorer
from indexer.taste.settings import TasteSettings
from indexer.taste.text_block import fit_text_block, fit_text_factors
from tests.indexer.taste.worlds import (
    ALL_BLOCKS,
    chains,
    compare_at_most,
    habits,
    ids,
    interaction,
    random_meaning,
)

N, PICKED = 1_500, 150  # items of the catalogue; those that anybody ever picks
SETTINGS = replace(ALL_BLOCKS, context=("place",), context_weight=0.5)

Bound = Callable[[int], None]


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> Bound:
    """`compare_at_most`, until the test ends."""
    return partial(compare_at_most, monkeypatch=monkeypatch)


def world(*, repeats: bool) -> tuple[NDArray[np.float32], Window]:
    """The meaning of the items, and the newest window of interactions at two places."""
    rows = [*(habits(60, PICKED) if repeats else chains(200, PICKED))]
    rows.append(interaction("u1", "i5", 10.0, event="dislike"))
    placed = [
        replace(row, context={"place": "home" if number % 3 else "bus"})
        for number, row in enumerate(rows)
    ]
    events = build_events(placed, ids(N))
    return random_meaning(N), split_windows(events, repeats=repeats, count=1, seed=0)[0]


@pytest.mark.parametrize("repeats", [True, False])
def test_an_item_of_the_sample_scores_as_it_does_among_all(bound: Bound, *, repeats: bool) -> None:
    meaning, window = world(repeats=repeats)
    hidden = np.array([3, 4, 5])
    fitted = fit_blocks(window.train, meaning)
    all_scores = Scorer(fitted, window.cases, repeats, hidden).compute_scores(SETTINGS)
    bound(100)
    sample = draw_sample(
        meaning, window.cases.target, hidden, size=800, rng=np.random.default_rng(0)
    )
    sampled = Scorer(fit_blocks(window.train, meaning), window.cases, repeats, hidden, sample)
    scores = sampled.compute_scores(SETTINGS)
    assert scores.shape == (len(window.cases), 800)
    assert np.count_nonzero(scores == HIDDEN_SCORE) >= 3 * len(window.cases)
    np.testing.assert_allclose(scores, all_scores[:, sample.rows], atol=2e-5)


def test_the_vectors_of_text_are_the_products_of_its_factors() -> None:
    meaning, window = world(repeats=False)
    neighbours = fit_blocks(window.train, meaning).neighbours[0.3]
    block, factors = fit_text_block(neighbours, meaning), fit_text_factors(neighbours, meaning)
    expected = block.sources @ block.targets.T
    found = (meaning @ factors.left) @ (meaning @ factors.right).T
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_text_is_fitted_alike_from_the_rows_that_have_neighbours(bound: Bound) -> None:
    meaning, window = world(repeats=False)
    neighbours = fit_blocks(window.train, meaning).neighbours[0.3]
    assert np.count_nonzero(np.diff(neighbours.starts)) < N
    whole = fit_text_factors(neighbours, meaning)
    bound(100)
    some = fit_text_factors(neighbours, meaning)
    expected = whole.left @ whole.right.T
    np.testing.assert_allclose(
        some.left @ some.right.T, expected, atol=1e-4 * np.abs(expected).max()
    )


@pytest.mark.parametrize("repeats", [True, False])
def test_all_items_are_ranked_alike_in_tiles_of_items_and_cases(
    bound: Bound, monkeypatch: pytest.MonkeyPatch, *, repeats: bool
) -> None:
    meaning, window = world(repeats=repeats)
    hidden = np.array([3, 4, 5])
    at_once = Scorer(fit_blocks(window.train, meaning), window.cases, repeats, hidden)
    scores, ranks = at_once.compute_scores(SETTINGS), at_once.compute_ranks(SETTINGS)
    bound(400)
    monkeypatch.setattr(catalogue_ranking, "MAX_LARGE_SCORES", 7 * 400)
    found = rank_in_tiles(at_once, [TasteSettings(), SETTINGS], 5)
    own = scores[np.arange(len(scores)), window.cases.target]
    near = np.count_nonzero(scores >= (own - 2e-6 * np.maximum(1, np.abs(own)))[:, None], axis=1)
    assert np.all((ranks <= found[1].ranks) & (found[1].ranks <= near))
    assert np.mean(found[1].ranks == ranks) > 0.98
    np.testing.assert_array_equal(found[1].rows, np.argsort(-scores, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(found[1].scores, -np.sort(-scores, axis=1)[:, :5], atol=2e-5)
    np.testing.assert_array_equal(compute_ranks(at_once, SETTINGS), found[1].ranks)
    alone = rank_in_tiles(at_once, [TasteSettings()], 5)[0]
    np.testing.assert_array_equal(found[0].ranks, alone.ranks)


@pytest.mark.parametrize("at_once", [1, 7])
def test_copies_of_a_target_count_against_it_wherever_they_are(
    bound: Bound, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Sums of other shapes differ in the last bit, which must not decide between equal items."""
    _, window = world(repeats=True)
    copies = np.arange(N) % 300  # so that each item comes five times, all over the catalogue
    meaning = random_meaning(300, dim=384)[copies]
    scorer = Scorer(fit_blocks(window.train, meaning), window.cases, repeats=True)
    settings = TasteSettings()
    scores = scorer.compute_scores(settings)[:, :300][:, copies]
    own = scores[np.arange(len(scores)), window.cases.target]
    expected = np.count_nonzero(scores >= own[:, None], axis=1)
    assert expected.min() >= 5
    bound(237)
    monkeypatch.setattr(catalogue_ranking, "MAX_LARGE_SCORES", at_once * 237)
    np.testing.assert_array_equal(compute_ranks(scorer, settings), expected)


def test_what_depends_on_cases_alone_is_computed_once_for_all_tiles(
    bound: Bound, monkeypatch: pytest.MonkeyPatch
) -> None:
    meaning, window = world(repeats=False)
    scorer = Scorer(fit_blocks(window.train, meaning), window.cases, repeats=False)
    heights: list[int] = []
    build = Scorer.build_history_matrix

    def record(one: Scorer, weights: NDArray[np.float32]) -> Any:
        heights.append(len(one.cases))
        return build(one, weights)

    monkeypatch.setattr(Scorer, "build_history_matrix", record)
    bound(100)
    monkeypatch.setattr(catalogue_ranking, "MAX_LARGE_SCORES", 30 * 100)
    trials = [SETTINGS, replace(SETTINGS, neighbour_weight=1.0, prior_weight=0.3)]
    found = rank_in_tiles(scorer, trials, 1)
    # The profiles, what is near them and their text: once each for every case, in fifteen tiles.
    assert sum(heights) == 3 * len(window.cases)
    alone = rank_in_tiles(scorer, trials[1:], 1)[0]
    np.testing.assert_array_equal(found[1].ranks, alone.ranks)


def fit_chains(told: list[str] | None = None) -> TasteModel:
    progress = None if told is None else told.append
    return fit_taste(chains(500, PICKED), ids(N), random_meaning(N), progress=progress)


@pytest.mark.slow
def test_up_to_the_bound_everything_is_compared_as_ever(bound: Bound) -> None:
    expected = fit_chains()
    bound(N)
    found = fit_chains()
    assert found.settings == expected.settings
    assert found.report == expected.report
    assert "compared" not in found.report


@pytest.mark.slow
def test_beyond_the_bound_the_same_is_learned_of_a_known_world(bound: Bound) -> None:
    whole = fit_chains()
    bound(800)
    told: list[str] = []
    some = fit_chains(told)
    # After each item comes one certain item nine times out of ten, which neighbours alone know.
    for model in (whole, some):
        assert model.settings.neighbour_weight > 0
        assert model.report["learned"]["all"]["recall10"] > 0.6
        assert model.report["zero_shot"]["all"]["recall10"] < 0.1
    assert any("cases, each compared with 800 of 1,500 items" in line for line in told)
    assert some.report["compared"] == {
        "items": 800,
        "of": N,
        "for_certain": 700,
        "drawn": 100,
        "each_drawn_stands_for": 8.0,
    }


def build_scorers(n: int, probes: list[TasteSettings]) -> list[Scorer]:
    """The scorers of two windows of chains in a catalogue of `n` items."""
    events, meaning = build_events(chains(250, PICKED), ids(n)), random_meaning(n)
    return window_scorers.build_scorers(
        events,
        split_windows(events, repeats=False, count=2, seed=0),
        lambda train: fit_blocks(train, meaning),
        repeats=False,
        probes=probes,
        seed=0,
    )


def rank(scorers: list[Scorer], settings: TasteSettings) -> NDArray[np.int64]:
    return np.concatenate([compute_ranks(one, settings) for one in scorers])


def test_up_to_the_bound_there_is_no_sample(bound: Bound) -> None:
    bound(N)
    assert [one.sample for one in build_scorers(N, [])] == [None, None]


PLAIN = replace(SETTINGS, text_weight=0.0, context=(), context_weight=0.0)


def test_the_ranks_of_a_sample_are_those_of_brute_force(bound: Bound) -> None:
    """Near the top they are exact but for a few, farther down they are right in the mean."""
    bound(800)
    sampled = build_scorers(N, [TasteSettings(), PLAIN])
    exact = [replace(one, sample=None) for one in sampled]
    assert len({id(one.sample) for one in sampled}) == 1
    for settings in (PLAIN, replace(PLAIN, neighbour_weight=4.0, prior_weight=0.2)):
        expected, found = rank(exact, settings), rank(sampled, settings)
        is_near = expected <= 20
        assert np.count_nonzero(is_near) > 100
        assert np.mean(found[is_near] == expected[is_near]) > 0.98
        assert np.mean((found <= 20) == is_near) > 0.98
        difference = compute_ndcg10(found) - compute_ndcg10(expected)
        assert difference.mean() == pytest.approx(0, abs=0.002)
    expected, found = (rank(one, TasteSettings()) for one in (exact, sampled))
    # A hundred are drawn of at most 800 others, so that a rank is off by less than
    # sqrt(100 / 4) * 800 / 100 = 40 in the standard deviation, and 200 by five of them.
    assert np.abs(found - expected).max() <= 200
    assert (found - expected).mean() == pytest.approx(0, abs=40)


def test_the_first_items_of_every_case_are_compared_for_certain(
    bound: Bound, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound(800)
    monkeypatch.setattr(cases, "_CASES_OF_SAMPLE", 15)
    sampled = build_scorers(N, [TasteSettings(), PLAIN])
    for one in sampled:
        assert one.sample is not None
        certain = set(one.sample.rows[: one.sample.certain_count].tolist())
        for settings in (TasteSettings(), PLAIN):
            scores = replace(one, sample=None).compute_scores(settings)
            first = np.argsort(-scores, axis=1, kind="stable")[:, :5]
            assert first.shape == (15, 5)
            assert set(first.ravel().tolist()) <= certain


@pytest.mark.parametrize("n", [1_500, 3_000])
def test_the_scores_in_memory_do_not_grow_with_the_catalogue(
    bound: Bound, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    sizes: list[int] = []
    find_part = Scorer._find_part

    def record(one: Scorer, name: str, *rest: Any) -> NDArray[np.float32]:
        part = find_part(one, name, *rest)
        sizes.append(part.size)
        return part

    monkeypatch.setattr(Scorer, "_find_part", record)
    for module in (catalogue_ranking, window_scorers):
        monkeypatch.setattr(module, "MAX_LARGE_SCORES", 60_000)
    bound(1_000)
    scorers = build_scorers(n, [PLAIN])
    assert len(scorers[0].cases) * n > 150_000
    rank(scorers, PLAIN)
    assert 50_000 < max(sizes) <= 60_000
