"""Rows become items, or rejections that name the field and the value; never an exception."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import CatalogError
from indexer.reading.item import Item
from indexer.reading.items import read_catalog, to_item
from indexer.reading.rows import Rejection, Row, parse_mapping, render_rejection
from tests.paths import SAMPLE


def item(values: dict[str, Any], **options: Any) -> Item:
    found = to_item(Row("a.jsonl", 1, values), **options)
    assert isinstance(found, Item), found
    return found


def fields(**values: Any) -> dict[str, Any]:
    return item({"id": "m1", "title": "A", **values}).fields


def reason(values: dict[str, Any]) -> str:
    found = to_item(Row("a.jsonl", 7, values))
    assert isinstance(found, Rejection), found
    assert (found.source, found.line, found.row) == ("a.jsonl", 7, values)
    return found.reason


def test_the_row_of_the_contract_is_kept_as_it_is() -> None:
    row = {
        "id": "m1", "title": "电影A", "description": "…", "tags": ["悬疑", "恐怖"],
        "categories": [], "brand": "…", "reviews": ["…"], "rating": 4.5, "price": 9.9,
        "created_at": "2024-05-01", "available": True, "location": {"lat": 31.2, "lon": 121.5},
        "studio.name": "X", "facts": {"a": [1, None, {"b": True}]},
    }  # fmt: skip
    assert item(row) == Item("m1", row, None)


def test_missing_values_are_left_out() -> None:
    assert fields(brand=None, year=float("nan"), rating="", price="nan", created_at=" ") == {
        "id": "m1",
        "title": "A",
    }


def test_a_nested_nan_becomes_null() -> None:
    assert fields(facts=[1.0, float("nan")])["facts"] == [1.0, None]


def test_a_whole_number_beyond_64_bits_becomes_its_digits() -> None:
    assert fields(hash=2**64, most=2**64 - 1, least=-(2**63)) == {
        "id": "m1",
        "title": "A",
        "hash": "18446744073709551616",
        "most": 2**64 - 1,
        "least": -(2**63),
    }


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [("m1", "m1"), ("0002844", "0002844"), (" a b ", "a b"), (12, "12"), (12.0, "12"), (-1, "-1"),
     (12.5, "12.5"), ("电影", "电影"), ("x" * 512, "x" * 512)],
)  # fmt: skip
def test_an_id_becomes_a_string(given_id: Any, expected: str) -> None:
    found = item({"id": given_id, "title": "A"})
    assert found.id == found.fields["id"] == expected


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        (None, "id is missing"),
        ("", "id is missing"),
        ("  ", "id is missing"),
        (float("nan"), "id is missing"),
        (True, "id must be a string or a number, not True"),
        ({"$oid": "1"}, "id must be a string or a number, not {'$oid': '1'}"),
        ("a\x00b", "id 'a\\x00b' has control characters"),
        ("a\n", "id 'a\\n' has control characters"),
        (1e300, "id 1e+300 is too large to be exact; write it in quotes"),
        (float("inf"), "id inf is too large to be exact; write it in quotes"),
    ],
)
def test_an_id_that_is_none_is_a_reason(given_id: Any, expected: str) -> None:
    assert reason({"id": given_id, "title": "A"}) == expected


def test_an_overlong_id_is_a_reason_with_its_length() -> None:
    found = reason({"id": "x" * 513, "title": "A"})
    assert found.endswith("has 513 characters; at most 512 are allowed")
    assert len(found) < 150


@pytest.mark.parametrize(
    "text",
    [{"title": "A"}, {"name": "A"}, {"description": "d"}, {"tags": ["x"]}, {"reviews": "good"},
     {"category": "film"}, {"overview": {"text": "o"}}, {"title": 1917}],
)  # fmt: skip
def test_one_text_field_is_enough(text: dict[str, Any]) -> None:
    item({"id": "m1", **text})


@pytest.mark.parametrize(
    "values",
    [{}, {"title": " "}, {"tags": []}, {"tags": ["", None]}, {"title": None, "brand": "X"},
     {"vector": [1.0]}, {"description": "\n\t"}],
)  # fmt: skip
def test_an_item_without_text_is_a_reason(values: dict[str, Any]) -> None:
    expected = "has no text; give it a title, a description or tags"
    assert reason({"id": "m1", **values}) == expected


def test_a_name_stands_for_a_missing_title_only() -> None:
    assert item({"id": 1, "name": "N"}).fields == {"id": "1", "title": "N"}
    assert item({"id": 1, "name": "N", "title": "T"}).fields == {
        "id": "1",
        "title": "T",
        "name": "N",
    }
    assert item({"id": 1, "name": "N", "title": ""}).fields == {"id": "1", "title": "N"}


@pytest.mark.parametrize("field", ["tags", "categories", "reviews", "genres", "keywords"])
@pytest.mark.parametrize(
    ("given_list", "expected"),
    [
        ("a|b | c|", ["a", "b", "c"]),
        ("plain word", ["plain word"]),
        (["a", " b ", 3, 4.0, None, ""], ["a", "b", "3", "4"]),
        (1999, ["1999"]),
        ('["a", "b"]', ["a", "b"]),
        ("[REC]", ["[REC]"]),
        ([{"id": 28, "name": "Action"}, {"text": "x"}], ["Action", "x"]),
        (["nan"], ["nan"]),
        ([], []),
    ],
)
def test_list_fields_become_lists_of_strings(
    field: str, given_list: Any, expected: list[str]
) -> None:
    assert fields(**{field: given_list})[field] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"title": [True]}, "title must be text, not True"),
        ({"title": True}, "title must be text, not True"),
        ({"description": {"a": 1}}, "description must be text, not {'a': 1}"),
        ({"tags": {"a": 1}}, "tags must be a list of words, not {'a': 1}"),
        ({"tags": True}, "tags must be a list of words, not True"),
        ({"genres": [["a"]]}, "genres must hold words or numbers, not ['a']"),
        ({"keywords": [True]}, "keywords must hold words or numbers, not True"),
        ({"reviews": [{"stars": 5}]}, "reviews must hold words or numbers, not None"),
        ({"rating": "good"}, "rating must be a number, not 'good'"),
        ({"rating": True}, "rating must be a number, not True"),
        ({"rating": float("inf")}, "rating must be finite, not inf"),
        ({"rating": "1e999"}, "rating must be a number, not '1e999'"),
        ({"rating": "1_000"}, "rating must be a number, not '1_000'"),
        ({"price": "from 9.90"}, "price must be a number, not 'from 9.90'"),
        ({"price": {"note": "ask"}}, "price must be a number, not {'note': 'ask'}"),
        ({"price": {"amount": {"value": 1}}},
         "price must be a number, not {'amount': {'value': 1}}"),
        ({"price": [1]}, "price must be a number, not [1]"),
        ({"available": "maybe"}, "available must be true or false, a stock count or words such as "
         "'in stock', not 'maybe'"),
        ({"location": [31.2, 121.5]}, "location lat must be between -90 and 90, not 121.5; a list "
         "is [lon, lat], as in GeoJSON: [31.2, 121.5]"),
        ({"location": {"lat": 91, "lon": 0}}, "location lat must be between -90 and 90, not 91"),
        ({"location": "0,181"}, "location lon must be between -180 and 180, not '181'"),
        ({"location": {"lat": "x", "lon": 0}}, "location lat must be a number, not 'x'"),
        ({"lat": 95, "lon": 0}, "location lat must be between -90 and 90, not 95"),
        ({"created_at": "05/04/2024"},
         "created_at must be an ISO date or Unix seconds, not '05/04/2024'"),
        ({"created_at": "2024-13-01"},
         "created_at must be an ISO date or Unix seconds, not '2024-13-01'"),
        ({"created_at": True}, "created_at must be an ISO date or Unix seconds, not True"),
        ({"created_at": 1e30}, "created_at 1e+30 is outside the years 1 to 9999"),
        ({"vector": "text"}, "vector must be a list of numbers, not 'text'"),
        ({"vector": [[1.0]]}, "vector must be a list of numbers, not [[1.0]]"),
        ({"vector": [1.0, None]}, "vector must be a list of numbers, not [1.0, None]"),
        ({"vector": [True]}, "vector must be a list of numbers, not [True]"),
        ({"vector": [1.0, float("nan")]}, "vector must hold finite numbers only"),
        ({"vector": [1e300]}, "vector must hold finite numbers only"),
        ({"vector": [0, 0.0]}, "vector is all zeros, so it points nowhere"),
        ({"": 1}, "has a field without a name ('')"),
        ({"__": 1}, "has a field without a name ('__')"),
        ({"size": float("-inf")}, "size must be finite, not -inf"),
        ({"size": object}, "size is <class 'object'>, which JSON cannot hold"),
    ],
)  # fmt: skip
def test_a_value_its_field_cannot_hold_is_a_reason(values: dict[str, Any], expected: str) -> None:
    assert reason({"id": "m1", "title": "A", **values}) == expected


def test_a_field_nested_too_deep_is_a_reason() -> None:
    nested: Any = 1
    for _ in range(200):
        nested = [nested]
    row = {"id": "m1", "title": "A", "deep": nested}
    assert reason(row) == "deep is nested more than 16 levels deep"


def test_a_huge_value_is_clipped_in_its_reason() -> None:
    assert len(reason({"id": "m1", "title": "A", "rating": "x" * 100_000})) < 120
    assert len(reason({"id": "m1", "title": "A", "vector": ["x"] * 100_000})) < 120


@pytest.mark.parametrize(
    ("number", "expected"), [(4, 4), ("4", 4), (" 4.50 ", 4.5), ("-1e2", -100.0), (0, 0)]
)
def test_numbers_may_come_as_strings(number: Any, expected: float) -> None:
    found = fields(rating=number, price=number)
    assert (found["rating"], found["price"]) == (expected, expected)


@pytest.mark.parametrize("answer", [True, "true", "TRUE", "yes", "1", 1, 1.0, " Yes "])
def test_many_words_mean_available(answer: Any) -> None:
    assert fields(available=answer)["available"] is True


@pytest.mark.parametrize("answer", [False, "false", "No", "0", 0, 0.0])
def test_many_words_mean_unavailable(answer: Any) -> None:
    assert fields(available=answer)["available"] is False


@pytest.mark.parametrize(
    "place",
    [{"lat": 31.2, "lon": 121.5}, {"latitude": "31.2", "lng": "121.5"}, "31.2, 121.5",
     '{"lat": 31.2, "lon": 121.5}'],
)  # fmt: skip
def test_a_location_is_latitude_and_longitude(place: Any) -> None:
    assert fields(location=place)["location"] == {"lat": 31.2, "lon": 121.5}


def test_a_location_keeps_what_else_it_says() -> None:
    place = {"lat": 1, "lon": 2, "city": "X"}
    assert fields(location=place)["location"] == place


def test_coordinate_columns_make_a_location_unless_there_is_one() -> None:
    assert fields(lat="1.5", lon=2)["location"] == {"lat": 1.5, "lon": 2}
    assert fields(latitude=1, longitude=2)["location"] == {"lat": 1, "lon": 2}
    assert fields(lat=1, lon=2, location="3,4")["location"] == {"lat": 3, "lon": 4}
    assert "location" not in fields(lat=1)


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T10:00:00+08:00", "2024-05-01T10:00:00+08:00"),
        ("2024-05-01 10:00:00", "2024-05-01T10:00:00"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        (1714557600, "2024-05-01T10:00:00Z"),
        ("1714557600", "2024-05-01T10:00:00Z"),
        (1714557600000, "2024-05-01T10:00:00Z"),
        (1714557600.5, "2024-05-01T10:00:00.500000Z"),
        (-86400, "1969-12-31T00:00:00Z"),
        (2024, "2024"),
        (2024.0, "2024"),
        ("2024-05", "2024-05"),
        (20240501, "2024-05-01"),
        ("20240501", "2024-05-01"),
    ],
)
def test_a_creation_time_is_iso_or_becomes_it(given_time: Any, expected: str) -> None:
    assert fields(created_at=given_time)["created_at"] == expected


@pytest.mark.parametrize("vector", [[1, 2.5, -3], "[1, 2.5, -3]"])
def test_a_vector_is_taken_out_of_the_fields_as_float32(vector: Any) -> None:
    found = item({"id": "m1", "title": "A", "vector": vector})
    assert found.vector is not None
    assert found.vector.dtype == np.float32
    assert found.vector.tolist() == [1.0, 2.5, -3.0]
    assert found.fields == {"id": "m1", "title": "A"}


def test_leading_underscores_are_dropped_unless_the_name_is_taken() -> None:
    assert item({"_id": 5, " title ": "A", "_score": 1, "score": 2}).fields == {
        "id": "5",
        "title": "A",
        "score": 2,
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KNOWN = ["id", "title", "tags", "rating", "available", "location", "created_at", "vector", "lat"]


@given(st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=3), json_values, max_size=6))
@settings(max_examples=5 * settings().max_examples, deadline=None)
def test_any_row_is_an_item_that_json_holds_or_a_rejection_that_json_holds(
    values: dict[str, Any],
) -> None:
    found = to_item(Row("a", 1, values))
    if isinstance(found, Item):
        assert orjson.loads(orjson.dumps(found.fields)) == found.fields
        assert to_item(Row("a", 1, found.fields)) == Item(found.id, found.fields, None)
    else:
        assert json.loads(render_rejection(found))["reason"] == found.reason


# --- sources and mapping -------------------------------------------------------------------------


def test_sources_are_read_in_order_and_bad_rows_stay_in_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.jsonl"
    first.write_text("movieId,name,genres\n0001,Alien,horror|sf\n0002,,\n3,x\n")
    second.write_text('{"movieId": 4, "name": "Heat"}\nnot json\n{"id": "5", "title": "Ran"}\n')
    found = list(
        read_catalog(
            [str(first), str(second)],
            mapping={"id": "movieId", "title": "name", "tags": "genres"},
        )
    )
    assert found == [
        Item("0001", {"id": "0001", "title": "Alien", "tags": ["horror", "sf"]}, None),
        Rejection(str(first), 3, "has no text; give it a title, a description or tags",
                  {"movieId": "0002", "name": None, "genres": None}),
        Rejection(str(first), 4, "has 2 cells where the header has 3", "3,x"),
        Item("4", {"id": "4", "title": "Heat"}, None),
        Rejection(str(second), 2, found[4].reason, "not json"),  # type: ignore[union-attr]  # it is one
        Item("5", {"id": "5", "title": "Ran"}, None),
    ]  # fmt: skip


def test_a_mapped_column_replaces_one_that_has_our_name() -> None:
    row = {"id": 1, "title": "short", "long_title": "long", "name": "n"}
    assert item(row, mapping={"title": "long_title"}).fields == {
        "id": "1", "title": "long", "name": "n",
    }  # fmt: skip
    swapped = item(row, mapping={"title": "name", "name": "title"}).fields
    assert (swapped["title"], swapped["name"]) == ("n", "short")


def test_a_mapped_column_that_no_row_has_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,Title,genres\n1,Alien,sf\n")
    mapping = {"title": "titel", "user_id": "userId"}
    with pytest.raises(CatalogError, match="'titel', which no row has; did you mean 'title'"):
        list(read_catalog([str(path)], mapping=mapping))
    with pytest.raises(CatalogError, match="'xyz', which no row has; there are id, title, genres"):
        list(read_catalog([str(path)], mapping={"brand": "xyz"}))


def test_a_mapping_for_interactions_does_not_concern_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,title\n1,Alien\n")
    found = list(read_catalog([str(path)], mapping={"user": "userId", "event": "action"}))
    assert found == [Item("1", {"id": "1", "title": "Alien"}, None)]


def test_a_missing_source_is_refused_before_any_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,title\n1,Alien\n")
    with pytest.raises(CatalogError, match=r"none\.csv does not exist"):
        read_catalog([str(path), str(tmp_path / "none.csv")])
    with pytest.raises(CatalogError, match="--query needs a database URL among --catalog"):
        read_catalog([str(path)], query="SELECT 1")


def test_the_bundled_samples_have_no_bad_row() -> None:
    found = list(read_catalog([str(path) for path in sorted(SAMPLE.glob("*.jsonl"))]))
    assert len(found) > 100
    assert [row for row in found if isinstance(row, Rejection)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title=name,tags=genres,id=movieId", {"title": "name", "tags": "genres", "id": "movieId"}),
        (" title = my column , ", {"title": "my column"}),
        ("a=b=c", {"a": "b=c"}),
        ("", {}),
    ],
)
def test_a_mapping_is_ours_equals_theirs(text: str, expected: dict[str, str]) -> None:
    assert parse_mapping(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title", "'title' is not our_field=your_column; write such as title=name"),
        ("title=", "'title=' is not our_field"),
        ("=name", "'=name' is not our_field"),
        ("id=a,id=b", "'id' is taken from 'a' and from 'b'; keep one"),
    ],
)
def test_a_mapping_that_maps_nothing_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(CatalogError, match=sentence):
        parse_mapping(text)


def test_a_rejection_line_is_short_json_whatever_the_row() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    row = {
        "text": "长" * 10_000,
        "list": list(range(1000)),
        "deep": deep,
        "x": float("inf"),
        "n": 1,
    }
    line = render_rejection(Rejection("a.csv", 3, "id is missing", row))
    report = json.loads(line)
    assert (report["source"], report["line"], report["reason"]) == ("a.csv", 3, "id is missing")
    assert report["row"]["n"] == 1
    assert report["row"]["x"] == "inf"
    assert len(line) < 2000
    assert "\n" not in line


def test_the_rejection_line_of_an_unreadable_line_holds_its_text() -> None:
    line = render_rejection(Rejection("a.csv", 3, "has 2 cells where the header has 3", "3,x"))
    assert json.loads(line) == {
        "source": "a.csv",
        "line": 3,
        "reason": "has 2 cells where the header has 3",
        "row": "3,x",
    }
