"""Erased users: nothing of them in any byte of the files, at little cost for everybody else."""

import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from service.edge.problems import Problem
from service.store import file_cleaning
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from service.store.users import UserProfile, UserStore

PAGE = 4_096
ALICE = "alice-爱丽丝-2f61"


@dataclass
class Store:
    """A store in use, and copies of its files made by another process."""

    database: LiveDatabase
    log: EventLog
    users: UserStore
    folder: Path

    def fill(self, users: int, *, each: int, seed: int = 7) -> None:
        """Let users do things in turns, so that the rows of each are everywhere."""
        rng = Random(seed)
        for turn in range(each):
            order = rng.sample(range(users), users)
            self.log.append([make_event(f"u{user}", turn, rng) for user in order])

    def copy(self) -> bytes:
        """The bytes of all files. A child copies: reading them here would drop SQLite's locks."""
        target = self.folder / "copy"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        files = sorted(self.folder.glob("live.sqlite*"))
        subprocess.run(["cp", *map(str, files), str(target)], check=True)
        return b"".join(file.read_bytes() for file in sorted(target.iterdir()))


def make_event(user_id: str, turn: int, rng: Random) -> Event:
    text = f"<{user_id}> wrote {'x' * rng.randrange(60)} <{user_id}>"
    name = f"<{user_id}>-{rng.random()}-{turn}"
    return Event(name, user_id, f"s<{user_id}>", "m1", "review", None, text, rng.random() * 50)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    hasher = UserHasher("a secret of the tests")
    log, users = EventLog(database, hasher), UserStore(database, hasher, lambda: 100.0)
    yield Store(database, log, users, tmp_path)
    database.close()


def test_no_byte_of_erased_users_is_left_and_every_byte_of_the_others(store: Store) -> None:
    store.fill(60, each=20)
    for user in (3, 4):
        store.users.put(f"u{user}", UserProfile((f"<u{user}> likes",), {"a": f"<u{user}>"}))
        store.users.merge(f"u{user}", f"u{user + 30}")
    gone = [1, 5, 33, 34, *range(40, 60)]
    for user in gone[:-1]:
        store.users.erase_rows(f"u{user}")
    other = sqlite3.connect(store.folder / "live.sqlite")
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    content = store.copy()
    assert any(f"<u{user}>".encode() in content for user in gone)  # what SQLite leaves by itself
    store.users.erase(f"u{gone[-1]}")
    content = store.copy()
    assert [user for user in (*gone, 3, 4) if f"<u{user}>".encode() in content] == []
    with store.database.begin_read() as connection:
        for user in set(range(40)) - {*gone, 3, 4}:
            state = store.log.load_user_state(connection, f"u{user}", None)
            assert len(state.history) == 20
            assert f"<u{user}>".encode() in content
        sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    assert sound == "ok"


def test_a_short_id_costs_no_more_than_a_long_one(store: Store) -> None:
    store.fill(120, each=20)
    store.users.erase("u2")  # cleans what was left from before
    before = store.copy()
    erased_count, _ = store.users.erase("u1")  # the id is part of a hundred others
    after = store.copy()
    assert erased_count == 20
    assert len(after) == len(before)
    places = range(0, len(before), PAGE)
    changed = [place for place in places if before[place:][:PAGE] != after[place:][:PAGE]]
    assert 0 < len(changed) < 5 * 20 + 10 < len(places)  # the pages of its rows, and no others


def test_connections_forget_pages_as_they_were_before_the_cleaning(store: Store) -> None:
    """Or they would write the remnants back with the next change of the page."""
    store.log.append([make_event(f"u{n % 30}", n, Random(n)) for n in range(600)])
    store.users.erase("u7")
    store.fill(30, each=3, seed=8)
    store.users.erase("u8")
    store.fill(6, each=20, seed=9)
    store.users.erase("u20")
    assert b"<u8>" not in store.copy()


def test_erasures_beside_many_writers_leave_a_sound_file(store: Store) -> None:
    stop, written = threading.Event(), [0, 0]

    def write(place: int) -> None:
        rng = Random(place)
        while not stop.is_set():
            number = written[place]
            store.log.append([make_event(f"w{place}-{number % 9}", number, rng)])
            written[place] += 1

    store.fill(40, each=10)
    threads = [threading.Thread(target=write, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    try:
        for user in range(4):
            store.users.erase(f"u{user}")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    store.users.erase("u4")
    content = store.copy()
    assert not any(f"<u{user}>".encode() in content for user in range(5))
    with store.database.begin_read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        count = connection.exec_driver_sql("SELECT count(*) FROM live_events").scalar()
    assert count == 35 * 10 + sum(written)


def test_an_erasure_that_a_reader_holds_up_says_so_blocks_no_writer_and_can_be_repeated(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_cleaning, "CLEANING_TIMEOUT_S", 0.5)
    store.log.append([Event("e1", ALICE, "s", "m1", "like", None, None, 1.0)])
    caught: list[Problem] = []

    def erase() -> None:
        with pytest.raises(Problem, match="repeat the call") as raised:
            store.users.erase(ALICE)
        caught.append(raised.value)

    with store.database.begin_read() as connection:
        assert store.log.load_user_state(connection, ALICE, None).seen
        thread = threading.Thread(target=erase)
        thread.start()
        written = 0
        while thread.is_alive():
            store.log.append([make_event("other", written, Random(written))])
            written += 1
        thread.join()
    assert caught[0].status_code == 503
    assert written > 3
    store.users.erase(ALICE)
    assert ALICE.encode() not in store.copy()


def test_an_erasure_that_others_have_cleaned_for_starts_no_process(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.fill(3, each=1)
    seqs = [store.users.erase_rows(f"u{user}")[1] for user in range(3)]
    store.users.clean_files(seqs[0])
    monkeypatch.setattr(file_cleaning, "_PROGRAM", store.folder / "nothing.py")
    for seq in seqs:
        store.users.clean_files(seq)
    with pytest.raises(Problem, match="repeat the call"):
        store.users.erase("u0")


def test_a_backup_that_was_put_back_is_cleaned_too(store: Store) -> None:
    """Its sequence numbers are lower than those that were cleaned up to before."""
    store.fill(2, each=1)
    backup = store.folder / "backup"
    with sqlite3.connect(store.folder / "live.sqlite") as other:
        other.execute("VACUUM INTO ?", (str(backup),))
    other.close()
    store.fill(9, each=2, seed=8)
    store.users.erase("u0")
    backup.replace(store.folder / "live.sqlite")
    for log in ("live.sqlite-wal", "live.sqlite-shm"):
        (store.folder / log).unlink(missing_ok=True)
    store.users.erase("u0")
    assert b"<u0>" not in store.copy()


def test_a_store_behind_a_link_is_cleaned_beside_its_log(
    store: Store, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path_factory.mktemp("links") / "live.sqlite"
    link.symlink_to(store.folder / "live.sqlite")
    cleaned: list[Path] = []
    monkeypatch.setattr(file_cleaning, "_clean_files", cleaned.append)
    database = LiveDatabase.open(f"sqlite:///{link}")
    file_cleaning.FileCleaner(database).clean(1)
    database.close()
    assert cleaned == [store.folder / "live.sqlite"]


def test_files_that_cannot_be_cleaned_are_said(store: Store) -> None:
    store.fill(1, each=1)
    _, seq = store.users.erase_rows("u0")
    (store.folder / "live.sqlite").rename(store.folder / "elsewhere")
    with pytest.raises(Problem, match=r"No such file|moved"):
        store.users.clean_files(seq)
    (store.folder / "elsewhere").rename(store.folder / "live.sqlite")
    store.users.clean_files(seq)
