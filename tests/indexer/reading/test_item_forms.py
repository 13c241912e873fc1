"""What shops, sites and programs write in the known fields is read; what is not read is told."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.reading import FindingCounts, Item, Rejection, Row, to_item
from indexer.reading.findings import FieldFinding, Outcome


def read(values: dict[str, Any], *, keep_readable: bool = False) -> Item:
    row = Row("a.jsonl", 3, {"id": "m1", "title": "A", **values})
    found = to_item(row, keep_readable=keep_readable)
    assert isinstance(found, Item), found
    return found


def fields(**values: Any) -> dict[str, Any]:
    """The fields of an item that a request brought, without id and the usual title."""
    item = read(values)
    kept = {name: value for name, value in item.fields.items() if name != "id"}
    return kept if "title" in values else {k: v for k, v in kept.items() if k != "title"}


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("1,299.00", {"price": 1299.0}),
        ("1.299,00 €", {"price": 1299.0, "currency": "€"}),
        ("¥99", {"price": 99, "currency": "¥"}),
        ("９９元", {"price": 99, "currency": "元"}),
        ("9.99 EUR", {"price": 9.99, "currency": "EUR"}),
        ({"amount": 9.9, "currency": "EUR"}, {"price": 9.9, "currency": "EUR"}),
        ({"amount": "9,90", "currencyCode": "EUR"}, {"price": 9.9, "currency": "EUR"}),
        ({"value": 5, "tax": "incl."}, {"price": 5, "price_details": {"tax": "incl."}}),
        ('{"amount": 3}', {"price": 3}),
        ("N/A", {}), ("—", {}), ([], {}), ({}, {}),
    ],
)  # fmt: skip
def test_a_price_is_a_number_with_what_stands_beside_it(price: Any, expected: Any) -> None:
    assert fields(price=price) == expected


def test_what_stands_beside_a_number_replaces_no_field_of_the_item() -> None:
    assert fields(price="9 EUR", currency="CHF") == {"price": 9, "currency": "CHF"}
    assert fields(currency="CHF", price="9 EUR") == {"price": 9, "currency": "CHF"}


@pytest.mark.parametrize(
    ("rating", "expected"),
    [
        ("4.5/5", {"rating": 4.5}), ("4,5", {"rating": 4.5}), ("8.7分", {"rating": 8.7}),
        ({"rate": 3.9, "count": 120}, {"rating": 3.9, "rating_count": 120}),
        ({"average": "9.6", "max": 10}, {"rating": 9.6, "rating_details": {"max": 10}}),
    ],
)  # fmt: skip
def test_a_rating_is_a_number(rating: Any, expected: dict[str, Any]) -> None:
    assert fields(rating=rating) == expected


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        ("Y", {"available": True}), ("是", {"available": True}), ("否", {"available": False}),
        ("in stock", {"available": True}), ("缺货", {"available": False}),
        ("https://schema.org/OutOfStock", {"available": False}),
        (5, {"available": True, "stock": 5}), ("12", {"available": True, "stock": 12}),
        (-1, {"available": False, "stock": -1}), (0, {"available": False}),
        ("NULL", {}),
    ],
)  # fmt: skip
def test_what_can_be_had_is_a_boolean(available: Any, expected: dict[str, Any]) -> None:
    assert fields(available=available) == expected


@pytest.mark.parametrize(
    "location",
    [
        {"type": "Point", "coordinates": [121.5, 31.2]},
        {"type": "Point", "coordinates": [121.5, 31.2, 4.0]},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [121.5, 31.2]}},
        [121.5, 31.2], "[121.5, 31.2]", "31.2,121.5", "POINT(121.5 31.2)",
        "SRID=4326;POINT (121.5 31.2)", {"lat": 31.2, "long": "121.5"},
    ],
)  # fmt: skip
def test_a_location_is_read_as_maps_write_it(location: Any) -> None:
    assert fields(location=location) == {"location": {"lat": 31.2, "lon": 121.5}}


@pytest.mark.parametrize(
    "name", ["Shanghai", "上海", "Shanghai, China", {"city": "上海", "zip": 2}]
)
def test_a_place_name_in_location_is_kept_as_place_and_told(name: Any) -> None:
    item = read({"location": name})
    assert (item.fields["place"], "location" in item.fields) == (name, False)
    assert [(one.field, one.outcome) for one in item.findings] == [
        ("location", Outcome.KEPT_AS_PLACE)
    ]


def test_a_place_name_in_location_does_not_replace_the_place_of_the_item() -> None:
    values = {"location": "Shanghai", "place": "Pudong"}
    refused = to_item(Row("a", 1, {"id": "m1", "title": "A", **values}))
    assert isinstance(refused, Rejection)
    assert "a place name belongs in another column, such as city" in refused.reason
    kept = read(values, keep_readable=True)
    assert kept.fields == {"id": "m1", "title": "A", "place": "Pudong"}
    assert [one.field for one in kept.findings] == ["location"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"description": []}, {}),
        ({"description": ["Boils fast.", None, "Quiet."]},
         {"description": "Boils fast.\nQuiet."}),
        ({"title": ["Kettle", "水壶"]}, {"title": "Kettle / 水壶"}),
        ({"title": {"rendered": "Kettle"}}, {"title": "Kettle"}),
        ({"title": {"en": "Kettle", "zh-CN": "水壶"}}, {"title": "Kettle / 水壶"}),
        ({"title": [], "name": "Kettle"}, {"title": "Kettle"}),
    ],
)  # fmt: skip
def test_texts_in_lists_and_objects_are_joined(values: dict[str, Any], expected: Any) -> None:
    assert fields(**values) == expected


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2024/1/10", "2024-01-10"), ("2024年3月10日", "2024-03-10"), ("Jan 5 2024", "2024-01-05"),
        ("2024-01-10 08:00:00+08", "2024-01-10T08:00:00+08:00"), ("2024-W05-3", "2024-01-31"),
        ("29-01-2021 07:01", "2021-01-29T07:01:00"), ("2024-05", "2024-05"),
        (1_704_873_600, "2024-01-10T08:00:00Z"),
    ],
)  # fmt: skip
def test_a_creation_time_is_stored_in_iso_form(written: Any, iso: str) -> None:
    assert fields(created_at=written) == {"created_at": iso}


ODD = {
    "price": "from 15.99", "rating": "great", "available": "maybe", "created_at": "05/04/2024",
    "location": "91,0", "tags": {"a": 1}, "size": float("inf"), "vector": [1, "x"], "": 1,
    "description": True,
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_file_keeps_the_item_without_a_field_that_cannot_be_read(name: str) -> None:
    row = Row("a.jsonl", 3, {"id": "m1", "title": "A", "brand": "X", name: ODD[name]})
    refused, kept = to_item(row), to_item(row, keep_readable=True)
    assert isinstance(refused, Rejection)
    assert isinstance(kept, Item)
    assert kept.fields == {"id": "m1", "title": "A", "brand": "X"}
    assert kept.findings == (FieldFinding(name, ODD[name], refused.reason),)


@pytest.mark.parametrize(
    "values",
    [{"id": None}, {"title": ""}, {"title": True}, {"deep": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]},
     {"many": {f"f{number}": 1 for number in range(1_001)}}],
)  # fmt: skip
def test_a_row_without_id_or_text_or_beyond_a_limit_is_refused_by_every_door(
    values: dict[str, Any],
) -> None:
    row = Row("a.jsonl", 3, {"id": "m1", "title": "A", **values})
    assert isinstance(to_item(row), Rejection)
    assert isinstance(to_item(row, keep_readable=True), Rejection)


def test_cells_that_the_source_left_out_are_among_the_findings_under_our_name() -> None:
    finding = FieldFinding("cost", "ask", "cost must be a number, not 'ask'")
    row = Row("a.csv", 2, {"id": "1", "title": "A"}, (finding,))
    item = to_item(row, mapping={"price": "cost"})
    assert isinstance(item, Item)
    assert [one.field for one in item.findings] == ["price"]


def test_findings_are_counted_by_field_with_the_first_place() -> None:
    counts = FindingCounts()
    for line, price in enumerate([1, "ask", "from 15.99", None, 5], start=2):
        item = read({"price": price}, keep_readable=True)
        counts.add(item.fields, item.findings, f"items.csv:{line}")
    assert counts.render() == ["price: 2 of 4 unreadable, first items.csv:3 'ask'"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SHAPES: dict[str, tuple[type, ...]] = {
    "title": (str,), "description": (str,), "tags": (list,), "rating": (int, float),
    "price": (int, float), "available": (bool,), "location": (dict,), "created_at": (str,),
}  # fmt: skip
KNOWN = [*SHAPES, "id", "vector", "lat", "lon", "place", "currency", "stock", "brand"]


@given(st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=3), json_values, max_size=6))
@settings(max_examples=5 * settings().max_examples, deadline=None)
def test_a_file_gives_an_item_of_known_types_or_a_sentence_for_any_row(
    values: dict[str, Any],
) -> None:
    found = to_item(Row("a", 1, {"id": "m1", "title": "A", **values}), keep_readable=True)
    if isinstance(found, Rejection):
        assert found.reason
        return
    for name, types in SHAPES.items():
        value = found.fields.get(name)
        is_boolean = isinstance(value, bool)
        assert value is None or (isinstance(value, types) and is_boolean == (types == (bool,)))
    for name, value in values.items():
        is_free = name == name.strip().lstrip("_") and name not in (*KNOWN, "name")
        if is_free and value is not None and value == value:  # NaN is missing
            told = {one.field for one in found.findings}
            assert name in told or found.fields[name] == value or holds_nan(value)


def holds_nan(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value != value or any(map(holds_nan, parts))
