"""What README.md promises works as it is written there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.language.encoder import Encoder
from indexer.request.body import parse_request
from indexer.request.scenario_file import load_scenarios
from indexer.request.scenarios import Scenario
from service import Settings, create_app
from service.llm.options import parse_llm_options
from tests.service.conftest import wait_until

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"(scripts/[a-z_]+(?:\.py)?)([^\n#]*)")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_command_named_exists_and_knows_its_options() -> None:
    named = COMMAND.findall(README)
    assert len(named) >= 8
    helps: dict[str, str] = {}
    for script, rest in named:
        path = ROOT / script
        assert path.exists(), script
        options = re.findall(r"--[a-z-]+", rest)
        if options and path.suffix == ".py":
            if script not in helps:
                helps[script] = subprocess.run(
                    [sys.executable, path, "--help"], capture_output=True, text=True, check=True
                ).stdout
            assert [option for option in options if option not in helps[script]] == [], script


def test_every_python_block_is_python() -> None:
    assert blocks("python")
    for block in blocks("python"):
        compile(block, "README.md", "exec")


def test_the_scenarios_shown_load_and_every_key_is_named(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    file = tmp_path / "scenarios.toml"
    file.write_text(block, encoding="utf-8")
    told = load_scenarios(file)
    assert told["news"].fresh_half_life_s == 7_200
    assert told["cinema"].filter == {"kind": "film"}
    names = {field.name for field in fields(Scenario)} - {"name"}
    assert {name for name in names if name not in README} == set()


def test_every_json_body_is_a_request() -> None:
    bodies = re.findall(
        r"/v1/recommend[^']*'content-type: application/json' -d '(\{.*?\})'", README, re.DOTALL
    )
    assert bodies
    for body in bodies:
        asked = json.loads(body)
        parse_llm_options(asked.pop("llm", {}))
        assert parse_request(asked).k >= 1


def test_what_a_language_model_may_be_asked_is_a_request() -> None:
    (body,) = blocks("json")
    asked = json.loads(body)
    parts = parse_llm_options(asked.pop("llm"))
    assert parts.understand
    assert parts.generate
    assert parts.rerank
    assert parts.explain
    assert parse_request(asked).k == 3


@pytest.mark.model
def test_your_own_csv_in_five_lines_gives_an_index(tmp_path: Path) -> None:
    block = next(block for block in blocks("sh") if "films.csv" in block)
    lines = [line for line in block.splitlines() if "serve.py" not in line]
    script = "\n".join(lines).replace(
        ".venv/bin/python scripts/", f"{sys.executable} {ROOT}/scripts/"
    )
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, env=dict(os.environ))
    from indexer import Index

    index = Index.open(tmp_path / "data" / "films")
    assert [hit.id for hit in index.search("想看搞笑的爱情片", k=1)] == ["2"]
    assert [hit.id for hit in index.search("a murder mystery", k=1)] == ["1"]


@pytest.mark.model
def test_the_python_lines_run_over_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    films = (ROOT / "scripts" / "sample" / "films_en.jsonl").read_text(encoding="utf-8")
    (tmp_path / "items.jsonl").write_text(films, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "'returned': 10" in printed


@pytest.fixture(scope="module")
def sample_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled sample, encoded by the real model."""
    from indexer import build_index

    root = tmp_path_factory.mktemp("sample") / "index"
    build_index(sorted((ROOT / "scripts" / "sample").glob("*.jsonl")), root)
    return root


@pytest.mark.model
@pytest.mark.slow
def test_the_four_moments_are_a_real_run(sample_index: Path) -> None:
    from indexer import Index

    (block,) = blocks("moments")
    lines = block.strip().splitlines()
    assert len(lines) == 8
    index = Index.open(sample_index)
    liked = ["film-casablanca", "film-vertigo"]
    for asked, told in zip(lines[::2], lines[1::2], strict=True):
        hits = index.recommend(history=liked, context=json.loads(asked), k=5)
        titles = [re.sub(r" -?\d\.\d\d$", "", shown) for shown in told.strip().split(" · ")]
        # Two that are told with the same score may change places on another processor.
        assert sorted(hit.item["title"] for hit in hits) == sorted(titles)
        scores = [float(shown.rsplit(" ", 1)[1]) for shown in told.strip().split(" · ")]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=0.011)


CALL = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (\S+)(?: (\{.*\}))?")


def answered(client: Any, line: str) -> dict[str, Any]:
    """The answer to a line of method, path and perhaps JSON."""
    found = CALL.fullmatch(line)
    assert found, line
    method, path, body = found.groups()
    response = client.request(method, path, json=json.loads(body) if body else None)
    assert response.status_code == 200, (line, response.text)
    told: dict[str, Any] = response.json()
    return told


@pytest.mark.model
@pytest.mark.slow
def test_the_visitor_in_five_clicks_is_a_real_run(sample_index: Path, tmp_path: Path) -> None:
    (block,) = blocks("visitor")
    lines = block.strip().splitlines()
    assert sum("/v1/events" in line for line in lines) == 5
    shown: list[list[str]] = []
    with served(sample_index, tmp_path) as client:
        for line in lines:
            if line.startswith(" "):
                assert sorted(shown[-1]) == sorted(line.strip().split(" · ")), line
                continue
            answer = answered(client, line)
            if "items" in answer:
                shown.append([hit["item"]["title"] for hit in answer["items"]])
                ids = [hit["id"] for hit in answer["items"]]
                space = sum(item_id.startswith("news-") for item_id in ids)
                assert space == {0: 0, 1: 3, 2: 3, 3: 3}.get(len(shown) - 1, space)
    assert shown[-1] == shown[-2]


@pytest.mark.model
@pytest.mark.slow
def test_fifty_visitors_see_more_of_their_kind_after_every_click(sample_index: Path) -> None:
    script = ROOT / "scripts" / "bench_visitors.py"
    ran = subprocess.run(
        [sys.executable, script, "--index", sample_index],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(ran.stdout)
    for language in ("en", "zh"):
        assert told[language]["visitors"] == 25
        for control in ("over_no_click", "over_random_clicks"):
            lowest = [low for _, low, _ in told[language][control]]
            assert len(lowest) == 5
            assert min(lowest) > 0, (language, control)


def test_the_calls_about_events_users_and_items_work(tmp_path: Path) -> None:
    from indexer import build_index
    from tests.fakes import WordEncoder

    (block,) = blocks("calls")
    films = [{"id": f"film-{name}", "title": name, "kind": "film"} for name in ("alien", "jaws")]
    catalog = tmp_path / "items.jsonl"
    catalog.write_text("\n".join(map(json.dumps, films)))
    encoder = WordEncoder(dim=16)
    build_index(catalog, tmp_path / "index", encoder=encoder)
    with served(tmp_path / "index", tmp_path, encoder) as client:
        told = {line: answered(client, line) for line in block.strip().splitlines()}
        (mia,) = [answer for line, answer in told.items() if line == "GET /v1/users/mia"]
        assert mia["interests"] == ["film noir", "悬疑"]
        assert [event["event"] for event in mia["recent"]] == ["dislike", "search"]
        (patched,) = [answer for line, answer in told.items() if line.startswith("PATCH")]
        assert patched["price"] == 3
        assert client.get("/v1/users/mia").status_code == 404
        assert client.get("/v1/items/film-new").status_code == 404


@contextmanager
def served(root: Path, folder: Path, encoder: Encoder | None = None) -> Iterator[TestClient]:
    """A service over an index, ready."""
    app = create_app(
        Settings(root, db=f"sqlite:///{folder / 'live.sqlite'}", secret_file=folder / "secret"),
        encoder,
    )
    with TestClient(app) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200, seconds=120)
        yield client
