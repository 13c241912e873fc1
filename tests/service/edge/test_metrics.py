"""/metrics counts requests in Prometheus text, without ids or texts of clients in it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import Serve, Shop, problem, samples


@pytest.fixture
def own(serve: Serve, shop: Shop) -> Iterator[TestClient]:
    with serve(shop) as client:
        yield client


def test_requests_are_counted_by_route_and_status(own: TestClient) -> None:
    for _ in range(3):
        own.post("/v1/recommend", json={})
    own.post("/v1/recommend", json={"k": 0})
    own.get("/v1/items/i0001")
    own.get("/v1/items/a%2Fb")
    own.get("/v1/items/nobody-knows-me")
    own.get("/a/path/of/a/stranger")
    found = samples(own)
    name = "zhiyin_requests_total"
    assert found[f'{name}{{method="POST",route="/v1/recommend",status="200"}}'] == 3
    assert found[f'{name}{{method="POST",route="/v1/recommend",status="422"}}'] == 1
    items = "/v1/items/{item_id}"
    assert found[f'{name}{{method="GET",route="{items}",status="200"}}'] == 2
    assert found[f'{name}{{method="GET",route="{items}",status="404"}}'] == 1
    assert found[f'{name}{{method="none",route="none",status="404"}}'] == 1
    assert found['zhiyin_request_seconds_count{route="/v1/recommend"}'] == 4
    assert found['zhiyin_request_seconds_bucket{le="+Inf",route="/v1/recommend"}'] == 4
    assert "stranger" not in str(found)
    assert "nobody" not in str(found)


def test_metrics_name_the_snapshot_that_serves(own: TestClient, shop: Shop) -> None:
    snapshot = own.get("/health/ready").json()["snapshot"]
    found = samples(own)
    assert found[f'zhiyin_snapshot_info{{snapshot="{snapshot}"}}'] == 1
    assert found["zhiyin_snapshot_items"] == len(shop.rows)
    assert not any(name.startswith("zhiyin_llm") for name in found)


def test_it_needs_a_key_where_others_do(serve: Serve, shop: Shop, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"a key to read").hexdigest()
    (tmp_path / "keys").write_text(f"read:{digest}\n")
    with serve(shop, api_key_file=tmp_path / "keys") as client:
        problem(client.get("/metrics"), 401)
        headers = {"Authorization": "Bearer a key to read"}
        assert client.get("/metrics", headers=headers).status_code == 200
