"""Snapshots under a running service: noticed, activated, refused, rolled back."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer import Index, snapshot
from service import Settings, create_app
from service.live.active_index import ActiveIndex, IndexStatus
from tests.service.conftest import LOCAL, Serve, Shop, problem, rebuild, wait_until


def serving(client: TestClient) -> str:
    answer: str = client.post("/v1/recommend", json={"k": 1}).json()["snapshot"]
    return answer


def damage(root: Path, name: str) -> None:
    (root / "snapshots" / name / "index.faiss").write_bytes(b"")


def test_a_new_snapshot_is_noticed_by_itself(own_shop: Shop, serve: Serve, tmp_path: Path) -> None:
    with serve(own_shop) as client:
        old = serving(client)
        new = rebuild(own_shop, own_shop.rows[:100], tmp_path)
        assert new != old
        wait_until(lambda: serving(client) == new, seconds=5)
        assert client.post("/v1/recommend", json={}).json()["complete"]["eligible"] < 100


def test_a_damaged_new_snapshot_keeps_the_old_one_serving(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    with serve(own_shop, poll_s=3_600) as client:
        old = serving(client)
        new = rebuild(own_shop, own_shop.rows[:100], tmp_path)
        damage(own_shop.root, new)
        assert new in problem(client.post("/v1/snapshots/reload"), 409)
        assert serving(client) == old
    with serve(own_shop_at(own_shop, old)) as client:
        snapshot.make_current(own_shop.root, new)
        wait_until(lambda: new in str(client.get("/health/ready").json()["detail"]), seconds=5)
        ready = client.get("/health/ready").json()
        assert ready["snapshot"] == old == serving(client)
        assert f"serving {old}" in ready["detail"]
        listing = client.get("/v1/snapshots").json()["snapshots"]
        assert [(one["id"], one["live"]) for one in listing] == [(new, False), (old, True)]
        snapshot.make_current(own_shop.root, old)
        wait_until(lambda: client.get("/health/ready").json()["detail"] is None, seconds=5)


def own_shop_at(shop: Shop, name: str) -> Shop:
    """The same directory with another live snapshot."""
    snapshot.make_current(shop.root, name)
    return shop


def test_a_snapshot_that_was_still_being_copied_is_tried_again(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    with serve(own_shop, poll_s=3_600) as client:
        old = serving(client)
        new = rebuild(own_shop, own_shop.rows[:100], tmp_path)
    whole = (own_shop.root / "snapshots" / new / "index.faiss").read_bytes()
    with serve(own_shop_at(own_shop, old), retry_s=0.2) as client:
        damage(own_shop.root, new)
        snapshot.make_current(own_shop.root, new)
        wait_until(lambda: client.get("/health/ready").json()["detail"] is not None, seconds=5)
        (own_shop.root / "snapshots" / new / "index.faiss").write_bytes(whole)
        wait_until(lambda: serving(client) == new, seconds=5)


def test_activate_rolls_back_here_and_for_good(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    with serve(own_shop) as client:
        old = serving(client)
        new = rebuild(own_shop, own_shop.rows[:100], tmp_path)
        assert client.post("/v1/snapshots/reload").json()["snapshot"] == new
        answer = client.post(f"/v1/snapshots/{old}/activate").json()
        assert answer == {"snapshot": old, "changed": True}
        time.sleep(0.2)  # a few looks at the directory
        assert serving(client) == old == snapshot.read_current_id(own_shop.root)
        assert client.post("/v1/snapshots/reload").json() == {"snapshot": old, "changed": False}


def test_a_snapshot_that_cannot_serve_is_not_activated(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    with serve(own_shop) as client:
        old = serving(client)
        broken = old.replace("2", "1", 1)
        shutil.copytree(own_shop.root / "snapshots" / old, own_shop.root / "snapshots" / broken)
        (own_shop.root / "snapshots" / broken / "manifest.json").write_text("{}")
        for name in ("nowhere", "..", "%2e%2e%2fx", ".hidden"):
            assert problem(client.post(f"/v1/snapshots/{name}/activate"), 404)
        assert "damaged" in problem(client.post(f"/v1/snapshots/{broken}/activate"), 409)
        assert serving(client) == old == snapshot.read_current_id(own_shop.root)
        listing = client.get("/v1/snapshots").json()["snapshots"]
        assert ["damaged" in str(one["error"]) for one in listing] == [False, True]


def test_a_read_only_directory_says_so(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("service.live.active_index.make_current", refuse)
    with serve(own_shop) as client:
        response = client.post(f"/v1/snapshots/{serving(client)}/activate")
        assert "Read-only file system" in problem(response, 409)
        assert client.post("/v1/recommend", json={}).status_code == 200


def test_until_a_snapshot_is_open_the_service_lives_but_is_not_ready(
    own_shop: Shop, tmp_path: Path
) -> None:
    settings = Settings(tmp_path / "empty", secret_file=tmp_path / "s", poll_s=0.05, retry_s=0.05)
    with TestClient(create_app(settings, own_shop.encoder), LOCAL) as client:
        assert client.get("/health/live").json() == {"status": "alive"}
        for call in (client.get("/health/ready"), client.post("/v1/recommend", json={})):
            assert problem(call, 503)
            assert int(call.headers["retry-after"]) > 0
        shutil.copytree(own_shop.root, tmp_path / "empty")
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert client.post("/v1/recommend", json={}).status_code == 200


def test_requests_keep_the_index_they_started_with(own_shop: Shop, tmp_path: Path) -> None:
    shell = ActiveIndex(own_shop.root, encoder=own_shop.encoder, poll_s=3_600, retry_s=1)
    shell.start()
    wait_until(lambda: shell.status.snapshot is not None)
    closed: list[Index] = []
    with shell.borrow() as first, shell.borrow() as again:
        assert first is again
        first.close = lambda: closed.append(first)  # type: ignore[method-assign]  # a spy
        rebuild(own_shop, own_shop.rows[:50], tmp_path)
        shell.reload()
        with shell.borrow() as second:
            assert len(second) == 50
        assert len(first.recommend(query="sea", k=5)) == 5
        assert closed == []
    assert closed == [first]
    shell.close()


def test_a_service_stays_ready_while_the_next_snapshot_takes_over(
    own_shop: Shop, tmp_path: Path
) -> None:
    statuses: list[IndexStatus] = []
    shell = ActiveIndex(
        own_shop.root,
        encoder=own_shop.encoder,
        poll_s=3_600,
        retry_s=1,
        continue_after=lambda _: statuses.append(shell.status),  # the next one has its model now
    )
    shell.start()
    wait_until(lambda: shell.status.has_model)
    first = shell.status.snapshot
    rebuild(own_shop, own_shop.rows[:50], tmp_path)
    second = shell.reload()
    assert statuses[-1] == IndexStatus(first, None, has_model=True)
    assert shell.status == IndexStatus(second, None, has_model=True)
    shell.close()


def test_swaps_under_load_fail_no_request(own_shop: Shop, serve: Serve, tmp_path: Path) -> None:
    failures: list[str] = []
    stop = threading.Event()

    def ask(client: TestClient) -> None:
        while not stop.is_set():
            response = client.post("/v1/recommend", json={"query": "sea", "k": 20})
            if response.status_code != 200 or len(response.json()["items"]) != 20:
                failures.append(response.text)

    with serve(own_shop, poll_s=3_600) as client:
        names = [serving(client), rebuild(own_shop, own_shop.rows[:200], tmp_path)]
        callers = [threading.Thread(target=ask, args=(client,)) for _ in range(4)]
        for caller in callers:
            caller.start()
        for turn in range(6):
            response = client.post(f"/v1/snapshots/{names[turn % 2]}/activate")
            assert response.status_code == 200, response.text
        stop.set()
        for caller in callers:
            caller.join()
    assert failures == []


@pytest.mark.parametrize("route", ["reload", "nowhere/activate"])
def test_switching_takes_no_get(own_shop: Shop, serve: Serve, route: str) -> None:
    with serve(own_shop) as client:
        assert problem(client.get(f"/v1/snapshots/{route}"), 405)


def test_a_catalogue_damaged_while_it_serves_is_reported_in_a_sentence(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        assert client.get("/v1/items/i0001").status_code == 200
        file = own_shop.root / "snapshots" / serving(client) / "catalog.sqlite"
        file.write_bytes(b"\xa5" * file.stat().st_size)
        for number in range(3, 9):
            asked = client.post("/v1/recommend", json={"query": f"ghost {number}", "k": 5})
            told = problem(asked, 500)
            assert told.startswith("a file of the served snapshot cannot be read")
            assert told.endswith("roll back with zhiyin snapshots, or rebuild the index")
