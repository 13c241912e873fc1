"""What the READMEs promise works as it is written there."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.language.encoder import Encoder
from indexer.request.body import parse_request
from indexer.request.scenario_file import load_scenarios
from indexer.request.scenarios import Scenario
from service import Settings, create_app
from service.commands.main import COMMANDS
from service.llm.options import parse_llm_options
from tests.paths import REPOSITORY, SAMPLE, SCRIPTS
from tests.service.conftest import LOCAL, wait_until

PAGES = {
    name: (REPOSITORY / name / "README.md").read_text(encoding="utf-8")
    for name in ("indexer", "service", "scripts", "tests")
}
FRONT = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CHINESE = (REPOSITORY / "README.zh-CN.md").read_text(encoding="utf-8")
ALL = {"README.md": FRONT, "README.zh-CN.md": CHINESE, **PAGES}
SCRIPT = re.compile(r"(?<![\w/.-])(scripts/[a-z_/]+(?:\.py)?)(?![\w/])((?:[^\n`|#]|\\\n)*)")
COMMAND = re.compile(r"(?<![\w/.-])zhiyin ([a-z][a-z-]*)((?:[^\n`|#]|\\\n)*)")
FENCE = re.compile(r"```([a-z]*)\n(.*?)```", re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    return [text for name, text in FENCE.findall(page) if name == language]


def headings(page: str) -> list[str]:
    """The marks of the headings outside code."""
    return re.findall(r"^(#+) ", FENCE.sub("", page), re.MULTILINE)


def numbers(page: str) -> list[list[str]]:
    """The numbers of each row of the tables, in order."""
    rows = [line for line in FENCE.sub("", page).splitlines() if line.startswith("|")]
    return [re.findall(r"\d[\d,.]*\d|\.?\d+", row) for row in rows]


def without_comments(block: str) -> list[str]:
    return [re.sub(r"\s+#.*$", "", line) for line in block.splitlines()]


@cache
def help_of(*command: str) -> str:
    return subprocess.run(
        [sys.executable, *command, "--help"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_the_front_page_is_short() -> None:
    assert len(FRONT.splitlines()) <= 200


@pytest.mark.parametrize("page", ALL)
def test_every_command_named_exists_and_knows_its_options(page: str) -> None:
    for name, rest in COMMAND.findall(ALL[page]):
        assert name in COMMANDS, name
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest):
            assert option in help_of("-m", "service.commands", name), (name, option)
    for script, rest in SCRIPT.findall(ALL[page]):
        path = REPOSITORY / script
        assert path.exists(), script
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest):
            if path.suffix == ".py":
                assert option in help_of(script), (script, option)


def test_every_command_has_its_line() -> None:
    assert [name for name in COMMANDS if f"| `zhiyin {name}` |" not in PAGES["scripts"]] == []


@pytest.mark.parametrize("page", ALL)
def test_every_link_leads_to_a_file(page: str) -> None:
    folder = REPOSITORY / page if page in PAGES else REPOSITORY
    for link in re.findall(r"\]\(([^)#]+)\)", ALL[page]):
        assert (folder / link).exists(), link


def test_every_file_that_the_rooms_are_explained_by_exists() -> None:
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", PAGES["indexer"])
    assert len(named) >= 15
    tops = (REPOSITORY, REPOSITORY / "indexer")
    assert [name for name in named if not any((top / name).exists() for top in tops)] == []


def test_the_chinese_page_says_the_same() -> None:
    assert headings(CHINESE) == headings(FRONT)
    assert numbers(CHINESE) == numbers(FRONT)
    for language in ("sh", "python"):
        theirs, ours = blocks(CHINESE, language), blocks(FRONT, language)
        assert [without_comments(block) for block in theirs] == [
            without_comments(block) for block in ours
        ]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "indexer"])
def test_every_python_block_is_python(page: str) -> None:
    assert blocks(ALL[page], "python")
    for block in blocks(ALL[page], "python"):
        compile(block, page, "exec")


def test_the_scenarios_shown_load_and_every_key_is_named(tmp_path: Path) -> None:
    (block,) = blocks(PAGES["service"], "toml")
    file = tmp_path / "scenarios.toml"
    file.write_text(block, encoding="utf-8")
    told = load_scenarios(file)
    assert told["news"].fresh_half_life_s == 7_200
    assert told["cinema"].filter == {"kind": "film"}
    names = {field.name for field in fields(Scenario)} - {"name"}
    assert {name for name in names if name not in PAGES["service"]} == set()


def test_every_json_body_is_a_request() -> None:
    pages = FRONT + PAGES["service"]
    bodies = re.findall(
        r"/v1/recommend[^']*'content-type: application/json' -d '(\{.*?\})'", pages, re.DOTALL
    )
    assert len(bodies) >= 4
    for body in bodies:
        asked = json.loads(body)
        asked.pop("cursor", None)  # a token that HTTP reads
        parse_llm_options(asked.pop("llm", {}))
        assert parse_request(asked).k >= 1


def test_what_a_language_model_may_be_asked_is_a_request() -> None:
    (body,) = blocks(PAGES["service"], "json")
    asked = json.loads(body)
    parts = parse_llm_options(asked.pop("llm"))
    assert parts.understand
    assert parts.generate
    assert parts.rerank
    assert parts.explain
    assert parse_request(asked).k == 3


@pytest.mark.model
@pytest.mark.slow
def test_your_own_csv_in_five_lines_gives_an_index(tmp_path: Path) -> None:
    block = next(block for block in blocks(FRONT, "sh") if "films.csv" in block)
    lines = [line for line in block.splitlines() if not line.startswith("zhiyin serve")]
    script = "\n".join(lines).replace("zhiyin ", f"{sys.executable} -m service.commands ")
    subprocess.run(
        ["sh", "-ec", script],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    from indexer import Index

    index = Index.open(tmp_path / "data" / "films")
    assert [hit.id for hit in index.search("想看搞笑的爱情片", k=1)] == ["2"]
    assert [hit.id for hit in index.search("a murder mystery", k=1)] == ["1"]


@pytest.fixture(scope="module")
def sample_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bundled sample, encoded by the real model, on any CPU as the README was written."""
    from indexer import build_index

    root = tmp_path_factory.mktemp("sample") / "index"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_PRECISION", "float32")
        build_index(sorted((SAMPLE).glob("*.jsonl")), root)
        yield root


@pytest.fixture
def desk(tmp_path: Path, sample_index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the README leaves it: the sample, and the two files whose lines it shows."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "quickstart").symlink_to(sample_index)
    item, asked = re.findall(r'`(\{"(?:id|request_id)": .*?\})`', FRONT)
    (tmp_path / "items.jsonl").write_text(item, encoding="utf-8")
    (tmp_path / "asked.jsonl").write_text(asked, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_commands_run_as_written(desk: Path, page: str) -> None:
    (block,) = (block for block in blocks(ALL[page], "sh") if "items.jsonl" in block)
    subprocess.run(
        ["sh", "-ec", block.replace("zhiyin ", f"{sys.executable} -m service.commands ")],
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    (answer,) = (desk / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert [item["id"] for item in json.loads(answer)["items"]] == ["1"]


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_python_lines_run_as_written(
    desk: Path, capsys: pytest.CaptureFixture[str], page: str
) -> None:
    for block in blocks(ALL[page], "python"):
        exec(compile(block, page, "exec"), {})
    assert "'returned': 10" in capsys.readouterr().out
    assert (desk / "data" / "index").is_dir()


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_request_is_answered_as_written(sample_index: Path, tmp_path: Path, page: str) -> None:
    (body,) = re.findall(r"/v1/recommend [^']*'[^']*' -d '(\{.*?\})'", ALL[page], re.DOTALL)
    with served(sample_index, tmp_path) as client:
        answer = client.post("/v1/recommend", json=json.loads(body))
    assert answer.status_code == 200, answer.text
    items = [hit["item"] for hit in answer.json()["items"]]
    assert len(items) == 3
    assert all(item["kind"] == "film" and item["year"] < 1980 for item in items)


@pytest.mark.model
@pytest.mark.slow
def test_the_four_moments_are_a_real_run(sample_index: Path) -> None:
    from indexer import Index

    (block,) = blocks(PAGES["indexer"], "moments")
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
    (block,) = blocks(PAGES["service"], "visitor")
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
                kinds = Counter(item_id.split("-")[0] for item_id in ids)
                if 1 < len(shown) < 5:  # after clicks on news about space
                    assert kinds["news"] >= 5
                elif len(shown) > 4:  # and two on jazz
                    assert kinds["news"] >= 3
                    assert kinds["music"] >= 2
    assert shown[-1] == shown[-2]


@pytest.mark.model
@pytest.mark.slow
def test_fifty_visitors_see_more_of_their_kind_after_every_click(sample_index: Path) -> None:
    script = SCRIPTS / "bench" / "visitors.py"
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

    (block,) = blocks(PAGES["service"], "calls")
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
    with TestClient(app, LOCAL) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200, seconds=120)
        yield client
