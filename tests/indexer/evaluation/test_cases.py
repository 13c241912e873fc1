"""The cut of a log, and which questions it gives, on ten rows worked out by hand."""

import numpy as np
import pytest

from indexer.errors import CatalogError
from indexer.evaluation.cases import build_cases
from indexer.evaluation.interaction_log import InteractionLog, Part, build_log, find_positives
from indexer.reading.interaction import Interaction

# user, item, rating, time: the first eight are fitted on, then one to tune on, one to test on.
TOY: tuple[tuple[str, str, float, float], ...] = (
    ("a", "x", 5, 0), ("a", "x", 5, 1), ("a", "x", 5, 2), ("b", "y", 4, 3), ("b", "x", 2, 4),
    ("b", "z", 5, 5), ("c", "x", 5, 6), ("c", "y", 5, 7), ("a", "y", 1, 8), ("a", "z", 5, 9),
)  # fmt: skip


def toy(*changes: tuple[int, str, float]) -> InteractionLog:
    rows = [Interaction(user, item, "rating", value, at, None, {}) for user, item, value, at in TOY]
    for row, item, at in changes:
        old = rows[row]
        rows[row] = Interaction(old.user_id, item, old.event, old.value, at, None, {})
    return build_log(rows, ["w", "x", "y", "z"])


def test_the_newest_tenth_is_the_test_and_the_tenth_before_it_is_for_tuning() -> None:
    assert toy().part.tolist() == [Part.FIT] * 8 + [Part.VALID, Part.TEST]


def test_a_question_is_asked_with_everything_earlier_of_that_user() -> None:
    cases = build_cases(toy(), Part.TEST, repeats=False)
    assert cases.row.tolist() == [9]
    assert cases.histories[0].tolist() == [0, 1, 2, 8]
    assert not cases.cold[0]
    assert not cases.new_user[0]
    (request,) = cases.build_requests()
    assert [entry["item_id"] for entry in request["history"]] == ["x", "x", "x", "y"]
    assert (request["k"], request["include_seen"], request["at"]) == (50, False, 9.0)
    assert "z" not in str(request["history"])


def test_what_was_not_liked_is_no_question() -> None:
    assert len(build_cases(toy(), Part.VALID, repeats=False)) == 0


def test_what_happens_at_the_same_time_is_not_earlier() -> None:
    log = toy((8, "y", 9))
    assert (log.part == Part.TEST).sum() == 2
    assert [h.tolist() for h in build_cases(log, Part.TEST, repeats=False).histories] == [[0, 1, 2]]


def test_a_known_item_is_a_question_only_where_items_come_again() -> None:
    log = toy((9, "x", 9))
    assert len(build_cases(log, Part.TEST, repeats=False)) == 0
    assert len(build_cases(log, Part.TEST, repeats=True)) == 1


def test_the_parts_and_the_order_of_a_source_are_kept() -> None:
    rows = [
        Interaction("a", item, "purchase", None, None, None, {"split": part, "order_in_user": n})
        for item, part, n in (("z", "test", "2"), ("x", "train", "0"), ("y", "valid", "1"))
    ]
    cases = build_cases(build_log(rows, ["x", "y", "z"]), Part.TEST, repeats=False)
    assert [cases.log.item[h].tolist() for h in cases.histories] == [[0, 1]]
    assert cases.cold.tolist() == [True]
    (request,) = cases.build_requests()
    assert request["context"] == {}  # the parts are no circumstances


def test_without_any_order_the_history_is_what_may_be_fitted_on() -> None:
    rows = [Interaction(f"u{n % 20}", f"i{n}", "like", None, None, None, {}) for n in range(400)]
    log = build_log(rows, [f"i{n}" for n in range(400)])
    assert not log.is_ordered
    assert 0.6 < (log.part == Part.FIT).mean() < 0.95
    cases = build_cases(log, Part.TEST, repeats=False)
    assert all((log.part[h] < Part.TEST).all() for h in cases.histories)
    assert cases.cold.all()


@pytest.mark.parametrize(
    ("values", "liked"),
    [
        ([4.0, 5.0, 3.5, 1.0], [True, True, False, False]),
        ([8.0, 7.9, 10.0, 1.0], [True, False, True, False]),
        ([1.0, 0.0, 1.0, 0.0], [True, False, True, False]),
        ([80.0, 100.0, 79.0, 1.0], [True, True, False, False]),
    ],
)
def test_four_fifths_of_the_scale_are_liking(values: list[float], liked: list[bool]) -> None:
    assert find_positives(["rating"] * 4, np.array(values)).tolist() == liked


def test_without_ratings_everything_but_dislike_and_skip_is_liking() -> None:
    none = np.full(4, np.nan)
    assert find_positives(["view", "dislike", "skip", "purchase"], none).tolist() == [
        True, False, False, True,
    ]  # fmt: skip


def test_what_was_only_shown_or_weighs_against_an_item_is_no_liking() -> None:
    names = ["impression", "trailer", "eye roll", "click"]
    weights = {"trailer": 0.3, "eye roll": -0.5}
    liked = find_positives(names, np.full(4, np.nan), own_weights=weights)
    assert liked.tolist() == [False, True, False, True]


def test_a_refunded_purchase_is_no_liking() -> None:
    events = ["purchase", "purchase", "refund", "purchase"]
    rows = [
        Interaction("a", item, event, None, float(at), None, {})
        for at, (item, event) in enumerate(zip("xxxy", events, strict=True))
    ]
    assert build_log(rows, ["x", "y"]).positive.tolist() == [True, False, False, True]


def test_beside_ratings_a_view_says_nothing() -> None:
    assert find_positives(["rating", "view"], np.array([5.0, np.nan])).tolist() == [True, False]


def test_where_most_rows_have_no_rating_one_rating_switches_no_click_off() -> None:
    names = ["rating", "click", "click", "refund", "rating"]
    values = np.array([5.0, np.nan, np.nan, np.nan, 1.0])
    assert find_positives(names, values).tolist() == [True, True, True, False, False]


def test_interactions_with_foreign_items_only_are_refused() -> None:
    with pytest.raises(CatalogError, match="check the ids"):
        build_log([Interaction("a", "x", "like", None, 1.0, None, {})], ["y"])
