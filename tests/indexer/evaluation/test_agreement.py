"""Agreement with the reference program of the evaluation protocol, to the last digit.

It is no part of this project. `ZHIYIN_PROTOCOL` names its file; `ZHIYIN_PROTOCOL_PYTHON` an
interpreter that has what it imports; `ZHIYIN_DATA` a folder of data sets in its format.
"""

import gzip
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.evaluation.cases import Cases, build_cases
from indexer.evaluation.interaction_log import Part, build_log
from indexer.evaluation.workspace import read_log_rows
from indexer.metrics import compare_ranks, compute_metrics, find_rank

pytestmark = pytest.mark.data
FIGURES = ("ndcg10", "recall10", "recall50", "mrr50")
DRIVER = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("protocol", sys.argv[1])
protocol = importlib.util.module_from_spec(spec)
spec.loader.exec_module(protocol)
asked = json.load(open(sys.argv[2]))
ranks = [protocol.rank_in_answer([tuple(p) for p in items], t, k) for items, t, k in asked["lists"]]
reference = {"ranks": ranks, "metrics": protocol.metrics(asked["a"], asked["top10"], 500),
        "against": protocol.bootstrap(asked["a"], asked["b"], asked["users"])}
print(json.dumps(reference))
"""


def protocol_file() -> Path:
    named = os.environ.get("ZHIYIN_PROTOCOL")
    if named is None:
        pytest.skip("ZHIYIN_PROTOCOL names no reference program")
    return Path(named)


def interpreter() -> str:
    return os.environ.get("ZHIYIN_PROTOCOL_PYTHON", sys.executable)


def run_reference(asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    (folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    command = [interpreter(), "-c", DRIVER, str(protocol_file()), str(folder / "asked.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    reference: dict[str, Any] = json.loads(done.stdout)
    return reference


@pytest.mark.parametrize("seed", range(5))
def test_ranks_figures_and_intervals_are_those_of_the_protocol(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    count = 300
    a, b = (
        np.where(rng.random(count) < 0.4, math.inf, rng.integers(1, 60, count)).tolist()
        for _ in range(2)
    )
    users = [f"u{n}" for n in rng.integers(0, 90, count)]
    top10 = rng.integers(0, 500, (count, 10)).tolist()
    lists: list[tuple[list[tuple[str, float]], str, int]] = []
    for _ in range(200):
        items = [(f"i{n}", float(rng.integers(0, 5))) for n in range(rng.integers(1, 8))]
        lists.append((items, f"i{rng.integers(0, 8)}", int(rng.integers(2, 8))))
    reference = run_reference(
        {"a": a, "b": b, "users": users, "top10": top10, "lists": lists}, tmp_path
    )
    ours = [find_rank(items, target, k) for items, target, k in lists]
    assert ours == reference["ranks"]
    found = asdict(compute_metrics(a, top10=top10, item_count=500))
    for name in (*FIGURES, "coverage10"):
        assert found[name] == reference["metrics"][name], name
    against = compare_ranks(a, b, users)
    assert against is not None
    assert against.difference == reference["against"]["diff"]
    assert list(against.difference95) == reference["against"]["diff95"]
    assert against.ratio == reference["against"]["ratio"]
    assert list(against.ratio95) == reference["against"]["ratio95"]


def data_sets() -> list[str]:
    folder = os.environ.get("ZHIYIN_DATA")
    found = sorted(Path(folder).glob("*/interactions.csv*")) if folder else []
    return [str(path.parent) for path in found] or [""]


@pytest.mark.parametrize("folder", data_sets())
def test_questions_are_those_of_the_protocol(folder: str, tmp_path: Path) -> None:
    if not folder:
        pytest.skip("ZHIYIN_DATA names no folder of data sets")
    requests, keys = tmp_path / "requests.jsonl", tmp_path / "keys.jsonl"
    subprocess.run(
        [interpreter(), protocol_file(), "requests", folder, requests, keys, "--part", "valid"],
        check=True,
    )
    head, *expected_keys = lines_of(keys)
    cases = our_cases(Path(folder), repeats=head["include_seen"])
    assert len(cases) == len(expected_keys)
    log = cases.log
    for place, (key, ours, theirs) in enumerate(
        zip(expected_keys, cases.build_requests(), lines_of(requests), strict=True)
    ):
        assert log.item_ids[cases.target[place]] == key["item_id"]
        assert log.user_ids[cases.user[place]] == key["user"]
        assert cases.cold[place] == key["cold"]
        assert cases.new_user[place] == key["new_user"]
        assert [entry["item_id"] for entry in ours["history"]] == [
            entry["item_id"] for entry in theirs["history"]
        ]
        assert [entry.get("value") for entry in ours["history"]] == [
            entry.get("value") for entry in theirs["history"]
        ]
        assert ours.get("at") == theirs.get("at")
        assert ours["context"] == theirs["context"]


def our_cases(folder: Path, *, repeats: bool) -> Cases:
    facts = folder / "protocol.json"
    columns = json.loads(facts.read_text())["context"] if facts.exists() else []
    ids = [str(item["id"]) for item in lines_of(next(folder.glob("items.jsonl*")))]
    source = next(folder.glob("interactions.csv*"))
    rows = read_log_rows(str(source), context=tuple(columns), fields={})
    return build_cases(build_log(rows.interactions, ids), Part.VALID, repeats=repeats)


def lines_of(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return [json.loads(line) for line in text.split("\n") if line]
