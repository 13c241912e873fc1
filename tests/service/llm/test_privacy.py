"""Users who asked a language model and are erased: in no byte of any file, log or cache."""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer import build_index
from service.edge import load_secret
from service.store.database import LiveDatabase
from service.store.rebuild_changes import cache_live_vectors, read_changes
from tests.oracle import write_rows
from tests.service.conftest import Shop
from tests.service.llm.conftest import served
from tests.service.llm.fake_endpoint import Reply, endpoint, part_of, said
from tests.service.llm.scripts import asking, obliging

USERS, GONE = range(12), range(0, 12, 2)
PARTS = {"understand": True, "generate": True, "rerank": True, "explain": True}


def marks_of(user: int) -> list[str]:
    """What only this user has said or is called."""
    return [f"person-{user:03d}-爱", f"«{user:03d}»", f"act-{user:03d}"]


def quoting(body: dict[str, Any]) -> Reply:
    """Say what the user has said, well for some, and as nonsense or a fault for others."""
    told = json.dumps(body["messages"], ensure_ascii=False)
    user = next((user for user in USERS if f"«{user:03d}»" in told), None)
    if user is None:
        return obliging(body)
    quote, part = f"«{user:03d}» wants a quiet sea", part_of(body)
    if part == "generate":
        return said(ideal=quote)
    if part == "explain":
        return said(sentence=quote)
    if part == "understand":
        return said(query=quote, filter=[], context=[], scenario="")
    faults = (Reply(f"no JSON, but {quote}"), Reply(f"refused: {quote}", status=500))
    return faults[user % 3] if user % 3 < 2 else obliging(body)


def ask_everything(client: TestClient, user: int) -> None:
    name, text = f"person-{user:03d}-爱", f"«{user:03d}» quiet sea"
    events = [
        {"user_id": name, "event": "search", "text": text, "event_id": f"act-{user:03d}"},
        {"user_id": name, "event": "review", "item_id": "i0003", "text": text},
        {"user_id": name, "event": "like", "item_id": "i0001"},
    ]
    assert client.post("/v1/events", json={"events": events}).status_code == 200
    assert client.put(f"/v1/users/{name}", json={"interests": [text]}).status_code == 200
    for body in ({"user_id": name, "k": 3}, {"user_id": name, "k": 3, "query": text}):
        for path in ("recommend", "recommend/stream"):
            assert client.post(f"/v1/{path}", json=asking(body, **PARTS)).status_code == 200


def rebuild(shop: Shop, folder: Path, secret: str) -> None:
    database = LiveDatabase.open(f"sqlite:///{shop.root / 'live.sqlite'}")
    found, changes = read_changes(database, secret, now=time.time())
    cache_live_vectors(shop.root, changes)
    rows = [
        {"user_id": e.user_id, "item_id": e.item_id, "event": e.event, "text": e.text}
        for e in found.events
        if e.item_id and not found.is_erased(e)
    ]
    build_index(
        write_rows(folder / "again.jsonl", shop.rows),
        shop.root,
        encoder=shop.encoder,
        interactions=write_rows(folder / "events.jsonl", rows),
        changes=found.items,
        applied_seq=found.applied_seq,
    )
    (folder / "events.jsonl").unlink()  # the operator's own file
    database.close()


def find_users(folder: Path, copy: Path) -> dict[str, set[int]]:
    """Which users are in which file, of copies that a child makes."""
    subprocess.run(["cp", "-r", str(folder), str(copy)], check=True)
    return {
        str(file.relative_to(copy)): {
            user
            for user in USERS
            if any(mark.encode() in file.read_bytes() for mark in marks_of(user))
        }
        for file in copy.rglob("*")
        if file.is_file()
    }


def test_what_a_model_was_told_and_said_of_erased_users_is_kept_nowhere(
    own_shop: Shop,
    secret_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = own_shop.root.parent / "place"
    place.mkdir()
    own_shop.root.rename(place / "index")
    shop = Shop(own_shop.rows, place / "index", own_shop.world, own_shop.encoder)
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "TMPDIR"):
        (place / variable).mkdir()
        monkeypatch.setenv(variable, str(place / variable))
    monkeypatch.setattr(tempfile, "tempdir", None)
    secret = load_secret(secret_file, {})
    with endpoint(quoting) as running, served(shop, secret_file, running.config) as client:
        for user in USERS:
            ask_everything(client, user)
        told = json.dumps(running.calls, ensure_ascii=False)
        assert all(f"«{user:03d}»" in told for user in USERS)
        assert not any(mark in told for user in USERS for mark in marks_of(user)[::2])  # no ids
        rebuild(shop, tmp_path, secret)
        before = find_users(place, tmp_path / "before")
        assert {name.split("-")[0] for name, users in before.items() if users} == {
            "index/live.sqlite"
        }
        for user in GONE:
            erased = client.delete(f"/v1/users/person-{user:03d}-爱").json()
            assert erased["erased_events"] == 3
        assert not client.app.state.services.llm_client._cache._entries  # type: ignore[attr-defined]
        rebuild(shop, tmp_path, secret)
        after = find_users(place, tmp_path / "after")
        assert {name: users & set(GONE) for name, users in after.items() if users & set(GONE)} == {}
        assert set().union(*after.values()) == set(USERS) - set(GONE)
    assert not [user for user in USERS if any(mark in caplog.text for mark in marks_of(user))]
