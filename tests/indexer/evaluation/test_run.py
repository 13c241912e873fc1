"""The whole evaluation over a known world: who wins, what is reported, and that it stays local."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer import build_index
from indexer.errors import CatalogError, RequestError
from indexer.evaluation.interaction_log import Part
from indexer.evaluation.page import render_evaluation_page
from indexer.evaluation.peers.registry import parse_peer_names
from indexer.evaluation.report import render_text
from indexer.evaluation.run import OWN_METHOD, EvaluationPlan, evaluate
from indexer.evaluation.workspace import write_catalogue
from indexer.reading import ValueKind
from tests.indexer.evaluation.worlds import write_world
from tests.indexer.taste.worlds import chains, noise
from tests.paths import SCRIPTS

SCRIPT = SCRIPTS / "evaluate.py"
PEERS = ("popular", "popular_recent", "itemknn_decay", "ease_decay", "text_mean", "text_tuned",
         "text_ease", "own_items")  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    catalogue, events = write_world(tmp_path_factory.mktemp("world"), chains(), 60)
    return str(catalogue), str(events)


@pytest.fixture(scope="module")
def evaluation(files: tuple[str, str]) -> dict[str, Any]:
    return evaluate(EvaluationPlan([files[0]], files[1], PEERS, model="none"))


def test_what_follows_what_beats_what_is_popular(evaluation: dict[str, Any]) -> None:
    ndcg = {name: method["all"]["ndcg10"] for name, method in evaluation["methods"].items()}
    assert ndcg[OWN_METHOD] > 2 * ndcg["popular"]
    assert ndcg["ease_decay"] > 1.5 * ndcg["popular"]
    assert evaluation["best_peer"] == max(
        (name for name in ndcg if name != OWN_METHOD), key=ndcg.__getitem__
    )


def test_it_says_what_was_asked_and_what_was_not_measured(evaluation: dict[str, Any]) -> None:
    assert evaluation["part"] == "test"
    assert evaluation["cases"]["all"] == evaluation["methods"][OWN_METHOD]["all"]["cases"] > 100
    assert evaluation["rows"] == {"fit": 1920, "valid": 240, "test": 240}
    assert "own_items" not in evaluation["methods"]
    assert "again" in evaluation["not_measured"]["own_items"]
    for name in evaluation["versus"]:
        low, high = evaluation["versus"][name]["all"]["ratio95"]
        assert low <= evaluation["versus"][name]["all"]["ratio"] <= high
    assert evaluation["bootstrap"] == {"seed": 2026, "resamples": 2000}
    table = render_text(evaluation)
    assert "peak memory" in table
    assert OWN_METHOD in table


def test_the_page_needs_nothing_but_itself(evaluation: dict[str, Any]) -> None:
    page = render_evaluation_page(evaluation)
    assert page.count("<svg") >= 4
    assert not re.search(r"(src|href)\s*=|url\(|@import|<script", page)
    assert "NaN" not in page


def test_the_same_seed_gives_the_same_figures(
    files: tuple[str, str], evaluation: dict[str, Any]
) -> None:
    again = evaluate(EvaluationPlan([files[0]], files[1], ("popular", "ease_decay"), model="none"))
    for name in ("popular", "ease_decay", OWN_METHOD):
        assert again["methods"][name]["all"] == evaluation["methods"][name]["all"]


def test_nothing_of_the_test_part_is_fitted_on(files: tuple[str, str], tmp_path: Path) -> None:
    """Who picks what in the test part is exchanged: rank figures may change, models may not."""
    lines = Path(files[1]).read_text().splitlines()
    head, rows = lines[0], sorted(lines[1:], key=lambda line: float(line.rsplit(",", 1)[1]))
    cut = int(0.9 * len(rows))
    parted = [row.split(",") for row in rows]
    for row in parted[cut:]:
        row[1] = f"i{(int(row[1][1:]) + 7) % 60}"
    changed = tmp_path / "events.csv"
    changed.write_text("\n".join([head, *(",".join(row) for row in parted)]) + "\n")
    plans = [
        EvaluationPlan([files[0]], source, ("ease_decay",), model="none")
        for source in (files[1], str(changed))
    ]
    knobs = [
        {name: method["knobs"] for name, method in evaluate(plan)["methods"].items()}
        for plan in plans
    ]
    assert knobs[0] == knobs[1]


def test_a_planted_column_of_the_outcome_cannot_be_exploited(tmp_path: Path) -> None:
    """Each row names its own item in a column, as a log of outcomes may; picks are random."""
    catalogue, events = write_world(tmp_path, noise(3_000), 60)
    head, *rows = events.read_text().splitlines()
    rows = [f"{row},{row.split(',')[1]}" for row in rows]
    events.write_text("\n".join([f"{head},outcome", *rows]) + "\n")
    found = evaluate(EvaluationPlan([str(catalogue)], str(events), ("popular",), model="none"))
    by_chance = sum(1 / math.log2(1 + rank) for rank in range(1, 11)) / 60
    assert found["methods"][OWN_METHOD]["all"]["ndcg10"] < 1.5 * by_chance


def test_what_circumstances_are_worth_is_told_where_they_are_recorded(
    evaluation: dict[str, Any], tmp_path: Path
) -> None:
    """What is picked depends on the weather alone: of one half of the items, or of the other."""
    catalogue, events = write_world(tmp_path, noise(3_000), 60)
    items = [json.loads(line) for line in catalogue.read_text().splitlines()]
    for item in items:
        item["vector"][0] += 2 if int(item["id"][1:]) < 30 else -2
    catalogue.write_text("".join(f"{json.dumps(item)}\n" for item in items))
    head, *rows = events.read_text().splitlines()
    halves = ("rain" if int(row.split(",")[1][1:]) < 30 else "sun" for row in rows)
    lines = [f"{row},{weather}" for row, weather in zip(rows, halves, strict=True)]
    events.write_text("\n".join([f"{head},weather", *lines]) + "\n")
    plan = EvaluationPlan(
        [str(catalogue)], str(events), ("popular",), model="none", context=("weather",)
    )
    found = evaluate(plan)
    assert found["context"]["all"]["ratio95"][0] > 1
    assert "with the circumstances of the moment" in render_text(found)
    assert evaluation["context"] is None


def test_the_tuning_part_alone_can_be_asked(files: tuple[str, str]) -> None:
    evaluation = evaluate(
        EvaluationPlan([files[0]], files[1], ("popular",), part=Part.VALID, model="none")
    )
    assert evaluation["part"] == "valid"
    assert "flatters" in render_text(evaluation)


def test_fields_of_later_knowledge_are_dropped(files: tuple[str, str], tmp_path: Path) -> None:
    write_catalogue([files[0]], tmp_path / "c.jsonl", query=None, fields={}, drop={"rating_avg"})
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert len(rows) == 60
    assert all("rating_avg" not in row and len(row["vector"]) == 16 for row in rows)


def test_an_unknown_peer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RequestError, match="ease_decay"):
        parse_peer_names("popular,eese")


def test_the_command_writes_json_and_a_page(files: tuple[str, str], tmp_path: Path) -> None:
    command = [
        sys.executable, str(SCRIPT), "--catalog", files[0], "--interactions", files[1],
        "--model", "none", "--peers", "popular", "--out", str(tmp_path / "out"), "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    evaluation = json.loads(done.stdout)
    assert evaluation == json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (tmp_path / "out" / "evaluation.html").read_text().startswith("<!doctype html>")


def test_a_file_that_a_build_reads_is_evaluated_in_the_same_way(tmp_path: Path) -> None:
    """An event of your own, an event by option, and bad rows, which are counted and told."""
    catalogue, events = write_world(tmp_path, chains(), 60)
    head, *rows = events.read_text().splitlines()
    strolls = [re.sub(r"(u\w*,i\d+),\w+,", r"\1,stroll,", row) for row in rows]
    events.write_text("\n".join([head, *strolls, ",i1,stroll,,1"]) + "\n")
    plan = EvaluationPlan([str(catalogue)], str(events), ("popular",), model="none")
    with pytest.raises(CatalogError, match="event is 'stroll'"):
        evaluate(plan)
    root = tmp_path / "index"
    build_index(catalogue, root, model="none")
    (root / "scenarios.toml").write_text("[shop]\nevent_weights = { stroll = 0.9 }\n")
    found = evaluate(replace(plan, index=str(root)))
    assert (found["interactions"], found["rejected"], found["left_out"]) == (len(rows), 1, 0)
    assert "1 bad rows of" in found["notes"][-1]
    assert "user_id is missing" in render_text(found)
    ndcg = {name: method["all"]["ndcg10"] for name, method in found["methods"].items()}
    assert ndcg[OWN_METHOD] > 2 * ndcg["popular"]  # our build learned from the strolls too


def test_what_you_say_of_events_decides_what_they_are_taken_for(tmp_path: Path) -> None:
    catalogue, events = write_world(tmp_path, chains(), 60)
    rows = events.read_text().splitlines()[1:]
    cells = [row.split(",") for row in rows]
    lines = [f"{user},{item},{1 + n % 5},{at}" for n, (user, item, _, _, at) in enumerate(cells)]
    events.write_text("\n".join(["user_id,item_id,value,timestamp", *lines]) + "\n")
    plan = EvaluationPlan([str(catalogue)], str(events), ("popular",), model="none")
    inferred, said = evaluate(plan), evaluate(replace(plan, event="play"))
    counted = evaluate(replace(plan, value_kind=ValueKind.COUNT))
    for found, event in ((inferred, "rating"), (said, "play"), (counted, "click")):
        assert any(f"every row without an event is a {event}" in n for n in found["notes"])
    for found in (said, counted):  # low ratings are no picks, plays and clicks are
        assert found["cases"]["all"] > 1.5 * inferred["cases"]["all"]
