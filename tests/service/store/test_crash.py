"""Killed with -9 while it writes: every acknowledged change is there, and none twice."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.store.database import LiveDatabase
from service.store.item_changes import load_changes_after
from service.store.schema import events
from tests.paths import REPOSITORY
from tests.service.conftest import running


def crashed(url: str, rounds: int) -> list[list[str]]:
    """Run the writers; return what each was answered before it was killed."""
    writer = Path(__file__).with_name("crash_writer.py")
    ran = subprocess.run(
        [sys.executable, str(writer), url, str(rounds), "7"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["torch"] is False
    answered: list[list[str]] = told["told"]
    return answered


@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_writers_that_are_killed_lose_nothing_and_double_nothing(
    tmp_path: Path, rounds: int
) -> None:
    url = f"sqlite:///{tmp_path / 'live.sqlite'}"
    answered = crashed(url, rounds)
    assert all(answered)  # each got to write
    names = [line.split()[1:] for told in answered for line in told if line.startswith("events")]
    items = {}
    for told in answered:
        for line in told:
            if line.startswith("item"):
                slot, round_, number = map(int, line.split()[1:])
                items[slot] = (round_, number)
    database = LiveDatabase.open(url)
    with database.begin_read() as connection:
        kept = Counter(connection.execute(sa.select(events.c.event_id)).scalars())
        seqs = list(connection.execute(sa.select(events.c.seq)).scalars())
        changes = {change.item_id: change for change in load_changes_after(connection, 0)}
        end = database.read_sequence(connection)
        sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    database.close()
    assert sound == "ok"
    assert {name for batch in names for name in batch} <= set(kept)
    assert set(kept.values()) == {1}
    whole = Counter(name.rpartition("-")[0] for name in kept)
    for name, count in whole.items():  # a batch is there whole, or not at all
        assert count == 1 + int(name.split("-")[1]) % 7
    for slot, answer in items.items():
        fields = changes[f"item{slot}"].fields or {}
        assert (fields["round"], fields["n"]) >= answer
    numbers = [*seqs, *(change.seq for change in changes.values())]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) <= end.seq
    assert end.items_seq == max(change.seq for change in changes.values())


@pytest.mark.slow
def test_a_service_that_is_killed_loses_nothing_and_doubles_nothing(
    vectors_only: Path, tmp_path: Path
) -> None:
    answered: list[str] = []
    items: dict[str, int] = {}
    for round_ in range(10):
        with running(tmp_path, "--index", vectors_only) as (client, process):
            for name in answered[-20:]:  # nothing is lost, and sent again it counts once
                again = client.post("/v1/events", json=event(name))
                assert again.json()["duplicates"] == 1
            for item_id, number in items.items():
                assert client.get(f"/v1/items/{item_id}").json()["n"] >= number
            killer = threading.Timer(0.2 + 0.1 * round_, process.kill)
            killer.start()
            write_until_killed(client, round_, answered, items)
            killer.join()
    url = f"sqlite:///{vectors_only / 'live.sqlite'}"
    database = LiveDatabase.open(url)
    with database.begin_read() as connection:
        kept = Counter(connection.execute(sa.select(events.c.event_id)).scalars())
    database.close()
    assert len(answered) >= 20
    assert set(answered) <= set(kept)
    assert set(kept.values()) == {1}


def event(name: str) -> dict[str, Any]:
    return {"event_id": name, "user_id": "u", "item_id": "v3", "event": "view"}


def write_until_killed(
    client: httpx.Client, round_: int, answered: list[str], items: dict[str, int]
) -> None:
    number = 1_000 * round_
    while True:
        number += 1
        try:
            name = f"{round_}-{number}"
            assert client.post("/v1/events", json=event(name)).json()["accepted"] == 1
            answered.append(name)
            item_id = f"new{number % 3}"
            body = {"title": f"item {number}", "n": number, "vector": [1.0, number % 20, 0.5]}
            assert client.put(f"/v1/items/{item_id}", json=body).status_code == 200
            items[item_id] = number
        except httpx.TransportError:
            return
