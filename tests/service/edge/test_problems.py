"""Every error response is a problem (RFC 9457) whose sentence says what to do."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from indexer import EncoderUnavailableError, SnapshotError
from service.answering import pages
from tests.service.conftest import problem

JSON = {"Content-Type": "application/json"}


def refused(client: TestClient, body: dict[str, Any], path: str = "/v1/recommend") -> str:
    return problem(client.post(path, json=body), 422)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"k": 0}, "k must be a whole number from 1 to 1000"),
        ({"k": 1001}, "k must be a whole number from 1 to 1000"),
        ({"k": 10**30}, "k must be"),
        ({"k": True}, "k must be"),
        ({"k": "10"}, "k must be"),
        ({"query": "x" * 10_001}, "query has 10001 characters"),
        ({"interests": ["ok", "雨" * 10_001]}, "interests[1] has 10001 characters"),
        ({"history": ["i0001"] * 1_001}, "history has 1001 entries"),
        ({"history": [{"itemid": "i0001"}]}, "did you mean 'item_id'"),
        ({"history": [{}]}, "neither item_id nor text"),
        ({"history": {"item_id": "i0001"}}, "history must be a list"),
        ({"exclude": ["x"] * 1_001}, "exclude has 1001 entries"),
        ({"scenario": "vidoe"}, "did you mean 'video'"),
        ({"context": {"time": "yesterday"}}, "is not a time"),
        ({"at": "noon"}, "is not a time"),
        ({"weights": {"meanin": 1}}, "did you mean 'meaning'"),
        ({"min_score": "high"}, "min_score must be"),
        ({"include_seen": "no"}, "include_seen must be true or false"),
        ({"fields": "title"}, "fields must be a list"),
        ({"fields": ["id", "titel"]}, "fields has an unknown field 'titel'; did you mean 'title'?"),
        ({"filter": {"ratng": 4}}, "did you mean 'rating'"),
        ({"filter": {"rating": {"gte": "four"}}}, "rating"),
        ({"filter": []}, "a filter must be an object"),
        ({"intrests": ["x"]}, "unknown field 'intrests'; did you mean 'interests'?"),
        ({"x" * 5_000: 1}, "unknown field"),
    ],
)
def test_a_value_that_does_not_fit_is_named(
    client: TestClient, body: dict[str, Any], said: str
) -> None:
    detail = refused(client, body)
    assert said in detail
    assert len(detail) < 600


def test_limits_are_inclusive(client: TestClient) -> None:
    for body in (
        {"k": 1000},
        {"query": "x" * 10_000},
        {"query": "  " + "x" * 10_000 + "\n"},
        {"history": ["i0001"] * 1_000},
        {"query": "   "},
    ):
        assert client.post("/v1/recommend", json=body).status_code == 200


def test_a_search_without_words_is_refused(client: TestClient) -> None:
    for body in ({}, {"query": ""}, {"query": " \n"}, {"query": None}):
        assert "query is empty" in refused(client, body, "/v1/search")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"min_score": NaN}', "not JSON"),
        (b'{"min_score": Infinity}', "not JSON"),
        (b'{"min_score": 1e999}', "not JSON"),
        (b'{"query": "\xff\xfe"}', "not JSON"),
        (b'{"query": "\\ud800"}', "not JSON"),
        ('{"query": "电影"}'.encode("gb18030"), "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_body_that_is_not_json_is_refused_with_400(
    client: TestClient, content: bytes, said: str
) -> None:
    assert said in problem(client.post("/v1/recommend", content=content, headers=JSON), 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_another_content_type_is_malformed(client: TestClient, kind: str) -> None:
    response = client.post("/v1/recommend", content=b"{}", headers={"Content-Type": kind})
    assert "Content-Type: application/json" in problem(response, 400)
    assert problem(client.post("/v1/recommend", content=b"{}"), 400)


def test_json_of_a_vendor_or_with_a_charset_is_read(client: TestClient) -> None:
    for kind in ("application/json; charset=utf-8", "application/vnd.x+json", "Application/JSON"):
        headers = {"Content-Type": kind}
        assert client.post("/v1/recommend", content=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize("content", ["[]", '"text"', "5", "null", "true"])
def test_json_that_is_no_object_is_refused(client: TestClient, content: str) -> None:
    response = client.post("/v1/recommend", content=content, headers=JSON)
    assert "JSON object" in problem(response, 422)


def test_a_body_over_one_mebibyte_is_too_large(client: TestClient) -> None:
    largest = json.dumps({"query": "sea"}).encode().ljust(1 << 20)
    assert client.post("/v1/recommend", content=largest, headers=JSON).status_code == 200
    response = client.post("/v1/recommend", content=largest + b" ", headers=JSON)
    assert "1 MiB" in problem(response, 413)


def test_a_chunked_body_is_counted_while_it_is_read(client: TestClient) -> None:
    sent = []

    def chunks() -> Iterator[bytes]:
        for number in range(64):
            sent.append(number)
            yield b" " * (1 << 16)

    assert problem(client.post("/v1/recommend", content=chunks(), headers=JSON), 413)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("POST", "/v1/recommend/"),
        ("GET", "/v1/不存在"),
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, method: str, path: str) -> None:
    assert "/docs" in problem(client.request(method, path), 404)


def test_a_wrong_method_is_refused_with_the_right_ones(client: TestClient) -> None:
    response = client.get("/v1/recommend")
    assert "use POST" in problem(response, 405)
    assert response.headers["allow"] == "POST"
    assert problem(client.delete("/v1/recommend"), 405)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("secret /inside/path.py"), 500),
        (SnapshotError("secret /inside/path.py is damaged"), 500),
        (EncoderUnavailableError("secret model"), 503),
    ],
)
def test_a_fault_of_the_service_tells_nothing_of_its_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(pages, "list_items", fail)
    response = client.get("/v1/items")
    assert "log" in problem(response, status)
    assert "secret" not in response.text
    assert ("retry-after" in response.headers) == (status == 503)


def test_the_documentation_names_every_call_and_field(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200
    described = client.get("/openapi.json").json()
    assert isinstance(client.app, FastAPI)
    assert set(described["paths"]) == {
        "/health/live", "/health/ready", "/v1/recommend", "/v1/recommend/batch", "/v1/search",
        "/v1/similar", "/v1/items", "/v1/items/{item_id}", "/v1/items/{item_id}/similar",
        "/v1/catalog/schema", "/v1/snapshots", "/v1/snapshots/reload",
        "/v1/snapshots/{snapshot_id}/activate", "/v1/events", "/v1/events/{event_id}",
        "/v1/users/{user_id}", "/v1/users/merge", "/v1/trending", "/v1/recommend/stream",
        "/metrics",
    }  # fmt: skip
    fields = described["components"]["schemas"]["RecommendIn"]["properties"]
    assert set(fields) == {
        "user_id", "session_id", "k", "scenario", "history", "interests", "query", "context", "at",
        "filter", "exclude", "include_seen", "min_score", "seed", "weights", "fields", "explain",
        "cursor", "diversity", "max_per", "boost", "pin", "explore", "validate_only", "llm",
        "read_wish",
    }  # fmt: skip
