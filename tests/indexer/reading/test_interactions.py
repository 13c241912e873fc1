"""Rows become interactions with string ids, Unix times and the asked circumstances."""

import csv
import json
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import CatalogError
from indexer.event_kinds import Event
from indexer.reading.event_reading import EventReading
from indexer.reading.interaction import Interaction
from indexer.reading.interactions import read_interactions
from indexer.reading.rows import Rejection, render_anonymous_rejection
from indexer.reading.value_meaning import ValueKind, infer_rating_scale


def read(path: Path, rows: Sequence[dict[str, Any]], **options: Any) -> list[Any]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(read_interactions(str(path), **options))


def one(path: Path, row: dict[str, Any], **options: Any) -> Interaction:
    (found,) = read(path, [row], **options)
    assert isinstance(found, Interaction), found
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


ROW: dict[str, Any] = {"user_id": "u1", "item_id": "m1", "event": "like"}


def test_a_full_row_becomes_an_interaction(path: Path) -> None:
    row = {
        "user_id": "u1", "item_id": "m1", "event": "review", "value": 4, "text": "好看",
        "timestamp": "2024-05-01T10:00:00Z", "weather": "rain", "colour": "red",
    }  # fmt: skip
    assert one(path, row) == Interaction(
        user_id="u1", item_id="m1", event=Event.REVIEW, value=4.0, at=1714557600.0, text="好看",
        context={"weather": "rain"},
    )  # fmt: skip


def test_a_csv_of_ratings_with_other_names_needs_a_mapping_only(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("userId,movieId,rating,timestamp\n007,0002844,4.5,1714557600\n8,1,3.0,\n")
    expected = [
        Interaction("007", "0002844", Event.RATING, 4.5, 1714557600.0, None, {}),
        Interaction("8", "1", Event.RATING, 3.0, None, None, {}),
    ]
    for item in ("item_id", "item", "id"):  # with `id`, one mapping serves the catalogue too
        mapping = {"user_id": "userId", item: "movieId"}
        assert list(read_interactions(str(path), context=None, mapping=mapping)) == expected


def test_the_short_names_are_accepted(path: Path) -> None:
    row = {"user": 1, "item": 2.0, "rating": "3.5", "time": 5}
    assert one(path, row) == Interaction("1", "2", Event.RATING, 3.5, 5.0, None, {})


def test_a_value_without_an_event_column_is_a_rating(path: Path) -> None:
    assert one(path, {"user": "u", "item": "i", "value": 2}).event is Event.RATING


@pytest.mark.parametrize(
    ("name", "event"),
    [("like", Event.LIKE), ("LIKE", Event.LIKE), ("Add to cart", Event.ADD_TO_CART),
     ("add-to-cart", Event.ADD_TO_CART), ("ＬＩＫＥ", Event.LIKE), ("购买", Event.PURCHASE),
     ("PV", Event.VIEW), ("fav", Event.LIKE), ("加购", Event.ADD_TO_CART), ("播放", Event.PLAY),
     ("退货", Event.RETURN), ("取消收藏", Event.UNLIKE), ("trailer", "trailer")],
)  # fmt: skip
def test_usual_words_are_known_and_names_of_ones_own(path: Path, name: str, event: str) -> None:
    reading = EventReading(own_names={"trailer"})
    assert one(path, {**ROW, "event": name}, reading=reading).event == event


def test_an_event_that_nobody_knows_is_refused_with_the_nearest(path: Path) -> None:
    (found,) = read(path, [{**ROW, "event": "pruchase"}])
    assert found.reason == (
        "event is 'pruchase'; did you mean 'purchase'? An event of your own needs a "
        "weight in scenarios.toml"
    )


def test_minus_one_bought_is_a_return(path: Path) -> None:
    found = one(path, {**ROW, "event": "购买", "value": -2})
    assert (found.event, found.value) == (Event.RETURN, 2.0)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (0, 0.0),
        (1714557600, 1714557600.0),
        ("1714557600", 1714557600.0),
        (1714557600.25, 1714557600.25),
        (1714557600000, 1714557600.0),
        (1714557600000000, 1714557600.0),
        (1714557600000000000, 1714557600.0),
        (-5, -5.0),
        ("2024-05-01T10:00:00Z", 1714557600.0),
        ("2024-05-01T10:00:00", 1714557600.0),
        ("2024-05-01 10:00:00", 1714557600.0),
        ("2024-05-01T18:00:00+08:00", 1714557600.0),
        ("2024-05-01", 1714521600.0),
        (None, None),
        ("", None),
        ("nan", None),
    ],
)
def test_times_become_unix_seconds(path: Path, time: Any, seconds: float | None) -> None:
    for column in ("timestamp", "time", "at"):
        assert one(path, {**ROW, column: time}).at == seconds


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_id": None}, "user_id is missing"),
        ({"user_id": "\t"}, "user_id '\\t' has control characters"),
        ({"item_id": " "}, "item_id is missing"),
        ({"item_id": ["m1"]}, "item_id must be a string or a number, not ['m1']"),
        ({"event": None}, "event is missing; say what happened, or give --event NAME"),
        ({"event": "x" * 65}, f"event '{'x' * 27}...{'x' * 28}' is longer than 64 characters"),
        ({"event": "rating"}, "value is missing, and a rating needs one"),
        ({"event": "rating", "value": "NaN"}, "value is missing, and a rating needs one"),
        ({"event": "rating", "value": "five"}, "value must be a number, not 'five'"),
        ({"timestamp": "yesterday"},
         "timestamp must be an ISO date or Unix seconds, not 'yesterday'"),
        ({"timestamp": "1e999"}, "timestamp must be an ISO date or Unix seconds, not '1e999'"),
        ({"text": ["a"]}, "text must be text, not ['a']"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_a_reason(
    path: Path, change: dict[str, Any], reason: str
) -> None:
    row = {**ROW, **change}
    (rejection,) = read(path, [row])
    assert isinstance(rejection, Rejection)
    assert (rejection.source, rejection.line, rejection.row) == (str(path), 1, row)
    assert rejection.reason == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_id": "mia\t"}, "user_id … has control characters"),
        ({"user_id": "mia" * 400}, "user_id … has 1200 characters; at most 512 are allowed"),
        ({"user_id": {"mia": "mia"}}, "user_id must be a string or a number, not …"),
        ({"timestamp": "mia"}, "timestamp must be an ISO date or Unix seconds, not …"),
        ({"event": "mia" * 30}, "event … is longer than 64 characters"),
        ({"user_id": "mia", "item_id": None}, "item_id is missing"),
    ],
)
def test_a_reason_can_be_told_without_the_person(
    path: Path, change: dict[str, Any], reason: str
) -> None:
    (rejection,) = read(path, [{**ROW, **change}])
    assert rejection.anonymous_reason == reason
    told = json.loads(render_anonymous_rejection(rejection))
    assert told == {"source": str(path), "line": 1, "reason": reason}


def test_a_time_more_than_a_day_ahead_is_rejected(path: Path) -> None:
    now = 1.8e9
    rows = [{**ROW, "timestamp": now + 86_400 * days} for days in (0, 0.9, 1.1, 3_000)]
    found = read(path, rows, reading=EventReading(now=now))
    assert [isinstance(row, Interaction) for row in found] == [True, True, False, False]
    assert found[2].line == 3
    assert found[2].reason == (
        "timestamp 1800095040.0 is more than a day ahead; write when it happened"
    )
    assert isinstance(read(path, [{**ROW, "timestamp": "2999-01-01"}])[0], Rejection)


def test_rows_without_event_and_value_columns_are_clicks_and_that_is_told(path: Path) -> None:
    reading = EventReading()
    assert one(path, {"user": "u", "item": "i"}, reading=reading).event is Event.CLICK
    assert reading.render() == [
        "every row without an event is a click, since there is neither an event nor a value "
        "column; --event decides otherwise"
    ]


def test_an_empty_cell_among_events_is_rejected_unless_its_value_says_what_it_is(
    path: Path,
) -> None:
    rows = [{**ROW, "event": None}, {**ROW, "event": "", "value": 4}]
    lost, rated = read(path, rows)
    assert lost.reason == "event is missing; say what happened, or give --event NAME"
    assert (rated.event, rated.value) == (Event.RATING, 4.0)


def test_a_missing_column_is_told_with_those_that_are_there(path: Path) -> None:
    (found,) = read(path, [{"who": "u", "item_id": "i", "event": "like"}])
    assert found.reason == (
        "user_id is missing: the columns are who, item_id, event; say which it is with "
        "--fields user_id=…"
    )


@pytest.mark.parametrize(
    ("column", "values", "event"),
    [
        ("value", [1, 60, 2, 3, 1, 5, 1, 8], Event.CLICK),
        ("plays", [1, 60, 2, 3, 1, 5, 1, 8], Event.PLAY),
        ("数量", [1, 2, 1, 1, 4, 1], Event.PURCHASE),
        ("评分", [1, 5, 4, 3], Event.RATING),
        ("金额", [19.9, 5.25, 100.0], Event.PURCHASE),
        ("value", [4.5, 3.0, 5.0], Event.RATING),
    ],
)
def test_what_a_value_is_decides_the_event_and_more_is_never_a_bad_rating(
    path: Path, column: str, values: list[float], event: Event
) -> None:
    reading = EventReading()
    rows = [{"user_id": "u", "item_id": f"i{n}", column: v} for n, v in enumerate(values)]
    found = read(path, rows, reading=reading)
    assert {row.event for row in found} == {event}
    (told,) = reading.render()
    assert f"every row without an event is a {event}" in told


def test_the_caller_decides_what_values_are_and_what_happened(path: Path) -> None:
    rows = [{"user_id": "u", "item_id": "i", "value": value} for value in (1, 5)]
    counts = read(path, rows, reading=EventReading(value_kind=ValueKind.COUNT))
    assert [(row.event, row.value) for row in counts] == [(Event.CLICK, 1), (Event.CLICK, 5)]
    plays = read(path, rows, reading=EventReading(event="听"))
    assert [(row.event, row.value) for row in plays] == [(Event.PLAY, 1), (Event.PLAY, 5)]
    paid = read(path, rows, reading=EventReading(value_kind=ValueKind.MONEY))
    assert [(row.event, row.value) for row in paid] == [(Event.PURCHASE, None)] * 2
    all_clicks = read(path, [ROW], reading=EventReading(event="click"))
    assert [row.event for row in all_clicks] == [Event.CLICK]
    with pytest.raises(CatalogError, match=r"--event is 'clik'; did you mean 'click'"):
        read(path, rows, reading=EventReading(event="clik"))


def test_zeros_that_stand_for_no_rating_are_views_and_that_is_told(path: Path) -> None:
    values = [0] * 12 + [5, 4, 3, 5, 4, 2, 1, 5, 4, 5]
    reading = EventReading()
    rows = [{"user_id": "u", "item_id": f"i{n}", "评分": v} for n, v in enumerate(values)]
    found = read(path, rows, reading=reading)
    assert [(row.event, row.value) for row in found[11:14]] == [
        (Event.VIEW, None), (Event.RATING, 5.0), (Event.RATING, 4.0),
    ]  # fmt: skip
    assert "0 is no rating, such a row is a view" in reading.render()[0]
    thumbs = [{"user_id": "u", "item_id": "i", "rating": v} for v in [0, 1] * 15]
    assert {row.event for row in read(path, thumbs)} == {Event.RATING}


def test_an_event_is_kept_without_a_count_that_cannot_be_read(path: Path) -> None:
    reading = EventReading()
    assert one(path, {**ROW, "event": "play", "value": "many"}, reading=reading).value is None
    assert reading.render() == [
        f"value: 1 unreadable, first {path}:1 'many'; the events are kept without it"
    ]


def test_words_that_mean_an_event_are_told_with_their_number(path: Path) -> None:
    reading = EventReading()
    read(path, [{**ROW, "event": word} for word in ("buy", "buy", "浏览", "like")], reading=reading)
    assert reading.render() == ["event words: 'buy' is purchase (2 rows), '浏览' is view (1 rows)"]


def test_a_line_that_is_no_row_is_rejected_in_its_place(path: Path) -> None:
    path.write_text("oops\n" + json.dumps(ROW) + "\n")
    first, second = read_interactions(str(path))
    assert isinstance(first, Rejection)
    assert (first.line, first.row) == (1, "oops")
    assert isinstance(second, Interaction)


def test_a_search_needs_a_text_or_an_item(path: Path) -> None:
    search = {"user_id": "u1", "event": "search"}
    assert one(path, {**search, "text": "noir"}).item_id == ""
    assert one(path, {**search, "item_id": "m1"}).item_id == "m1"
    (found,) = read(path, [{**search, "item_id": None, "text": ""}])
    assert found.reason == "item_id is missing"


def test_context_is_the_default_columns_unless_others_are_asked_for(path: Path) -> None:
    row = {**ROW, "weather": "rain", "city": "上海", "drink": "tea", "mood": 3.0, "device": True}
    assert one(path, row).context == {
        "weather": "rain", "city": "上海", "mood": "3", "device": "true",
    }  # fmt: skip
    assert one(path, row, context=["drink"]).context == {"drink": "tea"}
    assert one(path, row, context=[]).context == {}


@pytest.mark.parametrize("word", ["", " ", "unknown", "NaN", "-1", -1, -1.0, None, "N/A", [1], {}])
def test_a_context_that_says_nothing_is_left_out(path: Path, word: Any) -> None:
    assert one(path, {**ROW, "weather": word, "scene": "home"}).context == {"scene": "home"}


def test_a_context_object_as_in_the_api_counts_too(path: Path) -> None:
    row = {**ROW, "context": {"weather": "snow", "other": "x"}, "scene": "home"}
    assert one(path, row).context == {"weather": "snow", "scene": "home"}
    assert one(path, row, context=["other"]).context == {"other": "x"}


def test_a_context_column_can_be_mapped(path: Path) -> None:
    found = one(path, {**ROW, "wx": "rain"}, context=None, mapping={"weather": "wx"})
    assert found.context == {"weather": "rain"}


def test_columns_that_no_row_has_are_refused_with_the_nearest(path: Path) -> None:
    with pytest.raises(CatalogError, match=r"--context names the column 'wether'.*'weather'"):
        read(path, [{**ROW, "weather": "rain"}], context=["wether"])
    with pytest.raises(CatalogError, match=r"--fields names the column 'usr'.*'user_id'"):
        read(path, [ROW], mapping={"user_id": "usr_id"} | {"value": "usr"})


def test_a_mapping_for_the_catalogue_does_not_concern_interactions(path: Path) -> None:
    mapping = {
        "title": "name", "id": "movieId", "rating": "stars", "location": "geo", "text": "plot",
    }  # fmt: skip
    assert one(path, ROW, mapping=mapping) == Interaction(
        "u1", "m1", Event.LIKE, None, None, None, {}
    )


def test_interactions_come_from_a_database_too(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE log (user TEXT, item TEXT, rating REAL)")
        connection.execute("INSERT INTO log VALUES ('u', '01', 4)")
    connection.close()
    assert list(read_interactions(f"sqlite:///{file}", query="log")) == [
        Interaction("u", "01", Event.RATING, 4.0, None, None, {})
    ]


words = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="0123456789|"), min_size=1
).filter(lambda text: text == text.strip() and text != "\\N")


@given(st.lists(st.tuples(words, words, st.sampled_from(Event), st.integers(1, 10**6)), max_size=5))
@settings(max_examples=40, deadline=None)
def test_what_is_written_to_a_csv_is_read(rows: list[tuple[str, str, Event, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["user_id", "item_id", "event", "value", "timestamp"])
            writer.writerows([*row, row[3] + 1_000_000] for row in rows)
        found = list(read_interactions(str(path)))
    assert found == [
        Interaction(user, item, event, float(value), float(value + 1_000_000), None, {})
        for user, item, event, value in rows
    ]


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([0, 1, 1], (0, 1)),
        ([-1, 1], (-1, 1)),
        ([1, 5], (1, 5)),
        ([2, 4], (1, 5)),
        ([0.5, 5.0], (0.5, 5)),
        ([0, 3], (0, 5)),
        ([1, 7], (1, 10)),
        ([0, 10], (0, 10)),
        ([-9.9, 9.9], (-10, 10)),
        ([1, 100], (1, 100)),
        ([0, 55], (0, 100)),
        ([2, 250], (0, 250)),
        ([-300, -20], (-300, 0)),
        ([], (1, 5)),
        ([float("nan"), float("inf"), 4.0], (1, 5)),
    ],
)
def test_the_scale_is_the_smallest_usual_one(
    ratings: list[float], scale: tuple[float, float]
) -> None:
    assert infer_rating_scale(ratings) == scale


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_every_rating_is_within_the_scale(ratings: list[float]) -> None:
    low, high = infer_rating_scale(iter(ratings))
    assert low < high
    assert low <= min(ratings)
    assert max(ratings) <= high


def test_equal_texts_are_one_string_and_equal_numbers_are_told_apart(path: Path) -> None:
    # 1, 1.0 and True are equal as keys of a dictionary; only the first two are ids.
    rows = [{**ROW, "user_id": user} for user in ("1", "1", " 1", 1, 1.0, True)]
    *good, bad = read(path, rows)
    assert [row.user_id for row in good] == ["1"] * 5
    assert good[0].user_id is good[1].user_id
    assert bad.reason == "user_id must be a string or a number, not True"


@pytest.mark.parametrize("day", ["20240501", 20240501, 20240501.0])
def test_a_time_of_eight_digits_is_the_day_as_it_is_in_dates_and_filters(
    path: Path, day: Any
) -> None:
    assert one(path, {**ROW, "timestamp": day}).at == 1714521600.0
    assert one(path, {**ROW, "timestamp": 20241399}).at == 20241399.0  # no day, so seconds


def test_the_days_on_which_readers_shelved_their_books_are_read(path: Path) -> None:
    row = {"user_id": "u", "book_id": "7", "date_added": "Wed Mar 22 11:37:04 -0700 2017"}
    assert one(path, row).at == 1490207824.0
