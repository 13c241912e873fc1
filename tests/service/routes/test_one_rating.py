"""One rating of a stranger among clicks changes the list of nobody else, after a rebuild either."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.oracle import write_rows
from tests.service.conftest import environment, running, wait_until

KINDS, EACH, USERS = 5, 12, 40


def make_world(folder: Path) -> None:
    """Items of five kinds, and users who click items of their own kind alone."""
    rng = np.random.default_rng(11)
    items = [
        {
            "id": f"{kind}-{n}",
            "title": f"item {n} of kind {kind}",
            "vector": (np.eye(KINDS)[kind] + 0.05 * rng.normal(size=KINDS)).tolist(),
        }
        for kind in range(KINDS)
        for n in range(EACH)
    ]
    write_rows(folder / "items.jsonl", items)
    clicks = [
        {
            "user_id": f"u{user}",
            "item_id": f"{user % KINDS}-{int(rng.integers(EACH))}",
            "event": "click",
            "timestamp": 1_700_000_000 + 100 * step + user,
        }
        for step in range(20)
        for user in range(USERS)
    ]
    write_rows(folder / "clicks.jsonl", clicks)


def build(folder: Path) -> None:
    command = [
        sys.executable, "-m", "service.commands", "build", "--catalog", folder / "items.jsonl",
        "--interactions", folder / "clicks.jsonl", "--out", folder / "index", "--model", "none",
    ]  # fmt: skip
    subprocess.run(
        list(map(str, command)), env=environment(folder), capture_output=True, check=True
    )


def ask(client: Any, user: str) -> dict[str, float]:
    answer = client.post(
        "/v1/recommend", json={"user_id": user, "k": 10, "context": {"time": 1_900_000_000}}
    )
    assert answer.status_code == 200, answer.text
    return {hit["id"]: hit["score"] for hit in answer.json()["items"]}


@pytest.mark.slow
def test_one_rating_of_a_stranger_changes_the_list_of_nobody_who_clicked(tmp_path: Path) -> None:
    make_world(tmp_path)
    build(tmp_path)
    clicked = ["2-1", "2-5", "2-9"]
    with running(tmp_path, "--index", tmp_path / "index") as (client, _):
        events = [{"user_id": "visitor", "item_id": i, "event": "click"} for i in clicked]
        assert client.post("/v1/events", json={"events": events}).status_code == 200
        before = ask(client, "visitor")
        rating = {"user_id": "someone", "item_id": "4-3", "event": "rating", "value": 5}
        assert client.post("/v1/events", json=rating).status_code == 200
        assert ask(client, "visitor") == before
        first = client.get("/v1/snapshots").json()
        build(tmp_path)
        wait_until(lambda: client.get("/v1/snapshots").json() != first, seconds=60)
        wait_until(lambda: len(read_live_ids(client)) == 1)
        after = ask(client, "visitor")
        client.delete("/v1/users/someone")
        build(tmp_path)
    with running(tmp_path, "--index", tmp_path / "index") as (client, _):
        without = ask(client, "visitor")
    for scores in (before, after, without):
        assert {item_id[0] for item_id in list(scores)[:8]} == {"2"}, json.dumps(scores)
        assert min(list(scores.values())[:8]) > 0.3
    shared = after.keys() & without.keys()
    assert len(shared) >= 9
    for item_id in shared:
        assert after[item_id] == pytest.approx(without[item_id], abs=0.02)


def read_live_ids(client: Any) -> set[str]:
    """The snapshots by which the next requests are answered."""
    return {client.post("/v1/recommend", json={"k": 1}).json()["snapshot"] for _ in range(5)}
