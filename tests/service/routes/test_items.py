"""The catalogue over HTTP: ids of any kind, filters, pages."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from service.routes import OPEN_ROUTERS, ROUTERS
from tests.service.conftest import STRANGE_IDS, Serve, Shop, problem, rebuild


def listed(client: TestClient, **params: Any) -> list[dict[str, Any]]:
    """All items of a listing, page by page."""
    found: list[dict[str, Any]] = []
    page = client.get("/v1/items", params=params).json()
    while True:
        found += page["items"]
        assert page["complete"]["returned"] == len(page["items"])
        if page["next_cursor"] is None:
            assert page["complete"]["eligible"] == len(page["items"])
            return found
        params = {"limit": params["limit"], "cursor": page["next_cursor"]}
        page = client.get("/v1/items", params=params).json()


@pytest.mark.parametrize("item_id", STRANGE_IDS)
def test_any_id_works_percent_encoded(client: TestClient, shop: Shop, item_id: str) -> None:
    encoded = quote(item_id, safe="")
    (row,) = [row for row in shop.rows if row["id"] == item_id]
    assert client.get(f"/v1/items/{encoded}").json() == row
    similar = client.get(f"/v1/items/{encoded}/similar", params={"k": 500}).json()
    assert similar["complete"]["excluded"]["requested"] == 1
    assert item_id not in [hit["id"] for hit in similar["items"]]


def test_a_plain_slash_in_an_id_works_too(client: TestClient) -> None:
    assert client.get("/v1/items/a/b").json()["id"] == "a/b"
    assert client.get("/v1/items/a/b/similar").status_code == 200
    # Unencoded, this asks for items similar to "a".
    assert "no item 'a'" in problem(client.get("/v1/items/a/similar"), 404)


@pytest.mark.parametrize("path", ["nowhere", "", "%E4%B8%8D", "x" * 2_000, "%00"])
def test_an_unknown_item_is_not_found(client: TestClient, path: str) -> None:
    assert "no item" in problem(client.get(f"/v1/items/{path}"), 404)


def test_an_id_that_is_not_utf8_is_malformed(client: TestClient) -> None:
    assert "UTF-8" in problem(client.get("/v1/items/%FF%FE"), 400)


def test_a_listing_is_the_catalogue_in_order_of_id(client: TestClient, shop: Shop) -> None:
    expected = sorted(shop.rows, key=lambda row: row["id"])
    assert listed(client, limit=100) == expected


def test_a_filtered_listing_is_what_passes(client: TestClient, shop: Shop) -> None:
    condition = {"tags": {"any": ["悬疑", "sea"]}, "rating": {"gte": 3}}
    expected = sorted(
        row["id"]
        for row in shop.rows
        if {"悬疑", "sea"} & set(row["tags"]) and row.get("rating", 0) >= 3
    )
    assert len(expected) > 50
    assert [r["id"] for r in listed(client, limit=7, filter=json.dumps(condition))] == expected


def test_a_listing_goes_on_after_a_swap(own_shop: Shop, serve: Serve, tmp_path: Path) -> None:
    ordered = sorted(row["id"] for row in own_shop.rows)
    with serve(own_shop) as client:
        first = client.get("/v1/items", params={"limit": 100}).json()
        kept = [row for row in own_shop.rows if row["id"] != ordered[99]]  # the last one shown
        rebuild(own_shop, kept, tmp_path)
        client.post("/v1/snapshots/reload")
        params = {"limit": 1000, "cursor": first["next_cursor"]}
        rest = client.get("/v1/items", params=params).json()
    assert [item["id"] for item in rest["items"]] == ordered[100:]


@pytest.mark.parametrize(
    ("params", "status", "said"),
    [
        ({"limit": 0}, 422, "limit"),
        ({"limit": 1001}, 422, "limit"),
        ({"limit": "many"}, 422, "limit"),
        ({"filter": "{"}, 422, "filter is not JSON"),
        ({"filter": "5"}, 422, "must be an object"),
        ({"filter": '{"titel": "x"}'}, 422, "did you mean 'title'"),
        ({"fitler": "{}"}, 422, "did you mean 'filter'"),
        ({"cursor": "made up"}, 400, "cursor"),
    ],
)
def test_bad_parameters_are_refused(
    client: TestClient, params: dict[str, Any], status: int, said: str
) -> None:
    assert said in problem(client.get("/v1/items", params=params), status)


@pytest.mark.parametrize("k", ["0", "1001", "x"])
def test_similar_takes_a_k_in_its_limits(client: TestClient, k: str) -> None:
    assert "k " in problem(client.get("/v1/items/i0001/similar", params={"k": k}), 422)


def test_the_schema_counts_what_the_rows_hold(client: TestClient, shop: Shop) -> None:
    schema = client.get("/v1/catalog/schema").json()
    fields = {field["name"]: field for field in schema["fields"]}
    assert schema["items"] == len(shop.rows)
    assert fields["rating"]["type"] == "number"
    assert fields["rating"]["present"] == sum("rating" in row for row in shop.rows)
    north = sum(row.get("brand") == "north" for row in shop.rows)
    assert ["north", north] in fields["brand"]["top_values"]


_WITH_IDS = ("/v1/items", "/v1/users", "/v1/events", "/v1/snapshots")


def list_words_of_paths() -> list[str]:
    """Every word of the paths that begin as those with ids do."""
    paths = [getattr(route, "path", "") for router in (*OPEN_ROUTERS, *ROUTERS)
             for route in router.routes]  # fmt: skip
    with_ids = [path for path in paths if path.startswith(_WITH_IDS)]
    words = {word for path in with_ids for word in path.split("/") if word and "{" not in word}
    return sorted(words | {"me", "null", "~"})


def test_no_id_is_hidden_by_a_word_of_a_path(own_shop: Shop, serve: Serve) -> None:
    words = list_words_of_paths()
    assert {"similar", "merge", "reload", "activate"} <= set(words)
    with serve(own_shop) as client:
        for word in words:
            path = f"/v1/items/{quote(word, safe='')}"
            assert client.put(path, json={"title": f"the {word}"}).status_code == 200, word
            assert client.patch(path, json={"rating": 4}).json()["rating"] == 4
            assert client.get(path).json() == {"id": word, "title": f"the {word}", "rating": 4}
            similar = client.get(f"{path}/similar").json()
            assert similar["complete"]["excluded"]["requested"] == 1
            event = {"user_id": word, "item_id": word, "event": "like", "event_id": word}
            assert client.post("/v1/events", json=event).json()["unknown_items"] == []
            user = f"/v1/users/{quote(word, safe='')}"
            assert client.put(user, json={"interests": ["jazz"]}).status_code == 200
            assert client.get(user).json()["seen"] == 1
            assert client.delete(f"/v1/events/{quote(word, safe='')}").status_code == 200
            assert client.delete(user).status_code == 200
            assert client.delete(path).status_code == 200
            assert f"no item {word!r}" in problem(client.get(path), 404)
