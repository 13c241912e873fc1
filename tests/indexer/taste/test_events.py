"""Interactions to arrays of events, compared with hand-worked ones."""

import numpy as np
import pytest

from indexer.taste.events import build_events, compute_likings, find_like_threshold
from tests.indexer.taste.worlds import interaction


def liking_of(events: list[str], values: list[float]) -> list[float]:
    numbers = np.array(values, np.float64)
    threshold = find_like_threshold(events, numbers)
    found: list[float] = compute_likings(events, numbers, like_from=threshold).tolist()
    return found


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        ([5, 4, 3.5, 1], [1, 1, 0, 0]),
        ([10, 8, 7.5], [1, 1, 0]),
        ([1, 0, 1], [1, 0, 1]),
        ([100, 80, 79], [1, 1, 0]),
    ],
)
def test_a_rating_from_four_fifths_of_the_scale_is_liking(
    ratings: list[float], expected: list[float]
) -> None:
    assert liking_of(["rating"] * len(ratings), ratings) == expected


def test_without_ratings_everything_but_dislike_and_skip_is_liking() -> None:
    events = ["view", "purchase", "dislike", "skip", "bookmark"]
    assert liking_of(events, [np.nan] * 5) == [1, 1, -1, -1, 1]


def test_beside_ratings_a_view_says_nothing_and_a_like_still_does() -> None:
    events = ["rating", "view", "like", "dislike"]
    assert liking_of(events, [5.0, np.nan, np.nan, np.nan]) == [1, 0, 1, -1]


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
