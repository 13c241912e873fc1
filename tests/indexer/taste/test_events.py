"""Interactions to arrays of events, compared with hand-worked ones."""

from indexer.taste.event_scale import DISLIKED, LIKED
from indexer.taste.events import build_events
from tests.indexer.taste.worlds import interaction


def test_events_are_sorted_by_user_and_time_and_equal_times_are_one_step() -> None:
    rows = [
        interaction("b", "y", 7),
        interaction("a", "y", 9),
        interaction("a", "x", 9),
        interaction("a", "z", 3),
        interaction("b", "nowhere", 1),
    ]
    events = build_events(rows, ["x", "y", "z"])
    # "b" came first, so it is user 0.
    assert events.user.tolist() == [0, 1, 1, 1]
    assert events.item.tolist() == [1, 2, 0, 1]
    assert events.step.tolist() == [0, 0, 1, 1]
    # Newer rows: none for the two at 9, two for the one at 7, three for the one at 3.
    assert events.age.tolist() == [0.5, 0.75, 0.0, 0.0]


def test_without_times_the_order_of_rows_is_the_order_and_nothing_is_old() -> None:
    rows = [interaction("a", "y"), interaction("a", "x"), interaction("a", "y", 5.0)]
    events = build_events(rows, ["x", "y"])
    assert events.item.tolist() == [1, 0, 1]
    assert events.step.tolist() == [0, 1, 2]
    assert events.age.tolist() == [0, 0, 0]
    assert not events.has_times


def test_context_words_are_numbered_by_column() -> None:
    rows = [
        interaction("a", "x", context={"place": "home", "mood": "calm"}),
        interaction("a", "x", context={"place": "bus"}),
    ]
    events = build_events(rows, ["x"])
    assert events.context_columns == ("mood", "place")
    assert events.vocabulary == (("calm",), ("bus", "home"))
    assert events.context_words.tolist() == [[0, 1], [-1, 0]]


def test_no_interactions_are_no_events() -> None:
    assert len(build_events([], ["x"])) == 0


def test_a_refund_takes_its_purchase_back_and_an_impression_says_nothing() -> None:
    rows = [
        interaction("a", "x", 1, event="purchase"),
        interaction("a", "y", 2, event="purchase"),
        interaction("b", "x", 3, event="purchase"),
        interaction("a", "x", 4, event="refund"),
        interaction("a", "z", 5, event="impression"),
    ]
    events = build_events(rows, ["x", "y", "z"])
    assert events.user.tolist() == [0, 0, 1]
    assert events.item.tolist() == [1, 0, 0]  # the refund of x is left, as a dislike
    assert events.liking.tolist() == [LIKED, DISLIKED, LIKED]


def test_a_name_that_scenarios_weigh_counts_by_its_weight_and_another_not_at_all() -> None:
    names = {"x": "trailer", "y": "booed", "z": "whatever"}
    rows = [interaction("a", item, 1, event=name) for item, name in names.items()]
    events = build_events(rows, list(names), {"trailer": 0.3, "booed": -0.5})
    assert events.item.tolist() == [0, 1]
    assert events.liking.tolist() == [LIKED, DISLIKED]
    assert events.strength.tolist() == [1.0, 0.0]
