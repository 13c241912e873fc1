"""What events say, by hand: kinds, ratings, counts and what is taken back."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.event_kinds import EVENT_WEIGHTS, MAX_COUNT_STRENGTH, NEGATIVE_EVENTS
from indexer.query.inputs import build_history_inputs
from indexer.request.body import HistoryEntry
from indexer.request.scenarios import Scenario
from indexer.taste.event_scale import (
    BROWSED,
    DISLIKED,
    LIKED,
    RATED_LOW,
    EventScale,
    Reactions,
    judge_events,
    mark_undone,
    measure_event_scale,
)

NONE = float("nan")


def judge(events: list[str], values: list[float]) -> Reactions:
    """What events of one user say, on the scale that they themselves have."""
    numbers = np.array(values, np.float64)
    return judge_events(events, numbers, measure_event_scale(events, numbers))


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        ([5, 4, 3.5, 2, 1], [LIKED, LIKED, RATED_LOW, RATED_LOW, DISLIKED]),
        ([10, 8, 7.5], [LIKED, LIKED, RATED_LOW]),
        ([1, 0, 1], [LIKED, DISLIKED, LIKED]),
        ([100, 80, 79], [LIKED, LIKED, RATED_LOW]),
    ],
)
def test_a_rating_from_four_fifths_of_the_scale_is_liking_and_the_lowest_a_dislike(
    ratings: list[float], expected: list[float]
) -> None:
    assert judge(["rating"] * len(ratings), ratings).liking.tolist() == expected


def test_who_rates_low_likes_what_is_above_their_own_mean() -> None:
    """Ten ratings of 2 and one of 3: their mean, with five ratings of 4 mixed in, is 43 / 16."""
    scale = EventScale(like_from=4.0, lowest_rating=1.0)
    liking = judge_events(["rating"] * 11, np.array([2.0] * 10 + [3.0]), scale).liking
    assert liking.tolist() == [RATED_LOW] * 10 + [LIKED]


def test_each_user_is_judged_by_their_own_mean() -> None:
    values = np.array([2.0] * 10 + [3.0] + [5.0] * 10 + [3.0])
    owner = np.repeat([0, 1], 11)
    scale = EventScale(like_from=4.0, lowest_rating=1.0)
    liking = judge_events(["rating"] * 22, values, scale, owner).liking
    assert (liking[10], liking[21]) == (LIKED, RATED_LOW)


@given(st.lists(st.sampled_from([1.0, 2.0, 2.5, 3.0, 4.0, 4.5, 5.0]), min_size=1, max_size=30))
def test_a_higher_rating_never_says_less(ratings: list[float]) -> None:
    scale = EventScale(like_from=4.0, lowest_rating=1.0)
    reactions = judge_events(["rating"] * len(ratings), np.array(ratings), scale)
    weights = np.where(reactions.liking == LIKED, 1.0, 0.3) * reactions.strength
    assert (np.diff(weights[np.argsort(ratings, kind="stable")]) >= -1e-6).all()


@pytest.mark.parametrize("rated", [1, 30])
def test_some_ratings_among_clicks_switch_no_click_off(rated: int) -> None:
    clicks = ["click"] * 100
    alone = judge(clicks, [NONE] * 100)
    mixed = judge([*clicks, *["rating"] * rated], [*[NONE] * 100, *[5.0] * rated])
    assert mixed.liking[:100].tolist() == alone.liking.tolist() == [LIKED] * 100
    assert mixed.strength[:100].min() > 0.7 * alone.strength[0]


def test_where_most_is_rated_a_view_is_no_liking_and_still_counts() -> None:
    events = ["rating", "rating", "rating", "view", "like", "dislike"]
    reactions = judge(events, [5.0, 4.0, 4.0, NONE, NONE, NONE])
    assert reactions.liking.tolist() == [LIKED, LIKED, LIKED, BROWSED, LIKED, DISLIKED]
    assert reactions.strength[3] > 0.3


def test_events_of_one_kind_have_a_strength_of_one_and_of_several_that_of_their_weights() -> None:
    assert judge(["view"] * 3, [NONE] * 3).strength.tolist() == [1.0] * 3
    both = judge(["click"] * 3 + ["purchase"], [NONE] * 4).strength
    assert both.mean() == pytest.approx(1.0)
    assert both[3] / both[0] == pytest.approx(EVENT_WEIGHTS["purchase"] / EVENT_WEIGHTS["click"])


def test_no_negative_event_is_a_liking() -> None:
    events = ["click", *sorted(NEGATIVE_EVENTS)]
    liking = judge(events, [NONE] * len(events)).liking
    assert liking[1:].tolist() == [DISLIKED] * len(NEGATIVE_EVENTS)


def test_an_event_that_nobody_weighs_is_unknown() -> None:
    reactions = judge_events(["bookmarked twice"], np.array([NONE]), EventScale())
    assert np.isnan(reactions.liking[0])


def test_more_plays_are_more_liking_and_none_a_dislike() -> None:
    """log2(1 + plays) is 1, 2, 3 and 6; their mean is 3."""
    reactions = judge(["play"] * 4, [1, 3, 7, 63])
    assert reactions.liking.tolist() == [LIKED] * 4
    np.testing.assert_allclose(reactions.strength, [1 / 3, 2 / 3, 1, 2], rtol=1e-6)
    assert judge(["play"] * 2, [0, 3]).liking.tolist() == [RATED_LOW, LIKED]


def test_only_plays_views_and_clicks_are_counted_whole_or_not() -> None:
    bought = judge(["purchase"] * 3, [1, 7, 120])
    assert bought.strength.tolist() == [1.0] * 3
    hours = judge(["play"] * 2, [0.5, 31.5]).strength
    assert hours[1] > 2 * hours[0]
    unit = (np.log2(1.5) + np.log2(32.5)) / 2
    np.testing.assert_allclose(hours, np.log2([1.5, 32.5]) / unit, rtol=1e-6)


def test_a_like_of_zero_is_no_like_and_a_free_purchase_one() -> None:
    reactions = judge(["like", "purchase", "like"], [0, 0, NONE])
    assert reactions.liking.tolist() == [RATED_LOW, LIKED, LIKED]
    assert reactions.strength[0] == 0.0


def test_training_and_requests_limit_counts_alike() -> None:
    plays = [*[1.0] * 60, 1e6]
    strength = judge(["play"] * 61, plays).strength
    entry = HistoryEntry(item_id="a", event="play", value=1e6)
    scenario = Scenario("plain", half_life_events=1.0)
    (found,) = build_history_inputs([entry], scenario=scenario, now=0.0, rating_scale=(1.0, 5.0))
    assert found.weight == pytest.approx(MAX_COUNT_STRENGTH * EVENT_WEIGHTS["play"])
    assert strength[-1] == pytest.approx(MAX_COUNT_STRENGTH)


def test_a_rating_beside_a_model_that_knows_none_is_judged_by_its_own_scale() -> None:
    reactions = judge_events(["rating"] * 2, np.array([5.0, 1.0]), EventScale())
    assert reactions.liking.tolist() == [LIKED, RATED_LOW]


def test_a_return_takes_back_the_last_purchase_of_its_pair_only() -> None:
    events = ["purchase", "view", "purchase", "return", "purchase", "return", "return", "return"]
    pair = np.array([0, 0, 0, 0, 1, 0, 1, 1])
    expected = [True, False, True, False, True, False, False, False]
    assert mark_undone(events, pair).tolist() == expected


def test_a_purchase_after_the_refund_stands() -> None:
    events = ["purchase", "refund", "purchase"]
    assert mark_undone(events, np.zeros(3, np.int64)).tolist() == [True, False, False]


def test_removing_from_the_cart_leaves_the_purchase() -> None:
    events = ["add_to_cart", "purchase", "remove_from_cart"]
    assert mark_undone(events, np.zeros(3, np.int64)).tolist() == [True, False, False]


def test_the_scale_survives_json() -> None:
    scale = EventScale(
        like_from=4.0, lowest_rating=1.0, likes_unrated=True, unit=0.7,
        own_weights=(("trailer", 0.3),), count_units=(("play", 2.5),),
    )  # fmt: skip
    assert EventScale.from_json(json.loads(json.dumps(asdict(scale)))) == scale
