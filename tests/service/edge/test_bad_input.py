"""Malformed and hostile requests: every route answers with a list or with a problem."""

import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.service.conftest import Serve, Shop, problem

JSON = {"Content-Type": "application/json"}
BIG = 2**64 - 1  # the largest whole number that JSON parsers agree upon


def routes(client: TestClient) -> Iterator[tuple[str, str, bool]]:
    """Method, a path with ids in it, and whether it takes a body."""
    assert isinstance(client.app, FastAPI)
    for path, methods in client.app.openapi()["paths"].items():
        known = path.replace("{item_id}", "i0001").replace("{snapshot_id}", "none")
        for method, told in methods.items():
            filled = known.replace("{user_id}", "u1").replace("{event_id}", "e1")
            yield method.upper(), filled, "requestBody" in told


def nested(depth: int, *, name: str = "not") -> str:
    return f'{{"{name}": ' * depth + "{}" + "}" * depth


BODIES = [
    b"\xff\xfe{}",
    b'{"query": "\xc3\x28"}',
    b'{"query": "\\ud83d"}',
    b'{"at": NaN}', b'{"k": Infinity}', b'{"k": -Infinity}', b'{"k": 1e400}',
    b'{"k": 5, "k": "x"}', b'{"k": "x", "k": 5}', b'{"event": "like", "event": "disliek"}',
    b'{"\\u0000": 1}', b'{"query": "a\\u0000b"}', b'{"user_id": "a\\u0000b"}',
    b"[" * 5_000 + b"]" * 5_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"filter": ' + nested(200).encode() + b"}",
    b'{"filter": ' + nested(1_000).encode() + b"}",
    b'{"filter": {"and": [' + b'{"rating": 1},' * 20_000 + b'{"rating": 1}]}}',
    b'{"context": ' + nested(500, name="place").encode() + b"}",
    b'{"title": "deep", "more": ' + b"[" * 60 + b"]" * 60 + b"}",
    b'{"title": "deep", "more": ' + b"[" * 400 + b"]" * 400 + b"}",
    b'{"items": [{"id": "n", "title": "x", "more": ' + b"[" * 900 + b"]" * 900 + b"}]}",
    json.dumps({"k": BIG, "seed": BIG, "user_id": BIG, "value": BIG}).encode(),
    json.dumps({"seed": BIG}).encode(),
    json.dumps({"user_id": BIG, "item_id": -(2**63), "event": "like", "value": BIG}).encode(),
    json.dumps({"user_id": "u", "item_id": "i", "event": "like", "at": BIG}).encode(),
    json.dumps({"user_id": "u", "item_id": "i", "event": "like", "at": -1e15}).encode(),
    json.dumps({"user_id": "u", "item_id": "i", "event": "like", "at": 1e-310}).encode(),
    json.dumps({"filter": {"rating": {"gte": BIG}}}).encode(),
    json.dumps({"filter": {"rating": 10**300}}).encode(),
    json.dumps({"title": "big", "rating": BIG, "price": -BIG, "n": [BIG, 1.7e308]}).encode(),
    json.dumps({"items": {"i0001": BIG}, "texts": {"sea": -1e308}}).encode(),
    json.dumps({"items": {"i0001": 1e308, "i0002": 1e308}}).encode(),
    json.dumps({"interests": ["\u202e\ufffe\ud7ff" * 100, "\U0010ffff"]}).encode(),
    json.dumps({"from": "\x00", "into": "u"}).encode(),
    json.dumps({"title": "\x00", "tags": ["\x01"]}).encode(),
    json.dumps({"vector": [1e308] * 32, "title": "x"}).encode(),
    json.dumps({"vector": [], "title": "x"}).encode(),
    json.dumps({"location": {"lat": 1e308, "lon": 0}, "title": "x"}).encode(),
    json.dumps({"created_at": BIG, "title": "x"}).encode(),
    json.dumps({"weights": {"meaning": 1e308}, "query": "sea"}).encode(),
    json.dumps({"boost": [{"filter": {}, "weight": 1e308}]}).encode(),
    json.dumps({"max_per": {"brand": BIG}}).encode(),
    json.dumps({"context": {"time": 1e18}}).encode(),
    json.dumps({"context": {"place": {"lat": BIG, "lon": 0}}}).encode(),
    json.dumps({"x" * 100_000: 1}).encode(),
]  # fmt: skip


def check(client: TestClient, method: str, path: str, content: bytes) -> None:
    response = client.request(method, path, content=content, headers=JSON)
    if response.status_code != 200:
        assert 400 <= response.status_code < 500, (method, path, content[:80], response.text)
        problem(response, response.status_code)


@pytest.fixture
def own_client(own_shop: Shop, serve: Serve) -> Iterator[TestClient]:
    with serve(own_shop) as client:
        yield client


def test_no_body_breaks_any_route(own_client: TestClient) -> None:
    for method, path, takes_body in routes(own_client):
        for content in BODIES if takes_body else BODIES[:2]:
            check(own_client, method, path, content)
    for body in ({}, {"user_id": "u"}, {"query": "sea", "k": 500}, {"user_id": BIG}):
        assert own_client.post("/v1/recommend", json=body).status_code == 200
    listed = own_client.get("/v1/items", params={"limit": 1_000}).json()
    assert listed["complete"]["returned"] == listed["complete"]["eligible"]
    for item in listed["items"]:
        if item["title"] in ("deep", "big", "x"):
            assert own_client.patch(f"/v1/items/{item['id']}", json={"seen": 1}).status_code == 200


def test_no_path_or_query_breaks_any_route(own_client: TestClient) -> None:
    strange = ["%FF", "%00", "%ED%A0%80", "a" * 5_000, "%2F", "..%2F..", "%F4%8F%BF%BF", "x%0Ay"]
    for part in strange:
        for path in ("/v1/items/", "/v1/users/", "/v1/events/", "/v1/snapshots/"):
            for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
                check(own_client, method, path + part, b"{}")
        check(own_client, "GET", f"/v1/items/{part}/similar", b"")
        check(own_client, "POST", f"/v1/snapshots/{part}/activate", b"")
        for query in ("filter", "cursor", "k", "limit", "scenario", "nonsense"):
            for path in ("/v1/items", "/v1/trending", "/v1/items/i0001/similar"):
                check(own_client, "GET", f"{path}?{query}={part}", b"")


def test_every_route_with_a_body_wants_json(own_client: TestClient) -> None:
    for method, path, takes_body in routes(own_client):
        if not takes_body:
            continue
        for kind in ("text/plain", "multipart/form-data; boundary=x", "", "application/jsonx"):
            response = own_client.request(
                method, path, content=b"{}", headers={"Content-Type": kind}
            )
            assert "Content-Type: application/json" in problem(response, 400)


def test_head_is_answered_like_get_without_a_body_and_options_names_the_methods(
    own_client: TestClient,
) -> None:
    taken: dict[str, set[str]] = {}
    for method, path, _ in routes(own_client):
        taken.setdefault(path, set()).add(method)
    for path, methods in taken.items():
        head, get = own_client.head(path), own_client.get(path)
        assert head.status_code == get.status_code, path
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.content == b""
        options = own_client.options(path)
        assert problem(options, 405)
        assert methods <= set(options.headers["allow"].split(", ")), path


def test_what_ends_in_similar_is_no_item_unless_its_slash_is_encoded(
    own_client: TestClient,
) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        response = own_client.request(method, "/v1/items/i0001/similar", json={"title": "x"})
        assert "use GET" in problem(response, 405)
    assert own_client.put("/v1/items/b%2Fsimilar", json={"title": "x"}).status_code == 200
    assert own_client.get("/v1/items/b%2Fsimilar").json()["title"] == "x"
