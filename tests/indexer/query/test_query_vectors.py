"""Weighted inputs and the query vectors made of them, worked out by hand in two dimensions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.query.inputs import (
    QueryInput,
    Role,
    build_context_inputs,
    build_history_inputs,
    build_interest_inputs,
)
from indexer.query.query_vectors import build_query_vectors
from indexer.query.reasons import build_reasons
from indexer.request.body import HistoryEntry, Weights
from indexer.request.scenarios import SCENARIOS, Scenario, find_scenario
from indexer.taste.settings import PROFILE_SHARE

PLAIN = Scenario("plain", half_life_events=1.0, recent_vectors=2)
PRIOR = QueryInput(Role.PRIOR, 1.0, {"kind": "popularity"})
X, Y, P = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]  # meaning, meaning, prior


def weigh(entries: Sequence[HistoryEntry], scenario: Scenario = PLAIN) -> list[float]:
    inputs = build_history_inputs(entries, scenario=scenario, now=1_000.0, rating_scale=(1, 5))
    return [query_input.weight for query_input in inputs]


def liked(item_id: str, weight: float = 1.0) -> QueryInput:
    return QueryInput(
        Role.PROFILE, weight, {"kind": "history", "item_id": item_id}, item_id=item_id
    )


def test_each_newer_entry_halves_an_older_one() -> None:
    entries = [HistoryEntry(item_id=name, event="like") for name in "abc"]
    assert weigh(entries) == [0.25, 0.5, 1.0]


def test_a_review_is_its_item_and_at_half_weight_its_words_signed_by_its_rating() -> None:
    for value, weight in ((5.0, 1.0), (3.0, 0.0), (1.0, -1.0), (None, 0.7)):
        entry = HistoryEntry(item_id="a", event="review", text="x" * 500, value=value)
        item, words = build_history_inputs([entry], scenario=PLAIN, now=0.0, rating_scale=(1, 5))
        assert item.item_id == "a"
        assert item.weight == pytest.approx(weight)
        assert (words.item_id, words.text) == (None, "x" * 500)
        assert words.weight == pytest.approx(weight / 2)
        assert words.reason["item_id"] == "a"
        assert len(words.reason["text"]) == 200
    without = HistoryEntry(item_id="a", event="review")
    assert len(build_history_inputs([without], scenario=PLAIN, now=0.0, rating_scale=(1, 5))) == 1


@pytest.mark.parametrize(
    ("taking_back", "kind"),
    [("refund", "purchase"), ("return", "purchase"), ("cancel", "purchase"),
     ("remove_from_cart", "add_to_cart"), ("unlike", "like"), ("unsubscribe", "like")],
)  # fmt: skip
def test_what_was_taken_back_is_dropped_once_and_what_takes_back_pushes_away(
    taking_back: str, kind: str
) -> None:
    entries = [
        HistoryEntry(item_id="a", event=kind, at=1.0),
        HistoryEntry(item_id="b", event=kind, at=2.0),
        HistoryEntry(item_id="a", event=kind, at=3.0),
        HistoryEntry(item_id="a", event=taking_back, at=4.0),
        HistoryEntry(item_id="a", event="view", at=5.0),
    ]
    inputs = build_history_inputs(entries, scenario=PLAIN, now=10.0, rating_scale=(1, 5))
    left = [(one.item_id, one.reason["event"]) for one in inputs]
    assert left == [("a", kind), ("b", kind), ("a", taking_back), ("a", "view")]
    assert inputs[2].weight < 0 < inputs[0].weight


@pytest.mark.parametrize(("plays", "weight"), [(None, 0.6), (1, 0.6), (2, 0.951), (1_000, 1.2)])
def test_a_count_weighs_as_its_logarithm_up_to_twice(plays: float | None, weight: float) -> None:
    """0.6 of a play times log2(1 + plays)."""
    (found,) = weigh([HistoryEntry(item_id="a", event="play", value=plays)])
    assert found == pytest.approx(weight, abs=1e-3)


@pytest.mark.parametrize("event", ["like", "share", "play", "dislike"])
def test_what_happened_zero_times_weighs_nothing_and_is_no_opinion(event: str) -> None:
    never = HistoryEntry(item_id="a", event=event, value=0)
    assert weigh([never]) == [0.0]
    for earlier in ("like", "dislike", "view"):
        entries = [HistoryEntry(item_id="a", event=earlier), never]
        assert weigh(entries)[0] == PLAIN.get_event_weight(earlier) / 2


def test_a_price_of_a_purchase_is_no_count() -> None:
    assert weigh([HistoryEntry(item_id="a", event="purchase", value=19.9)]) == [1.0]


def test_entries_are_sorted_by_time_and_those_without_come_first() -> None:
    entries = [
        HistoryEntry(item_id="late", at=900.0),
        HistoryEntry(item_id="untimed 1"),
        HistoryEntry(item_id="early", at=100.0),
        HistoryEntry(item_id="untimed 2"),
    ]
    inputs = build_history_inputs(entries, scenario=PLAIN, now=1_000.0, rating_scale=(1, 5))
    assert [query_input.item_id for query_input in inputs] == [
        "untimed 1",
        "untimed 2",
        "early",
        "late",
    ]


def test_age_halves_and_the_future_counts_as_now() -> None:
    scenario = replace(PLAIN, half_life_s=100.0)
    assert weigh([HistoryEntry(item_id="a", event="like", at=800.0)], scenario) == [0.25]
    assert weigh([HistoryEntry(item_id="a", event="like", at=5_000.0)], scenario) == [1.0]
    assert weigh([HistoryEntry(item_id="a", event="like")], scenario) == [1.0]


@pytest.mark.parametrize(
    ("entry", "weight"),
    [
        (HistoryEntry(item_id="a", event="purchase"), 1.0),
        (HistoryEntry(item_id="a", event="dislike"), -0.6),
        (HistoryEntry(item_id="a", event="skip"), -0.3),
        (HistoryEntry(item_id="a", event="never heard of"), 0.0),
        (HistoryEntry(item_id="a", event="rating", value=5), 1.0),
        (HistoryEntry(item_id="a", event="rating", value=3), 0.0),
        (HistoryEntry(item_id="a", event="rating", value=2), -0.5),
        (HistoryEntry(item_id="a", event="rating", value=99), 1.0),
        (HistoryEntry(text="I like jazz"), 1.0),
    ],
)
def test_an_event_or_rating_has_a_weight(entry: HistoryEntry, weight: float) -> None:
    assert weigh([entry]) == [weight]


def test_a_purchase_weighs_more_than_a_like_than_a_click_than_a_view() -> None:
    for scenario in SCENARIOS.values():
        events = ["purchase", "like", "click", "view", "skip", "dislike"]
        weights = [scenario.get_event_weight(event) for event in events]
        assert weights == sorted(weights, reverse=True)
        assert weights[-1] < weights[-2] < 0


@pytest.mark.parametrize(
    ("earlier", "last", "counted"),
    [
        (("like", None), ("dislike", None), 1),
        (("purchase", None), ("rating", 1.0), 1),
        (("dislike", None), ("like", None), 1),
        (("dislike", None), ("rating", 5.0), 1),
        (("like", None), ("rating", 5.0), 2),
        (("like", None), ("skip", None), 2),  # a song may be liked and skipped today
        (("dislike", None), ("view", None), 2),
    ],
)
def test_the_last_opinion_of_an_item_decides(
    earlier: tuple[str, float | None], last: tuple[str, float | None], counted: int
) -> None:
    entries = [HistoryEntry("a", event=event, value=value) for event, value in (earlier, last)]
    other = HistoryEntry("b", event="like")
    inputs = build_history_inputs([*entries, other], scenario=PLAIN, now=0.0, rating_scale=(1, 5))
    assert [query_input.item_id for query_input in inputs] == ["a"] * counted + ["b"]
    assert inputs[-2].reason["event"] == last[0]


@pytest.mark.parametrize(
    ("entry", "weight"),
    [
        (HistoryEntry(text="horror"), 1.0),
        (HistoryEntry(text="horror", event="search"), 1.0),
        (HistoryEntry(text="horror", event="dislike"), -0.6),
        (HistoryEntry(text="horror", event="rating", value=1.0), -1.0),
        (HistoryEntry(text="horror", event="rating", value=5.0), 1.0),
    ],
)
def test_words_that_say_what_is_not_wanted_push_away(entry: HistoryEntry, weight: float) -> None:
    (query_input,) = build_history_inputs([entry], scenario=PLAIN, now=0.0, rating_scale=(1, 5))
    assert query_input.weight == weight
    assert query_input.reason == {"kind": "history", "text": "horror"} | (
        {"event": entry.event} if weight < 0 else {}
    )


def test_interests_count_alike_whatever_their_order() -> None:
    inputs = build_interest_inputs(["a", "b"], scenario=PLAIN)
    assert [(s.weight, s.text, s.reason) for s in inputs] == [
        (1.0, "a", {"kind": "interest", "text": "a"}),
        (1.0, "b", {"kind": "interest", "text": "b"}),
    ]


def test_query_and_context_are_one_input_for_the_query_and_one_for_each_field() -> None:
    inputs = build_context_inputs(
        "quiet", {"weather": "rainy weather"}, {"weather": "rain", "shy": False}, scenario=PLAIN
    )
    assert [(s.role, s.weight, s.text, s.reason) for s in inputs] == [
        (Role.QUERY, 1.0, "quiet", {"kind": "query", "text": "quiet"}),
        (
            Role.CONTEXT,
            PLAIN.context_weight,
            "rainy weather",
            {"kind": "context", "field": "weather", "value": "rain"},
        ),
    ]


def test_the_profile_has_length_one_and_recent_items_a_vector_of_their_own() -> None:
    inputs = [liked("x", 3.0), liked("y", 4.0), PRIOR]
    query_vectors = build_query_vectors(
        inputs, np.array([X, Y, P], np.float32), scenario=PLAIN, weights=Weights(prior=2.0)
    )
    one = np.array([PROFILE_SHARE * 0.6 + 1 - PROFILE_SHARE, PROFILE_SHARE * 0.8])
    other = np.array([PROFILE_SHARE * 0.6, PROFILE_SHARE * 0.8 + 1 - PROFILE_SHARE])
    expected = [
        [0.6, 0.8, 2.0],
        [*(one / np.linalg.norm(one)), 2.0],
        [*(other / np.linalg.norm(other)), 2.0],
    ]
    np.testing.assert_allclose(query_vectors.vectors, expected, atol=1e-6)


def test_weights_scale_their_block_and_query_and_context_are_added_as_they_are() -> None:
    query = QueryInput(Role.QUERY, 1.0, {"kind": "query", "text": "q"}, text="q")
    context = QueryInput(Role.CONTEXT, 0.25, {"kind": "context"}, text="c")
    vectors = np.array([X, Y, Y, P], np.float32)
    query_vectors = build_query_vectors(
        [liked("x", 0.4), query, context, PRIOR],
        vectors,
        scenario=PLAIN,
        weights=Weights(meaning=2.0, prior=0.5),
    )
    np.testing.assert_allclose(query_vectors.vectors, [[2.0, 2.5, 0.5]], atol=1e-6)


def test_a_like_and_a_dislike_that_cancel_are_not_blown_up() -> None:
    inputs = [liked("x", 1.0), liked("also x", -0.99), PRIOR]
    query_vectors = build_query_vectors(
        inputs, np.array([X, X, P], np.float32), scenario=PLAIN, weights=Weights()
    )
    # The strongest input alone would have length 1, so nothing is scaled over 1 / (1 / 2).
    np.testing.assert_allclose(query_vectors.coefficients[0], [2.0, -1.98, 1.0], atol=1e-6)


def test_only_the_last_liked_items_get_a_vector_of_their_own() -> None:
    text = QueryInput(Role.PROFILE, 1.0, {"kind": "history", "text": "t"}, text="t")
    inputs = [liked("a"), liked("b"), liked("c"), liked("bad", -1.0), text, PRIOR]
    query_vectors = build_query_vectors(
        inputs, np.eye(6, dtype=np.float32), scenario=PLAIN, weights=Weights()
    )
    whole = np.array([1, 1, 1, -1, 1, 0]) / np.sqrt(5)
    expected = [whole, PROFILE_SHARE * whole, PROFILE_SHARE * whole]
    expected[1][1] += 1 - PROFILE_SHARE
    expected[2][2] += 1 - PROFILE_SHARE
    unit = [mix / np.linalg.norm(mix) + [0, 0, 0, 0, 0, 1] for mix in expected]
    np.testing.assert_allclose(query_vectors.coefficients, unit, atol=1e-6)


def test_without_any_input_there_is_one_vector_with_the_prior() -> None:
    query_vectors = build_query_vectors(
        [PRIOR], np.array([P], np.float32), scenario=PLAIN, weights=Weights()
    )
    np.testing.assert_array_equal(query_vectors.vectors, [P])


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_shares_sum_to_the_inner_product(weights: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(len(weights), 6)).astype(np.float32)
    inputs = [liked(str(position), weight) for position, weight in enumerate(weights)]
    query_vectors = build_query_vectors(inputs, vectors, scenario=PLAIN, weights=Weights())
    item = rng.normal(size=6).astype(np.float32)
    for winner, vector in enumerate(query_vectors.vectors):
        (shares,) = query_vectors.split_scores(item[None], np.array([winner]))
        # float32 products against float64 ones; the profile is at most twice its inputs long
        assert shares.sum() == pytest.approx(float(vector @ item), abs=1e-4)


def test_reasons_come_largest_first_and_without_zeros() -> None:
    inputs = [liked("a"), liked("b"), liked("c")]
    reasons = build_reasons(inputs, np.array([0.1, 0.0, -0.5]), [{"kind": "boost", "share": 0.3}])
    assert [(r["kind"], r["share"]) for r in reasons] == [
        ("history", -0.5), ("boost", 0.3), ("history", 0.1),
    ]  # fmt: skip


@given(st.lists(st.floats(-1, 1), min_size=0, max_size=300))
def test_reasons_keep_the_sum_and_other_stays_small(shares: list[float]) -> None:
    inputs = [liked(str(position)) for position in range(len(shares))]
    reasons = build_reasons(inputs, np.array(shares))
    assert sum(r["share"] for r in reasons) == pytest.approx(sum(shares), abs=1e-9)
    other = sum(abs(r["share"]) for r in reasons if r["kind"] == "other")
    assert other <= 0.1 * sum(map(abs, shares)) + 1e-12
    assert sum(r["kind"] == "other" for r in reasons) <= 1


def test_an_unknown_scenario_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'vide'.*'video'.*music"):
        find_scenario("vide")
    assert find_scenario(None).name == "default"


def test_a_form_with_many_context_fields_counts_as_much_as_three() -> None:
    words = {f"field {n}": f"word {n}" for n in range(12)}
    inputs = build_context_inputs(None, words, {}, scenario=PLAIN)
    assert sum(query_input.weight for query_input in inputs) == pytest.approx(
        3 * PLAIN.context_weight
    )


@pytest.mark.parametrize(
    ("weights", "length"),
    [
        ([2.0], 1.0),
        ([-2.0], 0.25),
        ([-0.1], 0.25),
        ([1.0, -1.0], 1.0),
        ([3.0, -1.0], 1.0),
        ([1.0, -2.0], 0.625),  # half as much liking as disliking: half the way from 1/4 to 1
    ],
)
def test_a_profile_of_dislikes_pushes_a_quarter_as_far_as_likes_pull(
    weights: list[float], length: float
) -> None:
    inputs = [liked(name, weight) for name, weight in zip("xy", weights, strict=False)]
    vectors = np.array([X, Y][: len(inputs)], np.float32)
    whole = build_query_vectors(inputs, vectors, scenario=PLAIN, weights=Weights()).vectors[0]
    assert np.linalg.norm(whole) == pytest.approx(length)
    assert np.sign(whole @ vectors.T).tolist() == np.sign(weights).tolist()
