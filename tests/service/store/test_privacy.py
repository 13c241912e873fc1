"""A hundred of four hundred users erased, and a rebuild: they are in no byte of any file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.oracle import write_rows
from tests.paths import REPOSITORY
from tests.service.conftest import running

USERS, GONE = 400, 100
pytestmark = pytest.mark.slow


def name_of(user: int) -> str:
    return f"person-{user:03d}-爱"


def marks_of(user: int) -> list[bytes]:
    """What only this user has said or is called: an id, a session, a text, an event id."""
    return [
        text.encode()
        for text in (name_of(user), f"device-{user:03d}", f"<{user:03d} says>", f"act-{user:03d}")
    ]


def events_of(user: int) -> Iterator[dict[str, Any]]:
    """First anonymous, then signed in; searches, reviews, likes and a misspelt circumstance."""
    device, said = f"device-{user:03d}", f"<{user:03d} says> 想看太空题材"
    for number in range(3):
        item = f"v{(user + number) % 20}"
        yield {"session_id": device, "item_id": item, "event": "view"}
        yield {
            "event_id": f"act-{user:03d}-{number}",
            "user_id": name_of(user),
            "session_id": device,
            "item_id": item,
            "event": "review",
            "text": f"{said} {number}",
            "context": {"mood": f"<{user:03d} says>"},
        }
    yield {"user_id": name_of(user), "event": "search", "text": said}


def post_everything(client: httpx.Client) -> None:
    for first in range(0, USERS, 100):
        events = [event for user in range(first, first + 100) for event in events_of(user)]
        client.post("/v1/events", json={"events": events}).raise_for_status()
    for user in range(USERS):
        profile = {"interests": [f"<{user:03d} says>"], "email": f"{name_of(user)}@x.org"}
        client.put(f"/v1/users/{name_of(user)}", json=profile).raise_for_status()
        merge = {"from": f"device-{user:03d}", "into": name_of(user)}
        client.post("/v1/users/merge", json=merge).raise_for_status()
    for user in range(0, USERS, 7):
        body = {"user_id": name_of(user), "session_id": f"device-{user:03d}", "k": 3}
        client.post("/v1/recommend", json=body).raise_for_status()
        client.get(f"/v1/users/{name_of(user)}").raise_for_status()
        client.delete(f"/v1/events/act-{user:03d}-0").raise_for_status()


def rebuild(root: Path, folder: Path, environment: dict[str, str]) -> str:
    """Build again with the live store and a file of interactions that has bad rows of everybody."""
    rows = [
        {"user_id": name_of(user), "item_id": item, "event": "like", "timestamp": time}
        for user in range(USERS)
        for item, time in ((f"v{user % 20}", 1.6e9 + user), (None, 1.6e9), ("v1", f"{user:03d}x"))
    ]
    interactions = write_rows(folder / "interactions.jsonl", rows)
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "service.commands", "build", "--model", "none", "--force"),
            *("--catalog", folder / "items.jsonl", "--out", root, "--max-rejected", "90%"),
            *("--interactions", interactions, "--db", f"sqlite:///{root / 'live.sqlite'}"),
        ],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    interactions.unlink()  # the operator's own file
    return ran.stdout + ran.stderr


def find_marks(folders: list[Path], copy: Path) -> dict[str, set[int]]:
    """Which users are in which file, of copies that a child makes."""
    copy.mkdir()
    subprocess.run(["cp", "-r", *map(str, folders), str(copy)], check=True)
    found = {}
    for file in copy.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            users = {u for u in range(USERS) if any(mark in content for mark in marks_of(u))}
            found[str(file.relative_to(copy))] = users
    return found


def test_erased_users_are_in_no_file_of_the_index_the_caches_and_the_logs(
    vectors_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [vectors_only]
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "TMPDIR"):
        places.append(tmp_path / variable)
        places[-1].mkdir()
        monkeypatch.setenv(variable, str(places[-1]))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    gone = set(range(0, USERS, USERS // GONE))
    with running(tmp_path / "XDG_STATE_HOME", "--index", vectors_only) as (client, process):
        post_everything(client)
        logs = rebuild(vectors_only, tmp_path, environment)
        before = find_marks(places, tmp_path / "before")
        assert any(users >= gone for users in before.values())  # the live store has them
        snapshots = {name for name, users in before.items() if users and "live.sqlite" not in name}
        assert snapshots == set()
        for user in sorted(gone):
            erased = client.delete(f"/v1/users/{name_of(user)}").json()["erased_events"]
            assert erased >= 6
        logs += rebuild(vectors_only, tmp_path, environment)
        after = find_marks(places, tmp_path / "after")
        assert {name: users & gone for name, users in after.items() if users & gone} == {}
        assert after["vectors/live.sqlite"] == set(range(USERS)) - gone
        kept = next(iter(set(range(USERS)) - gone))
        assert client.get(f"/v1/users/{name_of(kept)}").json()["events"] >= 6
        process.terminate()
        said, complained = process.communicate()
    logs += said + complained
    assert not [user for user in range(USERS) if any(m.decode() in logs for m in marks_of(user))]
