"""scripts/replay.py in a world where the right answer is known: tastes change after the cut."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, build_index
from service.jobs.replay import ReplayPlan, replay_events
from tests.oracle import write_rows
from tests.paths import REPOSITORY

KINDS, EACH, USERS = 6, 40, 20

pytestmark = pytest.mark.slow


def world(folder: Path) -> tuple[Path, Path]:
    """Items of six kinds; everybody likes one kind before the cut and another after it."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(KINDS * EACH):
        vector = np.eye(KINDS)[number // EACH] + 0.1 * rng.normal(size=KINDS)
        rows.append({"id": f"m{number}", "title": f"item {number}", "vector": vector.tolist()})
    build_index(write_rows(folder / "items.jsonl", rows), folder / "index", model="none")
    interactions: list[dict[str, Any]] = []
    for step in range(20):
        for user in range(USERS):
            kind = (user + (step >= 10)) % KINDS
            item = kind * EACH + int(rng.permutation(EACH)[0])
            interactions.append({"user_id": f"u{user}", "item_id": f"m{item}", "event": "like",
                                 "timestamp": 1_000_000 * (step + 1) + user})  # fmt: skip
    return folder / "index", write_rows(folder / "interactions.jsonl", interactions)


def test_live_state_follows_a_change_of_taste_that_frozen_state_cannot(tmp_path: Path) -> None:
    index, interactions = world(tmp_path)
    told = replayed(tmp_path, index, interactions)
    assert told["replayed"] == 10 * USERS
    assert told["users"] == USERS
    live, frozen = told["ndcg@10_live"], told["ndcg@10_frozen"]
    assert live[1] > frozen[2]
    ratios = told["live_over_frozen"]  # null where frozen state found nothing at all
    assert all(ratio is None or ratio > 1 for ratio in ratios)
    assert told["live_over_mean"][0] > 1  # the mean still looks back half of the time
    assert told["users_known_at_the_cut"]["users"] == USERS


def test_a_file_that_a_build_reads_is_replayed_in_the_same_way(tmp_path: Path) -> None:
    """An event of your own under other column names, and a bad row, which is counted and told."""
    index, interactions = world(tmp_path)
    rows = [json.loads(line) for line in interactions.read_text().splitlines()]
    strolls = [{**row, "event": "stroll"} for row in rows]
    for row in strolls:
        row["who"] = row.pop("user_id")
    write_rows(interactions, [*strolls, {**strolls[0], "who": ""}])
    (index / "scenarios.toml").write_text("[default]\nevent_weights = { stroll = 0.9 }\n")
    told = replayed(tmp_path, index, interactions, "--fields", "user_id=who")
    assert (told["events"], told["rejected"], told["users"]) == (len(rows), 1, USERS)
    assert "user_id is missing" in told["notes"][-1]
    assert told["ndcg@10_live"][1] > told["ndcg@10_frozen"][2]


def test_where_interactions_name_ids_no_item_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, interactions = world(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(Index, "page", lambda *_, **__: pytest.fail("the items were read"))
    plan = ReplayPlan(root, str(interactions), last=0.5, most=5)
    assert replay_events(plan, report=lambda *_: None)["cases"] == 5


def test_items_that_are_called_by_their_titles_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, interactions = world(tmp_path)
    rows = [json.loads(line) for line in interactions.read_text().splitlines()]
    write_rows(interactions, [{**r, "item_id": f"item {r['item_id'][1:]}"} for r in rows])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("service.jobs.replay._ITEMS_PER_READ", 7)
    plan = ReplayPlan(root, str(interactions), last=0.5, most=5)
    told = replay_events(plan, report=lambda *_: None)
    assert told["cases"] == 5
    assert "are named by SKU or title" in "\n".join(told["notes"])


def replayed(folder: Path, index: Path, interactions: Path, *more: str) -> dict[str, Any]:
    command = [
        sys.executable, str(REPOSITORY / "scripts" / "replay.py"), "--index", str(index),
        "--interactions", str(interactions), "--last", "50%", *more,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "XDG_STATE_HOME": str(folder)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told
