"""Remnants of moved rows in the pages of SQLite files of any make are overwritten, rows are not."""

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from service.store import page_slack
from service.store.page_slack import EXIT_BLOCKED, clean_slack, main

ROWS = 1_500


@pytest.fixture(params=[(512, 0), (4_096, 0), (4_096, 1), (65_536, 2)])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of some page size and auto-vacuum mode, of which every third row was deleted."""
    page_size, auto_vacuum = request.param
    path = tmp_path / "some.sqlite"
    rng = Random(5)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute(f"PRAGMA auto_vacuum={auto_vacuum}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("CREATE TABLE t (name TEXT PRIMARY KEY, place REAL, text TEXT)")
        connection.execute("CREATE INDEX by_place ON t (place, name)")
        for number in range(ROWS):
            row = (name_of(number), rng.random(), name_of(number) * rng.choice((1, 9, 300)))
            connection.execute("INSERT INTO t VALUES (?, ?, ?)", row)
        for number in range(0, ROWS, 3):
            connection.execute("DELETE FROM t WHERE name = ?", (name_of(number),))
    return path


def name_of(number: int) -> str:
    """A name that no number of a page begins, as it stands at the start of overflowing text."""
    return f"«{number}»"


def count_remnants(file: Path) -> int:
    content = file.read_bytes()
    return sum(name_of(number).encode() in content for number in range(0, ROWS, 3))


def rows_of(file: Path) -> Iterator[tuple[str, float, str]]:
    with closing(sqlite3.connect(file)) as connection:
        yield from connection.execute("SELECT * FROM t ORDER BY name")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_no_deleted_row_is_left_and_all_others_are(file: Path) -> None:
    rows = list(rows_of(file))
    assert len(rows) == ROWS - ROWS // 3
    if file.read_bytes()[16:18] == b"\x10\0":  # pages of 4,096 bytes
        assert count_remnants(file) > 0  # what SQLite leaves by itself
    clean_slack(str(file), time.monotonic() + 60)
    assert list(rows_of(file)) == rows
    assert count_remnants(file) == 0


@pytest.mark.parametrize("file", [(4_096, 0)], indirect=True)
def test_the_exit_code_says_how_it_went(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(path: Path, seconds: float = 30) -> int:
        monkeypatch.setattr(sys, "argv", ["page_slack.py", str(path), str(seconds)])
        return main()

    monkeypatch.setattr(page_slack, "_WRITE_BUSY_MS", 1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert run(file, 0.1) == EXIT_BLOCKED  # another one writes
        other.execute("UPDATE t SET place = 2 WHERE name = '«1»'")
        other.execute("COMMIT")
        other.execute("BEGIN")
        other.execute("SELECT * FROM t").fetchone()
        with closing(sqlite3.connect(file)) as writer, writer:
            writer.execute("UPDATE t SET place = 1 WHERE name = '«1»'")
        assert run(file, 0.1) == EXIT_BLOCKED  # it reads what was there before
        other.execute("COMMIT")
        assert run(file) == 0
    assert run(file.with_name("nothing")) == 1
    assert "No such file" in capsys.readouterr().err
    monkeypatch.setattr(page_slack, "_MAX_PAGES", 3)
    assert run(file) == 1
    assert "at most 2 can be cleaned" in capsys.readouterr().err
