"""What a history counts: by hand, and served as it was tuned."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.ann.layout import Layout
from indexer.query.inputs import QueryInput, Role, build_history_inputs
from indexer.query.query_vectors import build_query_vectors
from indexer.query.taste_contribution import TasteContext, apply_taste_model
from indexer.request.body import HistoryEntry, Weights
from indexer.request.scenarios import Scenario
from indexer.taste.cases import split_windows
from indexer.taste.events import build_events
from indexer.taste.fit import fit_blocks, fold_weights
from indexer.taste.history import (
    HistoryItem,
    build_history,
    compute_entry_weights,
    compute_popularity_affinity,
    compute_shrinkage_factor,
)
from indexer.taste.scorer import Scorer
from indexer.taste.settings import TasteSettings
from tests.indexer.taste.worlds import ALL_BLOCKS, chains, habits, ids, interaction, random_meaning

OPEN = replace(ALL_BLOCKS, taste_reach=3.0, met_weight=0.2, context_gain=1.0)


def test_entries_of_one_moment_share_their_age() -> None:
    entries = [
        HistoryItem(0, "view", at=1.0),
        HistoryItem(1, "view", at=2.0),
        HistoryItem(2, "view", at=2.0),
    ]
    assert build_history(entries, TasteSettings()).age.tolist() == [2, 0, 0]
    untimed = [HistoryItem(row, "view") for row in range(3)]
    assert build_history(untimed, TasteSettings()).age.tolist() == [2, 1, 0]


def test_an_entry_of_like_circumstances_counts_more() -> None:
    settings = replace(OPEN, context=("place", "mood"))
    home, bus = {"place": "home", "mood": "calm"}, {"place": "bus", "mood": "calm"}
    entries = [HistoryItem(0, "view", context=home), HistoryItem(1, "view", context=bus)]
    past = build_history(entries, settings, {"place": "home", "mood": "calm", "other": "x"})
    assert past.context_match.tolist() == [1.0, 0.5]


def test_an_older_entry_counts_less_by_hand() -> None:
    past = build_history([HistoryItem(0, "like"), HistoryItem(1, "like")], TasteSettings())
    weights = compute_entry_weights(past, 1.0, TasteSettings())
    np.testing.assert_allclose(weights, [0.25, 1.0], rtol=1e-6)


def served(weights: list[float]) -> NDArray[np.float32]:
    """Coefficients of liked items, each of a meaning of its own, and of the prior, the last."""
    signals = [QueryInput(Role.PROFILE, weight, {}, f"i{n}") for n, weight in enumerate(weights)]
    signals.append(QueryInput(Role.PRIOR, 1.0, {}))
    sources = np.eye(len(signals), dtype=np.float32)
    return build_query_vectors(
        signals, sources, scenario=Scenario("plain"), weights=Weights()
    ).coefficients


def test_the_request_vectors_of_two_items_by_hand() -> None:
    found = served([0.25, 1.0])
    whole = np.array([0.25, 1.0]) / np.hypot(0.25, 1.0)
    np.testing.assert_allclose(found[0, :2], whole, rtol=1e-6)
    earlier = 0.7 * whole + [0.3, 0]
    np.testing.assert_allclose(found[1, :2], earlier / np.linalg.norm(earlier), rtol=1e-6)
    latest = 0.7 * whole + [0, 0.3]
    np.testing.assert_allclose(found[2, :2], latest / np.linalg.norm(latest), rtol=1e-6)
    assert found[:, 2].tolist() == [1.0] * 3


@pytest.mark.parametrize("weights", [[], [0.0]])
def test_without_a_liked_item_there_is_one_vector_with_the_prior_only(weights: list[float]) -> None:
    assert served(weights).tolist() == [[*weights, 1.0]]


def test_the_weight_of_meaning_scales_what_meaning_alone_scores() -> None:
    events, meaning = build_events(habits(30, 80), ids(80)), random_meaning(80)
    window = split_windows(events, repeats=True, count=1, seed=0)[0]
    scorer = Scorer(fit_blocks(window.train, meaning), window.cases, repeats=True)
    alone = scorer.compute_scores(TasteSettings())
    less = scorer.compute_scores(TasteSettings(meaning_weight=0.7))
    np.testing.assert_allclose(less, 0.7 * alone, rtol=1e-5)


@pytest.mark.parametrize("entries", [[], [HistoryItem(0, "dislike")]])
def test_without_a_liked_item_nothing_counts_but_the_prior(entries: list[HistoryItem]) -> None:
    past, appeal = build_history(entries, OPEN), np.ones(len(entries), np.float32)
    weights = compute_entry_weights(past, OPEN.taste_reach, OPEN)
    assert not weights.any()
    assert compute_popularity_affinity(weights, appeal, OPEN) == 0
    assert compute_shrinkage_factor(float(weights.sum()), OPEN.meaning_doubt) == 0


def test_what_is_popular_counts_more_to_those_who_pick_it() -> None:
    settings = replace(TasteSettings(), taste_reach=1.0, prior_lean=0.6)
    past = build_history(
        [HistoryItem(0, "like"), HistoryItem(1, "like"), HistoryItem(2, "dislike")], settings
    )
    weights = compute_entry_weights(past, 1.0, settings)
    # They weigh 1/9, 1/4 and nothing; two of the usual are mixed in.
    held = 1 / 9 + 1 / 4 + 2
    for appeal, mean in (([2, 1, 9], (2 / 9 + 1 / 4) / held), ([-1, 0, 9], -1 / 9 / held)):
        lean = compute_popularity_affinity(weights, np.array(appeal, np.float32), settings)
        assert lean == pytest.approx(0.6 * mean, rel=1e-6)


@pytest.mark.parametrize("repeats", [True, False])
def test_one_request_scores_as_the_batch_does(
    repeats: bool,  # noqa: FBT001  # parametrized
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What settings are tuned by is what is served.

    But for the vector of a history without its newest item, which is served alone: it changed no
    figure of any set, and would cost tuning a product more.
    """
    monkeypatch.setattr("indexer.query.query_vectors._drop_unrelated_newest", lambda *_: None)
    n = 80
    rows = habits(30, n) if repeats else chains(60, n)
    rows += [interaction("u1", "i5", 10.0, event="dislike")]
    events = build_events(rows, ids(n))
    meaning = random_meaning(n)
    window = split_windows(events, repeats=repeats, count=1, seed=0)[0]
    blocks = fit_blocks(window.train, meaning)
    expected = Scorer(blocks, window.cases, repeats).compute_scores(OPEN)
    model = fold_weights(blocks, OPEN, {})
    layout = Layout(meaning=meaning.shape[1], taste=model.targets.shape[1])
    items = np.zeros((n, layout.dim), np.float32)
    items[:, : layout.meaning + layout.taste + 1] = np.c_[meaning, model.targets, model.prior]
    plain = Scenario("plain", event_weights={"dislike": 0.0})  # it pushes away in requests alone
    moment = TasteContext(Weights(), {}, include_seen=repeats)
    for case in range(len(window.cases)):
        past = window.cases.history
        mine = np.flatnonzero(window.cases.entry_case == case)
        history = [
            HistoryEntry(
                f"i{past.row[place]}",
                event="dislike" if past.liking[place] < 0 else "purchase",
                at=-float(past.age[place]),
            )
            for place in mine
        ]
        signals = build_history_inputs(history, scenario=plain, now=0.0, rating_scale=(1, 5))
        signals.append(QueryInput(Role.PRIOR, 1.0, {}))
        row_of = {item_id: row for row, item_id in enumerate(ids(n))}
        learned = apply_taste_model(model, signals, row_of, layout=layout, taste_context=moment)
        sources = np.zeros((len(signals), layout.dim), np.float32)
        sources[:-1, : layout.meaning] = meaning[past.row[mine]]
        sources[-1, layout.meaning + layout.taste] = 1.0
        composed = build_query_vectors(
            learned.inputs, sources, scenario=plain, weights=Weights(), shrinkage=learned.shrinkage
        )
        vectors = replace(composed, taste_vectors=learned.taste_vectors).vectors
        scores = (vectors @ items.T).max(axis=0)
        np.add.at(scores, learned.input_terms.rows, learned.input_terms.values)
        open_rows = np.ones(n, bool) if repeats else ~np.isin(np.arange(n), past.row[mine])
        np.testing.assert_allclose(scores[open_rows], expected[case][open_rows], atol=2e-5)
