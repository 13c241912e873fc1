"""Coefficients of a history: by hand, linear where promised, and equal to the batch arithmetic."""

from dataclasses import replace

import numpy as np
import pytest

from indexer.taste.cases import windows_of
from indexer.taste.events import events_of
from indexer.taste.fit import fit_blocks, weighted
from indexer.taste.history import Past, PastItem, past_of, request_coefficients
from indexer.taste.scoring import Scorer
from indexer.taste.settings import TasteSettings
from tests.indexer.taste.worlds import chains, habits, ids, interaction, random_meaning

OPEN = TasteSettings(
    meaning_weight=0.7,
    meaning_doubt=0.8,
    taste_reach=3.0,
    met_weight=0.2,
    neighbour_weight=2.0,
    taste_half_life=0.3,
    text_weight=1.5,
    prior_weight=0.1,
    prior_half_life=0.1,
    prior_lean=0.8,
    cold_level=1.0,
    repeat_weight=1.3,
    context_gain=1.0,
)


def test_entries_of_one_moment_share_their_age() -> None:
    entries = [
        PastItem(0, "view", at=1.0),
        PastItem(1, "view", at=2.0),
        PastItem(2, "view", at=2.0),
    ]
    assert past_of(entries, TasteSettings()).age.tolist() == [2, 0, 0]
    untimed = [PastItem(row, "view") for row in range(3)]
    assert past_of(untimed, TasteSettings()).age.tolist() == [2, 1, 0]


def test_an_entry_of_like_circumstances_counts_more() -> None:
    settings = replace(OPEN, context=("place", "mood"))
    home, bus = {"place": "home", "mood": "calm"}, {"place": "bus", "mood": "calm"}
    entries = [PastItem(0, "view", context=home), PastItem(1, "view", context=bus)]
    past = past_of(entries, settings, {"place": "home", "mood": "calm", "other": "x"})
    assert past.match.tolist() == [1.0, 0.5]


def test_the_request_vectors_of_two_items_by_hand() -> None:
    settings = replace(TasteSettings(), meaning_reach=1.0, taste_reach=1.0)
    meaning = np.eye(2, dtype=np.float32)
    past = past_of([PastItem(0, "like"), PastItem(1, "like")], settings)
    found = request_coefficients(settings, past, meaning, np.zeros(2, np.float32))
    whole = np.array([0.25, 1.0]) / np.hypot(0.25, 1.0)
    np.testing.assert_allclose(found.meaning[0], whole, rtol=1e-6)
    latest = 0.7 * whole + [0, 0.3]
    np.testing.assert_allclose(found.meaning[1], latest / np.linalg.norm(latest), rtol=1e-6)
    earlier = 0.7 * whole + [0.3, 0]
    np.testing.assert_allclose(found.meaning[2], earlier / np.linalg.norm(earlier), rtol=1e-6)
    np.testing.assert_allclose(found.taste, [[0.25, 1.0]] * 3, rtol=1e-6)


@pytest.mark.parametrize("entries", [[], [PastItem(0, "dislike")]])
def test_without_a_liked_item_there_is_one_vector_with_the_prior_only(
    entries: list[PastItem],
) -> None:
    m = len(entries)
    past, appeal = past_of(entries, OPEN), np.ones(m, np.float32)
    found = request_coefficients(OPEN, past, np.ones((m, 1), np.float32), appeal)
    assert found.meaning.shape == (1, len(entries))
    assert not found.meaning.any()
    assert not found.taste.any()
    assert found.prior.tolist() == [1.0]


def test_what_is_popular_counts_more_to_those_who_pick_it() -> None:
    settings = replace(TasteSettings(), taste_reach=1.0, prior_lean=0.6)
    past = past_of([PastItem(0, "like"), PastItem(1, "like"), PastItem(2, "dislike")], settings)
    meaning = np.eye(3, dtype=np.float32)
    # They weigh 1/9, 1/4 and nothing; two of the usual are mixed in.
    held = 1 / 9 + 1 / 4 + 2
    for appeal, mean in (([2, 1, 9], (2 / 9 + 1 / 4) / held), ([-1, 0, 9], -1 / 9 / held)):
        found = request_coefficients(settings, past, meaning, np.array(appeal, np.float32))
        np.testing.assert_allclose(found.prior, 1 + 0.6 * mean, rtol=1e-6)


@pytest.mark.parametrize("repeats", [True, False])
def test_one_request_scores_as_the_batch_does(repeats: bool) -> None:  # noqa: FBT001  # parametrized
    n = 80
    rows = habits(30, n) if repeats else chains(60, n)
    rows += [interaction("u1", "i5", 10.0, event="dislike")]
    events = events_of(rows, ids(n))
    meaning = random_meaning(n)
    window = windows_of(events, repeats=repeats, count=1, seed=0)[0]
    blocks = fit_blocks(window.fitted, meaning)
    scorer = Scorer(blocks, window.cases, repeats)
    expected = scorer.scores(OPEN)
    model = weighted(blocks, OPEN, {})
    for case in range(len(window.cases)):
        mine = window.cases.case == case
        parts = window.cases.past
        past = Past(parts.row[mine], parts.age[mine], parts.liking[mine], parts.match[mine])
        appeal = model.usual.deviations(model.prior[past.row])
        found = request_coefficients(OPEN, past, meaning[past.row], appeal)
        inner = (found.meaning @ meaning[past.row]) @ meaning.T
        inner += (found.taste @ model.sources[past.row]) @ model.targets.T
        inner += found.prior[:, None] * model.prior
        scores = inner.max(axis=0)
        added = model.addends(past.row, found, include_seen=repeats).totals()
        for row, value in added.items():
            scores[row] += value
        open_rows = np.ones(n, bool) if repeats else ~np.isin(np.arange(n), past.row)
        np.testing.assert_allclose(scores[open_rows], expected[case][open_rows], atol=2e-5)
