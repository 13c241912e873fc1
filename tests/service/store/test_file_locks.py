"""No call may drop SQLite's locks: who comes next would take the write-ahead log away."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.store.database import LiveDatabase
from service.store.schema import events
from tests.paths import REPOSITORY
from tests.service.conftest import running

LOCKS = Path("/proc/locks")
pytestmark = pytest.mark.skipif(not LOCKS.exists(), reason="only Linux lists locks")


def event(name: str, user_id: str = "u") -> dict[str, Any]:
    return {"event_id": name, "user_id": user_id, "item_id": "v3", "event": "view"}


def locks_of(pid: int, root: Path) -> set[tuple[str, str]]:
    """The (mode, range) of each lock that a process holds on the files of the store."""
    inodes = {file.stat().st_ino for file in root.glob("live.sqlite*")}
    held = set()
    for line in LOCKS.read_text().splitlines():
        _, _, _, mode, owner, inode, start, end = line.replace("-> ", "").split()
        if int(owner) == pid and int(inode.rpartition(":")[2]) in inodes:
            held.add((mode, f"{start}-{end}"))
    return held


CALLS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/health/ready", None),
    ("GET", "/metrics", None),
    ("POST", "/v1/events", event("e1")),
    ("DELETE", "/v1/events/e1", None),
    ("PUT", "/v1/users/u", {"interests": ["jazz"]}),
    ("GET", "/v1/users/u", None),
    ("POST", "/v1/users/merge", {"from": "s", "into": "u"}),
    ("PUT", "/v1/items/n1", {"title": "new", "vector": [1.0, 2.0, 0.5]}),
    ("DELETE", "/v1/items/n1", None),
    ("GET", "/v1/trending", None),
    ("POST", "/v1/recommend", {"user_id": "u"}),
    ("GET", "/v1/snapshots", None),
    ("POST", "/v1/snapshots/reload", None),
    ("DELETE", "/v1/users/u", None),
    ("DELETE", "/v1/users/v", None),
)


def test_no_call_drops_a_lock_on_the_store(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only) as (client, process):
        client.post("/v1/events", json=event("e0", "v")).raise_for_status()
        before = locks_of(process.pid, vectors_only)
        assert len(before) >= 2  # of the database, and of its index of the log
        for method, path, body in CALLS:
            client.request(method, path, json=body).raise_for_status()
            assert locks_of(process.pid, vectors_only) >= before, (method, path)


def rebuild(root: Path, catalog: Path) -> None:
    """Build again, with what the store holds, in a process that opens and closes the store."""
    command = [sys.executable, "-m", "service.commands", "build", "--model", "none"]
    command += ["--catalog", str(catalog), "--out", str(root), "--index", "flat"]
    ran = subprocess.run(
        [*command, "--db", f"sqlite:///{root / 'live.sqlite'}"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def post_all(client: httpx.Client, names: Iterator[str], count: int) -> list[str]:
    """Post so many events; return the ids of those that were acknowledged."""
    acknowledged = []
    for name in (next(names) for _ in range(count)):
        answer = client.post("/v1/events", json=event(name))
        assert answer.json()["accepted"] == 1, answer.text
        acknowledged.append(name)
    return acknowledged


def check_store(root: Path, acknowledged: list[str]) -> None:
    """Every acknowledged event is there once, and the file is sound."""
    database = LiveDatabase.open(f"sqlite:///{root / 'live.sqlite'}")
    with database.begin_read() as connection:
        kept = list(connection.execute(sa.select(events.c.event_id)).scalars())
        sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    database.close()
    assert sound == "ok"
    assert sorted(kept) == sorted(acknowledged)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_no_event_is_lost_by_an_erasure_a_rebuild_and_a_kill(
    vectors_only: Path, tmp_path: Path, workers: int
) -> None:
    """Thirty rounds with one process, ten with two."""
    names = (f"e{number}" for number in range(10**6))
    acknowledged: list[str] = []
    arguments = ("--index", vectors_only, "--workers", workers)
    for round_ in range(30 if workers == 1 else 10):
        with running(tmp_path, *arguments) as (client, _):
            client.post("/v1/events", json=event(f"gone{round_}", f"g{round_}")).raise_for_status()
            acknowledged += post_all(client, names, 2)
            assert client.delete(f"/v1/users/g{round_}").json()["erased_events"] == 1
            rebuild(vectors_only, tmp_path / "items.jsonl")
            acknowledged += post_all(client, names, 4)
        check_store(vectors_only, acknowledged)  # `running` ends with kill -9
