"""`zhiyin build`: one command, after which the users of the interactions are known."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import write_rows
from tests.service.conftest import environment

Ran = subprocess.CompletedProcess[str]


class Shell:
    """A folder with a catalogue that needs no model, and interactions in two languages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "index"
        rows = [
            {"id": f"v{n}", "title": f"第{n}部电影", "vector": [1.0, n, 0.5]} for n in range(20)
        ]
        self.catalog = write_rows(folder / "items.jsonl", rows)
        events = "".join(f"{user},v{n},like\n" for user in ("mia", "小明") for n in range(5))
        self.events = folder / "events.csv"
        self.events.write_text(f"user_id,item_id,event\n{events}", encoding="utf-8")

    def run(self, *arguments: Any) -> Ran:
        return subprocess.run(
            [sys.executable, "-m", "service.commands", *map(str, arguments)],
            env=environment(self.folder), capture_output=True, text=True, check=False,
        )  # fmt: skip

    def build(self, *more: Any) -> Ran:
        return self.run(
            "build", "--catalog", self.catalog, "--out", self.root, "--model", "none", *more
        )

    def ask(self, *users: str) -> list[bool]:
        lines = [{"request_id": n, "user_id": user, "k": 20} for n, user in enumerate(users)]
        requests, out = write_rows(self.folder / "in.jsonl", lines), self.folder / "out.jsonl"
        asked = self.run(
            "recommend", "--index", self.root, "--requests", requests, "--out", out
        )  # fmt: skip
        assert asked.returncode == 0, asked.stderr
        answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        return [answer["user_known"] for answer in answers]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_after_one_command_batches_know_the_users(shell: Shell) -> None:
    built = shell.build("--interactions", shell.events, "--json")
    assert built.returncode == 0, built.stderr
    summary = json.loads(built.stdout)
    assert (summary["items"], summary["interactions"]) == (20, 10)
    assert (summary["imported"]["accepted"], summary["imported"]["in_catalogue"]) == (10, 10)
    assert shell.ask("mia", "小明", "nobody") == [True, True, False]
    again = shell.build()
    assert again.returncode == 0, again.stderr
    assert "taste learned from 10 interactions" in again.stdout
    assert "folded in from the live store: 10 events, 0 changed items" in again.stdout
    repeated = shell.build("--interactions", shell.events)
    assert "taste learned from 10 interactions" in repeated.stdout
    assert "0 events kept, 10 were there already" in repeated.stdout
    assert "10 of 10 name an item of the catalogue" in repeated.stdout


def test_without_import_nobody_is_known_and_no_store_is_made(shell: Shell) -> None:
    built = shell.build("--interactions", shell.events, "--no-import")
    assert built.returncode == 0, built.stderr
    assert not (shell.root / "live.sqlite").exists()
    assert "histories" not in built.stdout
    assert shell.ask("mia") == [False]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--drop-live"], "--drop-live needs a live store"),
        (["--no-live", "--db", "sqlite:///x.sqlite"], "--no-live leaves out what --db names"),
        (["--no-live", "--drop-live"], "--drop-live needs a live store"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    shell: Shell, more: list[str], said: str
) -> None:
    refused = shell.build(*more)
    assert refused.returncode == 2
    assert said in refused.stderr
