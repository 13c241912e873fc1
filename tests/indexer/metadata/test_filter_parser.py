"""What a filter means for one item, and how a filter that means nothing is refused."""

import json
import time
from typing import Any

import pytest

from indexer.errors import FilterError
from indexer.metadata.filter_parser import MAX_DEPTH, MAX_LEAVES, parse_filter
from indexer.metadata.item_matcher import matches
from indexer.metadata.predicates import And
from indexer.metadata.schema import FieldInfo, FieldType, Schema
from indexer.reading.plain_dates import parse_instant

TYPES = {
    "id": FieldType.STRING,
    "title": FieldType.STRING,
    "tags": FieldType.STRING,
    "rating": FieldType.NUMBER,
    "scores": FieldType.NUMBER,
    "available": FieldType.BOOLEAN,
    "created_at": FieldType.DATE,
    "location": FieldType.LOCATION,
    "attrs": FieldType.OBJECT,
    "attrs.color": FieldType.STRING,
    "offers.price": FieldType.NUMBER,
    "odd": FieldType.MIXED,
    "awards": FieldType.EMPTY,
    "and": FieldType.STRING,
}
SCHEMA = Schema({name: FieldInfo(name, kind) for name, kind in TYPES.items()})
FILM = {
    "id": "m1",
    "title": "Alien",
    "tags": ["悬疑", "恐怖"],
    "rating": 4.0,
    "scores": [1, 9],
    "available": True,
    "created_at": "2024-05-01T08:00:00+08:00",
    "location": {"lat": 31.2304, "lon": 121.4737},
    "attrs": {"color": "red", "size": None},
    "offers": [{"price": 5}, {"price": 50}],
    "odd": [1, "1", False],
    "awards": [],
}


def passes(raw: Any, item: dict[str, Any] = FILM) -> bool:
    return matches(parse_filter(raw, SCHEMA), item)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"title": "Alien"},
        {"tags": "悬疑"},
        {"tags": {"any": ["悬疑", "喜剧"]}},
        {"tags": {"all": ["恐怖", "悬疑"]}},
        {"tags": {"none": ["喜剧"]}},
        {"rating": 4},
        {"rating": {"gte": 4, "lt": 4.5}},
        {"scores": {"gt": 8}},
        {"available": True},
        {"created_at": "2024-05-01"},
        {"created_at": 1714521600},
        {"created_at": {"gt": "2024-04-30T23:59:59Z", "lte": "2024-05-01T00:00:00z"}},
        {"location": {"near": {"lat": 31.2, "lon": 121.5, "km": 10}}},
        {"attrs": {"exists": True}},
        {"attrs.color": "red"},
        {"offers.price": {"lt": 10}},
        {"odd": 1},
        {"odd": "1"},
        {"odd": False},
        {"awards": {"exists": False}},
        {"or": [{"title": "x"}, {"rating": 4}]},
        {"and": [{"title": "Alien"}, {"rating": 4}]},
        {"not": {"awards": "Oscar"}},
        {"title": "Alien", "rating": {"gte": 4}, "tags": {"none": ["喜剧"], "any": ["恐怖"]}},
    ],
    ids=json.dumps,
)
def test_the_film_passes(raw: Any) -> None:
    assert passes(raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"title": "alien"},
        {"title": "Alien", "rating": 5},
        {"tags": {"all": ["恐怖", "喜剧"]}},
        {"tags": {"none": ["喜剧", "恐怖"]}},
        {"rating": {"gt": 4}},
        {"scores": {"gte": 2, "lte": 8}},
        {"available": False},
        {"created_at": {"lt": "2024-05-01"}},
        {"location": {"near": {"lat": 39.9, "lon": 116.4, "km": 1000}}},
        {"attrs.color": {"exists": False}},
        {"odd": True},
        {"odd": 0},
        {"odd": {"gt": 1}},
        {"awards": "Oscar"},
        {"awards": {"gte": 0}},
        {"not": {"title": "Alien"}},
        {"rating": {"gte": 4, "any": [3]}},
    ],
    ids=json.dumps,
)
def test_the_film_does_not_pass(raw: Any) -> None:
    assert not passes(raw)


def test_the_bounds_of_separate_conditions_may_be_met_by_separate_elements() -> None:
    assert passes({"and": [{"scores": {"gte": 2}}, {"scores": {"lte": 8}}]})


@pytest.mark.parametrize("field", sorted(set(TYPES) - {"id", "and"}))
def test_on_a_missing_field_only_negations_are_true(field: str) -> None:
    wanted = {"rating": 1, "scores": 1, "offers.price": 1, "available": True}.get(
        field, "2024-05-01"
    )
    simple = field not in ("location", "attrs")
    near = {"near": {"lat": 0, "lon": 0, "km": 30_000}}
    positive = {"any": [wanted]} if simple else near if field == "location" else {"exists": True}
    bare = {"id": "bare", field: None}
    assert not passes({field: positive}, bare)
    assert passes({"not": {field: positive}}, bare)
    assert passes({field: {"exists": False}}, bare)
    assert passes({"id": "bare", "not": {field: {"exists": True}}}, bare)
    if simple:
        assert passes({field: {"none": [wanted]}}, bare)


def test_the_distance_is_the_great_circle() -> None:
    # One degree of latitude on a sphere of 6371.0088 km is 111.195 km, by hand.
    item = {"location": {"lat": 1, "lon": 0}}
    assert passes({"location": {"near": {"lat": 0, "lon": 0, "km": 111.196}}}, item)
    assert not passes({"location": {"near": {"lat": 0, "lon": 0, "km": 111.194}}}, item)
    across_the_date_line = {"location": {"lat": 0, "lon": 179.9}}
    assert passes({"location": {"near": {"lat": 0, "lon": -179.9, "km": 23}}}, across_the_date_line)


def test_a_circle_of_half_the_circumference_holds_the_antipode() -> None:
    item = {"location": {"lat": -30.1, "lon": -59.7}}
    assert passes({"location": {"near": {"lat": 30.1, "lon": 120.3, "km": 20_016}}}, item)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01 08:00:00+08:00", 0.0),
        ("1970-01-01T01:00-0100", 7_200.0),
        ("1970-01-01t00:00:00.123456789z", 0.123456),
    ],
)
def test_a_date_is_its_instant_wherever_the_machine_stands(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: float
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        try:
            assert parse_instant(text) == pytest.approx(seconds)
        finally:
            environment.undo()
            time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "20240501",
        "2024-02-30",
        "05/01/2024",
        "0000-01-01",
        "0x24-05-01",
    ],
)
def test_other_text_is_no_date(text: str) -> None:
    assert parse_instant(text) is None


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ({"ratng": 4}, "unknown field 'ratng'; did you mean 'rating'?"),
        ({"RATING": 4}, "did you mean 'rating'?"),
        ({7: 4}, "unknown field '7'"),
        ({"rating": "high"}, "field 'rating' is of type number and is compared with 'high' (str)"),
        ({"rating": True}, "field 'rating' is of type number and is compared with True (bool)"),
        ({"available": 1}, "field 'available' is of type boolean"),
        ({"title": 4}, "field 'title' is of type string and is compared with 4 (int)"),
        ({"title": None}, '{"exists": false}'),
        ({"tags": ["悬疑"]}, "write 'any', 'all' or 'none' before it"),
        ({"tags": {"any": []}}, "'any' on field 'tags' needs a list of at least one"),
        ({"tags": {"all": "悬疑"}}, "'all' on field 'tags' needs a list"),
        ({"tags": {"none": [None]}}, "is compared with None"),
        ({"tags": {"any": ["x"] * 1_001}}, "lists 1,001 values; at most 1,000"),
        ({"tags": {"has": "x"}}, "unknown operator 'has' on field 'tags'"),
        ({"tags": {1: "x"}}, "unknown operator '1' on field 'tags'"),
        ({"tags": {}}, "field 'tags' is compared with nothing"),
        (
            {"title": {"gt": "a"}},
            "'gt' needs a number or date field, but 'title' is",
        ),
        ({"rating": {"gte": "4"}}, "field 'rating' is of type number"),
        ({"rating": float("nan")}, "is compared with nan"),
        ({"rating": {"lt": float("inf")}}, "is compared with inf"),
        ({"rating": 10**400}, "'rating' is compared with 1000"),
        ({"rating": {"exists": 1}}, "'exists' on field 'rating' must be true or false"),
        ({"created_at": "soon"}, "use a date such as 2024-05-01 or Unix seconds"),
        ({"created_at": {"gt": True}}, "field 'created_at' is of type date"),
        ({"odd": {"gt": "a"}}, "field 'odd' is of type mixed"),
        ({"attrs": {"color": "red"}}, "write 'attrs.color'"),
        ({"attrs": "red"}, "field 'attrs' is of type object"),
        ({"location": "here"}, "use 'near' or 'exists'"),
        ({"rating": {"near": {"lat": 0, "lon": 0, "km": 1}}}, "'near' needs a location field"),
        ({"location": {"near": {"lat": 0, "lon": 0}}}, "needs exactly lat, lon and km"),
        ({"location": {"near": {"lat": 91, "lon": 0, "km": 1}}}, "'lat' of 'near'"),
        ({"location": {"near": {"lat": 0, "lon": 0, "km": -1}}}, "'km' of 'near'"),
        ({"and": []}, "'and' needs a list of at least one"),
        ({"or": {"rating": 4}}, "'or' needs a list"),
        ({"or": [{}] * 1_001}, "'or' lists 1,001 filters"),
        ({"not": [{"rating": 4}]}, "a filter must be an object"),
        ({"and": "x"}, "'and' needs a list"),
        ("rating > 4", "a filter must be an object"),
        (None, "a filter must be an object"),
    ],
)
def test_a_filter_is_refused_by_name(raw: Any, complaint: str) -> None:
    with pytest.raises(FilterError) as refusal:
        parse_filter(raw, SCHEMA)
    assert complaint in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_any_unknown_field_is_refused_while_the_catalogue_has_none() -> None:
    with pytest.raises(FilterError, match="the catalogue has no fields"):
        parse_filter({"x": 1}, Schema({}))


def test_a_field_name_of_a_megabyte_is_refused_in_a_short_sentence() -> None:
    with pytest.raises(FilterError) as refusal:
        parse_filter({"x" * 1_000_000: 1}, SCHEMA)
    assert len(str(refusal.value)) < 400


def test_nesting_is_limited() -> None:
    raw: dict[str, Any] = {"rating": 4}
    for _ in range(MAX_DEPTH - 1):
        raw = {"not": raw}
    parse_filter(raw, SCHEMA)
    with pytest.raises(FilterError, match="nested deeper than 16"):
        parse_filter({"not": raw}, SCHEMA)


def test_comparisons_are_limited() -> None:
    parse_filter({"or": [{"rating": number} for number in range(MAX_LEAVES)]}, SCHEMA)
    with pytest.raises(FilterError, match="more than 256 comparisons"):
        parse_filter({"or": [{"rating": number} for number in range(MAX_LEAVES + 1)]}, SCHEMA)


def test_equal_filters_are_one_cache_entry_and_true_is_not_1() -> None:
    assert len({parse_filter({"odd": raw}, SCHEMA) for raw in (1, 1.0, True, "1", "True")}) == 4
    assert parse_filter({"tags": {"any": ["a", "b"]}}, SCHEMA) == parse_filter(
        {"tags": {"any": ["b", "a", "a"]}}, SCHEMA
    )
    assert parse_filter({}, SCHEMA) == And(())


def test_an_item_outside_the_schema_is_compared_by_what_it_holds() -> None:
    assert not passes({"rating": {"gte": 1}}, {"rating": "high"})
    assert not passes({"title": "1"}, {"title": 1})
    assert not passes({"created_at": "2024-05-01"}, {"created_at": "soon"})
    assert passes({"created_at": "2024-05-01"}, {"created_at": 1714521600})
    assert not passes({"location": {"near": {"lat": 0, "lon": 0, "km": 9}}}, {"location": "here"})


def test_a_schema_survives_json() -> None:
    counted = (("悬疑", 2), (True, 1), (4, 1))
    info = FieldInfo("tags", FieldType.MIXED, present=3, distinct=3, top_values=counted, minimum=4)
    schema = Schema({"tags": info})
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
