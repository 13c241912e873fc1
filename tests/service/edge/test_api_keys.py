"""API keys and roles: which calls each may make."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from service import Settings, create_app
from service.edge.api_keys import ApiKeys
from service.settings import SettingsError
from service.websites import is_loopback_name
from tests.service.conftest import Serve, Shop, problem, wait_until


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(
        f"# our keys\nread:{sha256('reader')}\n\nwrite: {sha256('writer')}  # shop\n"
        f"admin:{sha256('钥匙')}\n"
    )
    return path


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": b"Bearer " + key.encode()}  # type: ignore[dict-item]  # not ASCII


def test_keys_and_their_roles(own_shop: Shop, serve: Serve, key_file: Path) -> None:
    with serve(own_shop, api_key_file=key_file) as client:
        for headers in ({}, {"Authorization": "Basic eDp5"}, bearer(""), bearer("unknown")):
            response = client.post("/v1/recommend", json={}, headers=headers)
            assert "key" in problem(response, 401)
            assert response.headers["www-authenticate"].startswith("Bearer")
        for key, status in (("reader", 403), ("writer", 403), ("钥匙", 200)):
            read = client.post("/v1/recommend", json={}, headers=bearer(key))
            assert read.status_code == 200
            assert client.get("/v1/snapshots", headers=bearer(key)).status_code == 200
            switch = client.post("/v1/snapshots/reload", headers=bearer(key))
            assert switch.status_code == status
        assert "role admin" in problem(
            client.post("/v1/snapshots/x/activate", headers=bearer("reader")), 403
        )


def test_the_key_is_checked_before_the_body_is_read(
    own_shop: Shop, serve: Serve, key_file: Path
) -> None:
    with serve(own_shop, api_key_file=key_file) as client:
        for content in (b"{", b" " * (2 << 20)):
            assert problem(client.post("/v1/recommend", content=content), 401)


def test_health_and_documentation_are_open(own_shop: Shop, serve: Serve, key_file: Path) -> None:
    with serve(own_shop, api_key_file=key_file) as client:
        for path in ("/health/live", "/health/ready", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200
        for path in ("/v1/items", "/v1/items/i0001", "/v1/catalog/schema", "/v1/snapshots"):
            assert problem(client.get(path), 401)


def test_without_a_key_health_tells_nothing_of_this_machine(
    own_shop: Shop, serve: Serve, key_file: Path
) -> None:
    with serve(own_shop, api_key_file=key_file) as client:
        (own_shop.root / "CURRENT").write_text("gone")

        def told(**more: Any) -> str:
            return str(client.get("/health/ready", **more).json()["detail"])

        wait_until(lambda: told() != "None")
        for answer in (told(), told(headers=bearer("unknown"))):
            assert "API key" in answer
            assert str(own_shop.root) not in answer
        assert str(own_shop.root) in told(headers=bearer("reader"))


def test_a_json_file_says_the_same(tmp_path: Path, key_file: Path) -> None:
    entries = [{"role": "read", "sha256": sha256("reader")}]
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(entries))
    assert ApiKeys.load(path).entries == ApiKeys.load(key_file).entries[:1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "read",
        "read:plain key",
        "root:" + "0" * 64,
        "read:00",
        "[1]",
        "{",
        "[{}]",
    ],
)
def test_a_bad_key_file_is_refused_without_showing_keys(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(SettingsError, match="keys") as caught:
        ApiKeys.load(path)
    assert "plain key" not in str(caught.value)


def test_without_keys_only_this_machine_may_connect(shop: Shop, tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org", ""):
        with pytest.raises(SettingsError, match="--api-key-file"):
            create_app(Settings(shop.root, host=host, secret_file=tmp_path / "s"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_addresses_are_known(host: str) -> None:
    assert is_loopback_name(host)
