"""What README.md promises works as it is written there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_every_json_body_is_a_request() -> None:
    from indexer.request import parse_request

    bodies = re.findall(
        r"/v1/recommend[^']*'content-type: application/json' -d '(\{.*?\})'", README, re.DOTALL
    )
    assert bodies
    for body in bodies:
        assert parse_request(json.loads(body)).k >= 1


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
