"""The short way answers as FastAPI's way does, byte by byte, and both are counted once."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import Serve, Shop, problem, samples

JSON = {"Content-Type": "application/json"}
PATHS = ("/v1/recommend", "/v1/search", "/v1/similar", "/v1/events")
BODIES = [
    b"", b" ", b"null", b"[]", b"7", b'"text"', b"{", b'{"k": NaN}', b"\xff", b"{}",
    b'{"kk": 1}', b'{"k": 0}', b'{"k": "3"}', b'{"cursor": 7}', b'{"cursor": null, "k": 0}',
    b'{"cursor": "made up"}', b'{"query": 5}', b'{"items": []}', b'{"events": {}}',
    b'{"event": "like"}', b'{"user_id": "u", "item_id": "i0001", "event": "lik"}',
    b'{"filter": {"no such": 1}, "query": "sea"}', b"[" * 70 + b"]" * 70,
    b'{"a": ' * 70 + b"1" + b"}" * 70, b'{"query": "' + b"x" * (1 << 20) + b'"}',
    b'{"llm": {"no": 1}}', b'{"validate_only": 3}',
]  # fmt: skip


@pytest.fixture
def both(shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TestClient]]:
    """A service that has the short way, and one that has not."""
    with serve(shop) as short:
        monkeypatch.setattr("service.app.HOT_POSTS", ())
        monkeypatch.setattr("service.app.HOT_GETS", ())
        with serve(shop) as long:
            yield [short, long]


def told(response: Any) -> Any:
    """What does not change from call to call."""
    if response.status_code == 200:
        body = response.json()
        for name in ("recommendation_id", "timing_ms", "next_cursor"):
            body.pop(name, None)
        return response.headers["content-type"], body
    return response.status_code, dict(response.headers), response.content


def test_every_body_is_answered_alike(both: list[TestClient]) -> None:
    for path in PATHS:
        for body in BODIES:
            short, long = (told(each.post(path, content=body, headers=JSON)) for each in both)
            assert short == long, (path, body[:60])


def test_other_content_types_and_announced_lengths_are_refused_alike(
    both: list[TestClient],
) -> None:
    for headers in (
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "application/vnd.api+json"},
        {**JSON, "Content-Length": "99999999"},
    ):
        short, long = (told(each.post(PATHS[0], content=b"{}", headers=headers)) for each in both)
        assert short == long, headers


def test_items_and_paths_beside_them_are_answered_alike(both: list[TestClient]) -> None:
    for path in (
        "i0001", "nobody", "", "a%2Fb", "a/b", "i0001/similar", "similar", "a%2Fsimilar", "%ff",
        "i0001?x=1", "q?x#y&z=1", "+plus+", "中文 电影%2F第2部",
    ):  # fmt: skip
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            short, long = (told(each.request(method, f"/v1/items/{path}"))
                           if method != "HEAD" else each.head(f"/v1/items/{path}").status_code
                           for each in both)  # fmt: skip
            assert short == long, (method, path)


def test_other_methods_and_neighbours_are_answered_alike(both: list[TestClient]) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        for path in (*PATHS, "/v1/recommend/", "/v1/recommend/batch"):
            responses = [each.request(method, path) for each in both]
            assert responses[0].status_code == responses[1].status_code
            assert responses[0].content == responses[1].content


def test_keys_are_checked_before_the_body_is_read(shop: Shop, serve: Serve, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"a key to read").hexdigest()
    (tmp_path / "keys").write_text(f"read:{digest}\n")
    with serve(shop, api_key_file=tmp_path / "keys") as client:
        problem(client.post(PATHS[0], content=b"no json"), 401)
        problem(client.get("/v1/items/i0001"), 401)
        headers = {**JSON, "Authorization": "Bearer a key to read"}
        assert client.post(PATHS[0], content=b"{}", headers=headers).status_code == 200
        assert client.get("/v1/items/i0001", headers=headers).status_code == 200
        problem(client.post("/v1/events", content=b"no json", headers=headers), 403)


def test_each_request_is_counted_once_whichever_way_it_goes(both: list[TestClient]) -> None:
    counted = []
    for client in both:
        client.post(PATHS[0], json={})
        client.post(PATHS[0], json={"kk": 1})
        client.post(PATHS[0], json={"k": 0})
        client.get("/v1/items/i0001")
        client.get("/v1/items/a%2Fb")
        counted.append(
            {n: v for n, v in samples(client).items() if ',route="/v1' in n and "bucket" not in n}
        )
    assert counted[0] == counted[1]
    assert sum(n for name, n in counted[0].items() if "/v1/items" in name) == 2
    assert sum(n for name, n in counted[0].items() if "/v1/recommend" in name) == 3
