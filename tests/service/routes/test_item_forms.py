"""Items in the forms that people bring mean the same by a request as by a file, or are refused."""

from typing import Any

import pytest

from indexer import build_index
from indexer.reading import Item, Row, to_item
from tests.oracle import write_rows
from tests.service.conftest import Serve, Shop, ids_for, problem

FORMS: list[dict[str, Any]] = [
    {"price": "¥1,299.00", "rating": "4.5/5", "available": "有货"},
    {"price": {"amount": 9.9, "currency": "EUR"}, "rating": {"rate": 3.9, "count": 120}},
    {"available": 5, "location": {"type": "Point", "coordinates": [121.5, 31.2]}},
    {"location": [121.5, 31.2], "description": ["a", "b"], "created_at": "2024年3月10日"},
    {"title": ["Kettle", "水壶"], "description": [], "created_at": "2024-01-10 08:00:00+08"},
    {"location": "上海", "price": "—", "created_at": "2024-05"},
    {"status": "draft", "available": True},
    {"Published": 1, "状态": "在售"},
    {"is_open": 0, "price": "1.299 €"},
    {"barcode": 2**53 + 1, "description": "<p>a <b>b</b></p>"},
]


def test_a_value_means_the_same_by_a_request_a_batch_and_a_file(
    own_shop: Shop, serve: Serve, tmp_path: Any
) -> None:
    rows = [{"id": f"f{n}", "title": "Kettle", **form} for n, form in enumerate(FORMS)]
    read = [to_item(Row("a.jsonl", 1, row), keep_readable=True) for row in rows]
    expected = [item.fields for item in read if isinstance(item, Item)]
    with serve(own_shop) as client:
        for row in rows:
            assert client.put(f"/v1/items/{row['id']}", json=row).status_code == 200
        assert [client.get(f"/v1/items/{row['id']}").json() for row in rows] == expected
        for row in rows:
            assert client.patch(f"/v1/items/{row['id']}", json={"n": 1}).status_code == 200
        assert client.post("/v1/items", json={"items": rows}).status_code == 200
        assert [client.get(f"/v1/items/{row['id']}").json() for row in rows] == expected
    file = write_rows(tmp_path / "forms.jsonl", rows)
    build_index(file, own_shop.root, encoder=own_shop.encoder, force=True)
    with serve(own_shop) as client:
        assert [client.get(f"/v1/items/{row['id']}").json() for row in rows] == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [("price", "from 15.99"), ("rating", "great"), ("available", "maybe"), ("location", "91,0"),
     ("created_at", "05/04/2024"), ("created_at", 45321), ("tags", {"a": 1}),
     ("description", True)],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_field_and_value(
    own_shop: Shop, serve: Serve, field: str, value: Any
) -> None:
    with serve(own_shop) as client:
        body = {"title": "Kettle", field: value}
        for answer in (
            client.put("/v1/items/n1", json=body),
            client.patch("/v1/items/i0001", json={field: value}),
            client.post("/v1/items", json={"items": [{"id": "n2", "title": "A"}, body]}),
        ):
            detail = problem(answer, 422)
            assert field in detail or "items[1]: the item is refused: id is missing" in detail
        batch = {"items": [{"id": "n2", "title": "A"}, {"id": "n3", **body}]}
        detail = problem(client.post("/v1/items", json=batch), 422)
        assert detail.startswith(f"items[1]: the item is refused: {field}")
        assert client.get("/v1/items/n2").status_code == 404


def test_an_item_that_is_not_sold_is_told_and_recommended_once_it_is(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        body = {"title": "Tea house", "city": "Hangzhou", "状态": "下架"}
        answer = client.put("/v1/items/n1", json=body).json()
        assert answer["notes"] == ["状态 is '下架', so the item is not available"]
        filter_here = {"city": "Hangzhou"}
        assert ids_for(client, filter=filter_here) == []
        assert client.patch("/v1/items/n1", json={"状态": "在售"}).status_code == 200
        assert ids_for(client, filter=filter_here) == ["n1"]
        assert client.patch("/v1/items/n1", json={"is_open": False}).status_code == 200
        assert ids_for(client, filter=filter_here) == []


def test_a_place_name_kept_as_place_is_told(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        body = {"title": "Tea house", "location": "上海"}
        answer = client.put("/v1/items/n1", json=body).json()
        assert answer["notes"] == ["location is '上海', which is kept as place"]
        batch = {"items": [{"id": "n2", "title": "A"}, {"id": "n3", **body}]}
        told = client.post("/v1/items", json=batch).json()["notes"]
        assert told == ["items[1]: location is '上海', which is kept as place"]
        assert sorted(ids_for(client, filter={"place": "上海"})) == ["n1", "n3"]


@pytest.mark.parametrize(
    ("first", "patch", "expected", "gone"),
    [
        ({"price": "¥99"}, {"price": "$5"}, {"price": 5, "currency": "$"}, []),
        ({"price": "¥99"}, {"price": 5}, {"price": 5, "currency": "¥"}, []),
        ({"price": "¥99"}, {"price": "$5", "currency": "CAD"}, {"price": 5, "currency": "CAD"}, []),
        ({"price": {"amount": 9, "vat": 2}}, {"price": 5}, {"price": 5}, ["price_details"]),
        ({"available": 12}, {"available": 0}, {"available": False}, ["stock"]),
        ({"available": 12}, {"available": 7}, {"available": True, "stock": 7}, []),
        (
            {"rating": {"rate": 4, "count": 9, "by": "us"}},
            {"rating": {"rate": 3, "count": 5}},
            {"rating": 3, "rating_count": 5},
            ["rating_details"],
        ),
        ({"rating": {"rate": 4, "count": 9}}, {"rating": 3}, {"rating": 3, "rating_count": 9}, []),
        ({"rating": 4, "score": 7}, {"_score": 8}, {"rating": 4, "score": 8}, []),
        ({"price": "¥99"}, {"price": None}, {"currency": "¥"}, []),
        (
            {"lat": 1, "lon": 2},
            {"lat": 3},
            {"lat": 3, "lon": 2, "location": {"lat": 3, "lon": 2}},
            [],
        ),
        ({"lat": 1, "lon": 2}, {"location": None}, {}, ["lat", "lon"]),
        ({"location": "1,2", "long": "a text"}, {"long": "b"},
         {"location": {"lat": 1, "lon": 2}, "long": "b"}, []),
    ],
)  # fmt: skip
def test_a_patch_replaces_what_the_earlier_value_brought(
    own_shop: Shop,
    serve: Serve,
    first: dict[str, Any],
    patch: dict[str, Any],
    expected: dict[str, Any],
    gone: list[str],
) -> None:
    with serve(own_shop) as client:
        client.put("/v1/items/n1", json={"title": "Kettle", **first})
        answer = client.patch("/v1/items/n1", json=patch).json()
        notes = answer.pop("notes", [])
        assert answer == {"id": "n1", "title": "Kettle", **expected}
        assert [note.split()[0] for note in notes] == gone
        assert client.get("/v1/items/n1").json() == answer


def test_a_place_is_patched_as_it_was_put_and_told(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        client.put("/v1/items/n1", json={"title": "Tea house", "location": "上海", "notes": "mine"})
        answer = client.patch("/v1/items/n1", json={"location": "北京"}).json()
        told = ["location is '北京', which is kept as place"]
        own = {"id": "n1", "title": "Tea house", "place": "北京", "notes": "mine"}
        assert answer == {**own, "_notes": told}
        answer = client.patch("/v1/items/n1", json={"location": "31,121", "notes": None}).json()
        assert answer["location"] == {"lat": 31, "lon": 121}


def test_filters_of_live_items_know_elements_spellings_dates_and_long_numbers(
    own_shop: Shop, serve: Serve, tmp_path: Any
) -> None:
    items: list[dict[str, Any]] = [
        {"id": "a", "variants": [{"color": "red", "size": "S"}, {"color": "blue", "size": "L"}]},
        {"id": "b", "variants": [{"color": "red", "size": "L"}]},
        {"id": "c", "keywords": ["Cine\u0301ma", "懸疑"], "barcode": 2**53 + 1},
        {"id": "d", "keywords": ["悬疑"], "barcode": 2**53, "created_at": "2024-05"},
    ]
    rows = [{"title": f"盜夢空間 {item['id']}", **item} for item in items]
    questions: list[tuple[dict[str, Any], list[str]]] = [
        ({"variants": {"elem": {"color": "red", "size": "L"}}}, ["b"]),
        ({"variants.color": "red", "variants.size": "L"}, ["a", "b"]),
        ({"keywords": "Cin\u00e9ma"}, ["c"]),
        ({"keywords": "悬疑"}, ["c", "d"]),
        ({"keywords": "懸疑"}, ["c", "d"]),
        ({"barcode": 2**53 + 1}, ["c"]),
        ({"barcode": {"lte": 2**53}}, ["d"]),
        ({"created_at": {"gte": "2024-05-01"}}, ["d"]),
    ]
    with serve(own_shop) as client:
        assert client.post("/v1/items", json={"items": rows}).status_code == 200
        for condition, expected in questions:
            assert sorted(ids_for(client, filter=condition, k=500)) == expected, condition
        found = client.post("/v1/search", json={"query": "盗梦空间 b", "k": 1}).json()
        assert [hit["id"] for hit in found["items"]] == ["b"]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    build_index(file, own_shop.root, encoder=own_shop.encoder, force=True)
    with serve(own_shop) as client:
        for condition, expected in questions:
            assert sorted(ids_for(client, filter=condition, k=500)) == expected, condition
        found = client.post("/v1/search", json={"query": "盗梦空间 b", "k": 1}).json()
        assert [hit["id"] for hit in found["items"]] == ["b"]
        detail = problem(
            client.post("/v1/recommend", json={"filter": {"title": {"elem": {}}}}), 422
        )
        assert "'elem' needs a field with a list of objects" in detail


def test_markup_of_a_live_item_is_no_word_of_the_search(own_shop: Shop, serve: Serve) -> None:
    html = "<div class='strongbox'><strong>Lantern</strong>&nbsp;for a cave</div>"
    with serve(own_shop) as client:
        client.put("/v1/items/n1", json={"title": "Thing", "description": html})
        assert client.get("/v1/items/n1").json()["description"] == html
        first = client.post("/v1/search", json={"query": "lantern", "k": 1}).json()["items"][0]
        assert first["id"] == "n1"
        client.put("/v1/items/n2", json={"title": "Thing", "description": "Lantern for a cave"})
        for query in ("strongbox nbsp div", "strong", "lantern in a cave"):
            scores = {hit["id"]: hit["score"] for hit in _search(client, query)}
            assert scores["n1"] == pytest.approx(scores["n2"], abs=1e-6), query


def _search(client: Any, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.post(
        "/v1/search", json={"query": query, "k": 1_000}
    ).json()["items"]
    return found
