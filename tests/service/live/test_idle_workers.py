"""What a worker forgets though nobody asks it, and what it says when its model fails."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer import EncoderUnavailableError
from service import Settings, create_app
from service.live.items import LiveItems
from service.llm.config import LlmConfig
from tests.service.conftest import LOCAL, Serve, Shop, liked, problem, wait_until
from tests.service.llm.fake_endpoint import endpoint
from tests.service.llm.scripts import asking, obliging


def services_of(client: TestClient) -> Any:
    return client.app.state.services  # type: ignore[attr-defined]  # it is our application


def test_an_idle_worker_forgets_an_erased_user_soon(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(obliging) as running:
        monkeypatch.setattr(LlmConfig, "from_environment", lambda _: running.config)
        with serve(own_shop) as idle, serve(own_shop) as other:
            liked(other, "u1", "i0001", "i0002")
            assert idle.post("/v1/recommend", json={"user_id": "u1"}).status_code == 200
            idle.post("/v1/recommend", json=asking({"user_id": "u1", "k": 3}, rerank=True))
            states = services_of(idle).live_store.user_states
            queries = services_of(idle).pages.prepared_queries
            cache = services_of(idle).llm_client._cache
            assert [user for user, _ in states._states] == ["u1"]
            assert [user for user, _ in queries._kept] == ["u1"]
            assert len(cache._entries) == 1
            assert other.delete("/v1/users/u1").json()["erased_events"] == 2
            wait_until(lambda: not states._states and not queries._kept and not cache._entries)


@pytest.mark.parametrize("poll_s", [0.05, 600.0])
def test_a_service_is_ready_once_its_live_items_are_in_memory(
    own_shop: Shop, serve: Serve, secret_file: Path, monkeypatch: pytest.MonkeyPatch, poll_s: float
) -> None:
    with serve(own_shop) as client:
        assert client.put("/v1/items/n1", json={"title": "new"}).status_code == 200
    gate, load = threading.Event(), LiveItems.load_catalogue

    def load_late(*arguments: Any) -> Any:
        assert gate.wait(60)
        return load(*arguments)

    monkeypatch.setattr(LiveItems, "load_catalogue", load_late)
    app = create_app(
        Settings(own_shop.root, secret_file=secret_file, poll_s=poll_s), own_shop.encoder
    )
    with TestClient(app, LOCAL, raise_server_exceptions=False) as client:
        try:
            services = services_of(client)
            wait_until(lambda: services.active_index.status.has_model)
            assert "live items are being loaded" in problem(client.get("/health/ready"), 503)
            gate.set()
            wait_until(lambda: client.get("/health/ready").status_code == 200)
            index_id = services.active_index.status.snapshot
            assert services.live_store.items._loaded[index_id].catalogue.rows(["n1"])
        finally:
            gate.set()


@pytest.mark.parametrize("keys", [False, True])
def test_a_model_that_fails_is_said_to_fail_and_not_the_snapshot(
    own_shop: Shop, secret_file: Path, tmp_path: Path, monkeypatch: Any, *, keys: bool
) -> None:
    """The snapshot itself is sound, and serves whoever needs no text."""

    def fail(*_: Any, **__: Any) -> None:
        raise EncoderUnavailableError("its weights are gone")

    monkeypatch.setattr("indexer.index.snapshot_catalogue.load_encoder", fail)
    key_file = tmp_path / "keys.txt"
    key_file.write_text(f"read:{'0' * 64}\n")
    settings = Settings(own_shop.root, secret_file=secret_file, poll_s=0.05)
    app = create_app(replace(settings, api_key_file=key_file if keys else None))
    with TestClient(app, LOCAL, raise_server_exceptions=False) as client:
        status = services_of(client).active_index
        wait_until(lambda: status.status.error is not None)
        said = problem(client.get("/health/ready"), 503)
        assert "language model" in said
        assert "cannot be loaded" in said
        assert "cannot be opened" not in said
        assert "serving" not in said
        if not keys:
            assert f"of snapshot {status.status.snapshot} " in said
            assert "its weights are gone" in said
            likes = {"history": [{"item_id": "i0001", "event": "like"}]}
            assert len(client.post("/v1/recommend", json=likes).json()["items"]) == 10
