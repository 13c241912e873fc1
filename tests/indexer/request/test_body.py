"""Bodies that are parsed, and bodies that are refused with a message."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import RequestError
from indexer.request.body import HistoryEntry, Request, Weights, parse_request


def test_an_empty_body_is_a_valid_request() -> None:
    assert parse_request({}) == Request()


def test_null_is_the_same_as_absent() -> None:
    names = (
        "query",
        "history",
        "interests",
        "context",
        "filter",
        "min_score",
        "k",
        "weights",
        "at",
    )
    assert parse_request(dict.fromkeys(names)) == Request()


def test_the_example_of_the_contract_is_read() -> None:
    request = parse_request(
        {
            "user_id": "u1", "session_id": "s9", "k": 10, "scenario": "video",
            "history": [
                {"item_id": "m1", "event": "like", "value": None, "at": "2026-11-01T20:00:00Z",
                 "context": {}},
                {"text": "我最近喜欢看悬疑片"},
                "m7",
            ],
            "interests": ["悬疑", " ", "film noir"], "query": " 想看点刺激的 ",
            "context": {"time": "2026-11-24T20:30:00+08:00", "weather": "rain"},
            "filter": {"rating": {"gte": 4}}, "exclude": ["m9", 12], "include_seen": None,
            "weights": {"prior": 0}, "fields": ["title"], "explain": False,
        }
    )  # fmt: skip
    assert request.history == (
        HistoryEntry(item_id="m1", event="like", at=1793563200.0),
        HistoryEntry(text="我最近喜欢看悬疑片"),
        HistoryEntry(item_id="m7"),
    )
    assert request.interests == ("悬疑", "film noir")
    assert request.query == "想看点刺激的"
    assert request.at == 1795523400.0
    assert request.exclude == ("m9", "12")
    assert request.weights == Weights(1.0, 1.0, 0.0)
    assert request.include_seen is None
    assert request.explain is False


def test_at_is_an_alias_of_the_time_of_the_context_which_wins() -> None:
    assert parse_request({"at": 60}).context == {"time": 60}
    assert parse_request({"at": 60}).at == 60
    assert parse_request({"at": 60, "context": {"time": 90}}).at == 90


def test_a_blank_query_counts_as_absent() -> None:
    assert parse_request({"query": " \n\t"}).query is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"k": 0}, r"k must be a whole number from 1 to 1000, got 0"),
        ({"k": 1001}, "1001"),
        ({"k": True}, "True"),
        ({"k": 2.0}, "2.0"),
        ({"k": "3"}, "'3'"),
        ({"querry": "x"}, r"'querry'.*did you mean 'query'"),
        ({"query": 5}, "query must be text, got 5"),
        ({"query": "x" * 10_001}, "query has 10001 characters, at most 10000"),
        ({"query": "\ud800"}, "lone surrogate"),
        ({"interests": "jazz"}, "interests must be a list, got 'jazz'"),
        ({"interests": [["x"]]}, r"interests\[0\] must be text"),
        ({"interests": ["x"] * 1_001}, "1001 entries"),
        ({"history": "m1"}, "history must be a list"),
        ({"history": {"item_id": "a"}}, "history must be a list"),
        ({"history": ["a"] * 1_001}, "history has 1001 entries, at most 1000"),
        ({"history": [{}]}, r"history\[0\] has neither item_id nor text"),
        ({"history": [{"item": "a"}]}, r"history\[0\].*'item'.*'item_id'"),
        ({"history": [None]}, r"history\[0\] must be an id or an object"),
        ({"history": [{"item_id": "a", "at": "soon"}]}, "'soon' is not a time"),
        ({"history": [{"item_id": "a", "value": float("nan")}]}, r"history\[0\].value"),
        ({"history": [{"item_id": ""}]}, r"history\[0\].item_id"),
        ({"context": ["rain"]}, "context must be an object"),
        ({"context": {"time": "later"}}, "'later' is not a time"),
        ({"context": {"weather": ["rain"]}}, "context.weather must be a word or a finite number"),
        ({"context": {"x": float("inf")}}, "context.x"),
        ({"context": {"x" * 101: 1}}, "use a short word"),
        ({"context": {str(n): 1 for n in range(65)}}, "65 fields"),
        ({"diversity": 1.1}, "diversity must be a number from 0 to 1, got 1.1"),
        ({"explore": "much"}, "explore must be a finite number"),
        ({"max_per": ["brand"]}, "max_per must be an object"),
        ({"max_per": {"brand": 0}}, r"max_per.brand must be a whole number from 1"),
        ({"max_per": {str(n): 1 for n in range(9)}}, "9 fields, at most 8"),
        ({"boost": {"weight": 1}}, "boost must be a list"),
        ({"boost": [{"weight": 1}]}, r"boost\[0\] must be an object with filter and weight"),
        ({"boost": [{"filter": {}, "weight": 11}]}, r"boost\[0\].weight is 11; use .* -10 to 10"),
        ({"boost": [{"filter": {}, "weight": 1}] * 33}, "33 entries, at most 32"),
        ({"pin": [{"item_id": "a"}]}, r"pin\[0\] must be an object with item_id and rank"),
        ({"pin": [{"item_id": "a", "rank": 0}]}, r"pin\[0\].rank must be a whole number from 1"),
        ({"pin": [{"item_id": "a", "rank": n} for n in (1, 2)]}, "item_id 'a' twice"),
        ({"pin": [{"item_id": n, "rank": 3} for n in (1, 2)]}, "rank 3 twice"),
        ({"pin": [{"item_id": str(n), "rank": n + 1} for n in range(101)]}, "101 entries"),
        ({"validate_only": 1}, "validate_only must be true or false"),
        (
            {"context": {"place": {"lat": 91, "lon": 0}}},
            "context.place.lat is 91; degrees go to 90",
        ),
        ({"context": {"location": {"lat": 1}}}, "context.location.lon must be a finite number"),
        ({"context": {"mood": {"lat": 1, "lon": 1}}}, "context.mood must be a word"),
        ({"scenario": 3}, "scenario must be a name"),
        ({"weights": {"menaing": 1}}, r"'menaing'.*did you mean 'meaning'"),
        ({"weights": {"meaning": "much"}}, "weights.meaning must be a finite number"),
        ({"weights": {"prior": 101}}, "from -100 to 100"),
        ({"weights": 3}, "weights must be an object"),
        ({"min_score": "high"}, "min_score must be a finite number"),
        ({"min_score": float("nan")}, "min_score"),
        ({"include_seen": "yes"}, "include_seen must be true or false"),
        ({"explain": 1}, "explain must be true or false"),
        ({"exclude": "a"}, "exclude must be a list"),
        ({"exclude": [None]}, "exclude must be an id"),
        ({"exclude": ["x" * 513]}, "1 to 512 characters"),
        ({"user_id": ""}, "user_id must be an id"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"at": True}, "at must be a time"),
        ({"fields": "title"}, "fields must be a list"),
    ],
)
def test_a_wrong_body_is_refused_with_the_field_and_what_it_holds(
    body: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        parse_request(body)


def test_a_batch_may_have_longer_histories() -> None:
    body = {"history": ["a"] * 20_000}
    assert len(parse_request(body, max_history=20_000).history) == 20_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
field_names = st.sampled_from([name for name in Request.__slots__ if name != "filter"])


@given(st.dictionaries(field_names, json_values))
def test_any_body_is_read_or_refused_with_a_request_error(body: dict[str, Any]) -> None:
    refusal = ""
    try:
        request = parse_request(body)
    except RequestError as error:
        refusal = str(error)
        request = Request()
    assert len(refusal) < 600
    assert "\n" not in refusal
    assert 1 <= request.k <= 1_000
    assert request.query != ""


def test_an_unknown_field_of_an_entry_is_reported_before_a_bad_value() -> None:
    with pytest.raises(RequestError, match=r"history\[0\] has an unknown field 'itemid'"):
        parse_request({"history": [{"at": "bad", "itemid": 1}]})


def test_an_entry_is_no_history() -> None:
    with pytest.raises(RequestError, match="history must be a list"):
        parse_request({"history": HistoryEntry("m1")})


def test_times_that_differ_by_less_than_a_microsecond_are_equal() -> None:
    entries = [
        {"item_id": "a", "at": 1_700_000_000.1234567},
        {"item_id": "b", "at": "2023-11-14T22:13:20.123457Z"},
    ]
    one, other = parse_request({"history": entries}).history
    assert one.at == other.at
