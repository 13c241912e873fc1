"""The files beside the store deleted or cut short while several processes use it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.edge.problems import Problem
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from tests.paths import REPOSITORY

_WRITER = """
import sys
from tests.service.store.test_lost_log import open_log, write
database, log = open_log(sys.argv[1])
print("open", flush=True)
for line in sys.stdin:
    print(*write(log, *line.split()), flush=True)
database.close()
"""


def open_log(file: Path | str) -> tuple[LiveDatabase, EventLog]:
    database = LiveDatabase.open(f"sqlite:///{file}")
    return database, EventLog(database, UserHasher("a secret of the tests"))


def write(log: EventLog, *names: str) -> list[str]:
    """Write events one after the other; return those that were acknowledged."""
    kept = []
    for name in names:
        try:
            log.append([Event(name, "u", None, "m1", "like", None, None, 1.0)])
        except Problem:  # 503
            continue
        else:
            kept.append(name)
    return kept


def stored(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {name for (name,) in connection.execute("SELECT event_id FROM live_events")}


class OtherWriter:
    """Another process that writes to the same store."""

    def __init__(self, file: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        assert self._read() == ["open"]

    def write(self, *names: str) -> list[str]:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(names) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _read(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "live.sqlite"


@pytest.fixture
def start(file: Path) -> Iterator[Callable[[], OtherWriter]]:
    started: list[OtherWriter] = []

    def start_one() -> OtherWriter:
        started.append(OtherWriter(file))
        return started[-1]

    yield start_one
    for one in started:
        one.close()


def test_processes_that_open_the_store_after_its_shared_memory_is_gone_lose_nothing(
    file: Path, start: Callable[[], OtherWriter]
) -> None:
    database, log = open_log(file)
    kept = write(log, "a1", "a2")
    file.with_name("live.sqlite-shm").unlink()
    other = start()
    for number in range(8):
        kept += other.write(f"b{number}", f"c{number}")
        kept += write(log, f"d{number}", f"e{number}")
    database.close()
    other.close()
    assert set(kept) == stored(file)
    assert len(kept) >= 32  # it is noticed before anything is written, and put right at once


def test_what_a_process_wrote_and_left_is_kept_by_one_with_the_old_shared_memory(
    file: Path, start: Callable[[], OtherWriter]
) -> None:
    database, log = open_log(file)
    kept = write(log, "a1", "a2")
    file.with_name("live.sqlite-shm").unlink()
    other = start()
    kept += other.write("b1", "b2")
    other.close()
    kept += write(log, "d1", "d2")
    database.close()
    assert len(kept) == 6
    assert set(kept) == stored(file)


@pytest.mark.parametrize("size", [0, 40, 5_000])
def test_nothing_is_acknowledged_into_a_log_that_was_cut_short(file: Path, size: int) -> None:
    database, log = open_log(file)
    write(log, *(f"a{number}" for number in range(20)))
    os.truncate(file.with_name("live.sqlite-wal"), size)
    kept = write(log, *(f"b{number}" for number in range(20)))
    database.close()
    assert set(kept) <= stored(file)
    assert len(kept) >= 18


def test_a_log_that_a_checkpoint_empties_is_sound(file: Path) -> None:
    database, log = open_log(file)
    connections = database._current.get()
    for number in range(3):
        assert write(log, f"a{number}") == [f"a{number}"]
        with closing(sqlite3.connect(file)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert connections.find_fault() is None
    assert write(log, "b") == ["b"]
    assert database._current.get() is connections
    database.close()
    assert stored(file) == {"a0", "a1", "a2", "b"}


@pytest.mark.parametrize("lost", [("-wal",), ("-wal", "-shm")])
def test_what_was_acknowledged_survives_the_loss_of_the_log_of_several_processes(
    file: Path, start: Callable[[], OtherWriter], lost: tuple[str, ...]
) -> None:
    database, log = open_log(file)
    other = start()
    kept = write(log, "a1", "a2") + other.write("b1", "b2")
    for suffix in lost:
        file.with_name(f"live.sqlite{suffix}").unlink()
    for number in range(8):
        kept += other.write(f"c{number}")
        kept += write(log, f"d{number}")
    database.close()
    other.close()
    assert set(kept) == stored(file)
    assert len(kept) >= 4 + 14


def test_what_was_acknowledged_is_kept_if_the_service_ends_at_once(file: Path) -> None:
    database, log = open_log(file)
    kept = write(log, "a1", "a2")
    file.with_name("live.sqlite-wal").unlink()
    database.close()
    assert set(kept) == stored(file) == {"a1", "a2"}
