"""The file of the store deleted, replaced, cut short or migrated while a service runs."""

import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.edge.problems import Problem
from service.store.connections import Connections
from service.store.current_connections import CurrentConnections
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.generation import HighestSequence
from service.store.ownership import UserHasher
from service.store.schema import MIGRATIONS, counter
from service.store.store_file import StoreFile
from tests.service.conftest import Serve, Shop, ids_for, liked, problem, wait_until


def store_files(shop: Shop) -> list[Path]:
    return sorted(shop.root.glob("live.sqlite*"))


@pytest.fixture
def file(own_shop: Shop) -> Path:
    return own_shop.root / "live.sqlite"


@pytest.fixture
def service(own_shop: Shop, serve: Serve) -> Iterator[TestClient]:
    """A service that knows what u1 likes."""
    with serve(own_shop) as client:
        liked(client, "u1", "i0001", "i0002")
        assert client.get("/v1/users/u1").json()["events"] == 2
        yield client


def refusals(client: TestClient) -> list[str]:
    """What a write, a read and the health check say; all of them refuse."""
    wait_until(lambda: client.get("/health/ready").status_code == 503)
    like = {"user_id": "u1", "item_id": "i0003", "event": "like"}
    return [
        problem(client.post("/v1/events", json=like), 503),
        problem(client.post("/v1/recommend", json={"user_id": "u1"}), 503),
        problem(client.get("/v1/users/u1"), 503),
        problem(client.get("/health/ready"), 503),
        problem(client.delete("/v1/users/u1"), 503),
    ]


def copy_files(files: list[Path], target: Path) -> None:
    """Copy by a child: reading the files here would drop SQLite's locks."""
    target.mkdir()
    subprocess.run(["cp", *map(str, files), str(target)], check=True)


def empty_log(file: Path) -> None:
    other = sqlite3.connect(file)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()


def test_a_store_that_is_moved_away_is_missed_and_found_again(
    service: TestClient, file: Path
) -> None:
    file.rename(file.with_name("aside"))
    like = {"user_id": "u1", "item_id": "i0003", "event": "like"}
    assert "is gone" in problem(service.post("/v1/events", json=like), 503)  # at once
    for said in refusals(service):
        assert f"the live store {file} is gone" in said
        assert "put the file back" in said
    assert not file.exists()
    file.with_name("aside").rename(file)
    liked(service, "u1", "i0003")
    assert service.get("/health/ready").status_code == 200
    assert service.get("/v1/users/u1").json()["events"] == 3


def test_a_store_that_is_deleted_and_restored_is_what_was_saved(
    own_shop: Shop, service: TestClient, file: Path, tmp_path: Path
) -> None:
    copy_files(store_files(own_shop), tmp_path / "saved")
    liked(service, "u1", "i0005")
    liked(service, "u2", "i0006")
    service.put("/v1/items/n1", json={"title": "zeppelin over the sea"}).raise_for_status()
    assert ids_for(service, query="zeppelin", k=1) == ["n1"]
    for one in store_files(own_shop):
        one.unlink()
    refusals(service)
    copy_files([*(tmp_path / "saved").iterdir()], own_shop.root / "back")
    for one in sorted((own_shop.root / "back").iterdir(), reverse=True):  # the file itself last
        one.rename(own_shop.root / one.name)
    wait_until(lambda: service.get("/health/ready").status_code == 200)
    assert service.get("/v1/users/u1").json()["events"] == 2
    assert problem(service.get("/v1/users/u2"), 404)
    assert problem(service.get("/v1/items/n1"), 404)
    # Numbers begin anew where the saved store had come to: nothing from before is remembered.
    liked(service, "u2", "i0001")
    liked(service, "u1", "i0009", "i0010")
    assert not {"i0001", "i0002", "i0009", "i0010"} & set(ids_for(service, user_id="u1", k=50))
    known = service.get("/v1/users/u1").json()
    assert (known["events"], known["seen"]) == (4, 4)
    assert {"i0001", "i0009"} <= {
        hit["id"] for hit in service.get("/v1/trending?k=4").json()["items"]
    }


@pytest.mark.parametrize("content", [b"", b"no database at all" * 300])
def test_a_store_that_is_replaced_by_something_else_is_refused(
    service: TestClient, file: Path, content: bytes
) -> None:
    if content:  # else the log alone would make up the whole store
        empty_log(file)
    file.rename(file.with_name("aside"))
    file.write_bytes(content)
    for said in refusals(service):
        assert f"the live store {file} was replaced by another file" in said
        assert "put the right file back" in said
    file.with_name("aside").replace(file)
    wait_until(lambda: service.get("/health/ready").status_code == 200)
    liked(service, "u1", "i0003")
    assert service.get("/v1/users/u1").json()["events"] == 3


def test_a_store_that_is_cut_short_is_refused(service: TestClient, file: Path) -> None:
    empty_log(file)
    like = {"user_id": "u1", "item_id": "i0003", "event": "like"}
    service.post("/v1/events", json=like).raise_for_status()  # it sees how long the file is
    os.truncate(file, 4096 * 3)
    for said in refusals(service):
        assert f"the live store {file} was cut short" in said


def test_events_survive_the_loss_of_the_log(own_shop: Shop, serve: Serve, file: Path) -> None:
    with serve(own_shop) as client:
        liked(client, "u1", "i0001", "i0002")
        file.with_name("live.sqlite-wal").unlink()
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        like = {"user_id": "u1", "item_id": "i0003", "event": "like"}
        wait_until(lambda: client.post("/v1/events", json=like).status_code == 200)
    database = LiveDatabase.open(f"sqlite:///{file}")
    with database.begin_read() as connection:
        kept = list(connection.exec_driver_sql("SELECT item_id FROM live_events").scalars())
    database.close()
    assert sorted(kept) == ["i0001", "i0002", "i0003"]


def test_a_store_that_another_release_migrates_is_refused_until_it_is_back(
    service: TestClient, file: Path
) -> None:
    def write_version(number: int) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE live_version SET version = ?", (number,))
        connection.close()

    write_version(len(MIGRATIONS) + 1)
    for said in refusals(service):
        assert f"has version {len(MIGRATIONS) + 1} now, made by another release" in said
        assert "restart the service" in said
    write_version(len(MIGRATIONS))
    liked(service, "u1", "i0003")
    assert service.get("/health/ready").status_code == 200


def test_the_health_check_tells_no_path_without_a_key(
    own_shop: Shop, serve: Serve, file: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"read:{'0' * 64}\n")
    with serve(own_shop, api_key_file=keys) as client:
        file.unlink()
        wait_until(lambda: client.get("/health/ready").status_code == 503)
        said = problem(client.get("/health/ready"), 503)
        assert "the live store cannot be used" in said
        assert str(file) not in said


def append(log: EventLog, *names: str) -> None:
    log.append([Event(name, "u", None, "m1", "like", None, None, 1.0) for name in names])


@pytest.mark.parametrize("moment", ["before the commit", "after it"])
def test_a_write_is_not_acknowledged_if_the_file_goes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")

    def write() -> None:
        with database.begin_write() as transaction:
            transaction.reserve()
            if moment == "before the commit":
                file.rename(tmp_path / "aside")

    if moment == "after it":
        raise_to = LiveDatabase._confirm

        def confirm(*arguments: object) -> None:
            file.rename(tmp_path / "aside")
            raise_to(*arguments)  # type: ignore[arg-type]  # as they came

        monkeypatch.setattr(LiveDatabase, "_confirm", confirm)
    with pytest.raises(Problem, match="may not be kept; try again"):
        write()
    database.close()


def test_the_log_of_a_store_behind_a_link_is_missed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "live.sqlite"
    link.symlink_to(tmp_path / "real" / "live.sqlite")
    database = LiveDatabase.open(f"sqlite:///{link}")
    (tmp_path / "real" / "live.sqlite-wal").unlink()
    found = database._current.get().find_fault()
    database.close()
    assert found is not None
    assert "has lost its write-ahead log" in found


def test_a_call_under_way_while_the_store_is_closed_is_told_to_ask_again(tmp_path: Path) -> None:
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    database.advance_to(3)
    with database.begin_read() as connection:
        sequence = database.read_sequence(connection)
    assert database.fetch_at(sequence, []) == []
    database._current.get().close("was replaced by another file")  # as opening it again begins
    assert database.fetch_at(sequence, []) is None
    database.close()


def list_open_files(file: Path) -> list[str]:
    """What this process has open of a store, by the path or as it was before it was replaced."""
    names = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists the others is closed by now
            names.append(str(descriptor.readlink()))
    return [name for name in names if str(file.resolve()) in name]


def replace_store(file: Path) -> None:
    """Put another store of this release in the place of one that is open."""
    other = LiveDatabase.open(f"sqlite:///{file.with_name('other')}")
    other.close()
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    file.with_name("other").rename(file)


def test_a_read_that_begins_while_the_store_is_opened_again_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    before = database._current.get()
    find, chosen, may_begin = CurrentConnections._find, threading.Event(), threading.Event()

    def find_slowly(self: CurrentConnections) -> Connections:
        found = find(self)
        if threading.current_thread() is reader and not chosen.is_set():
            chosen.set()
            assert may_begin.wait(20)
        return found

    reader = threading.Thread(target=database.check)
    monkeypatch.setattr(CurrentConnections, "_find", find_slowly)
    reader.start()
    assert chosen.wait(20)
    replace_store(file)
    database.check()  # opens the one that is there now
    assert database._current.get() is not before
    may_begin.set()
    reader.join(20)
    assert isinstance(before.engine.pool, sa.pool.QueuePool)
    assert before.engine.pool.checkedin() == 0
    database.close()
    assert list_open_files(file) == []


def test_a_read_under_way_while_the_store_is_opened_again_is_closed_at_its_end(
    tmp_path: Path,
) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    before = database._current.get()
    with database.begin_read() as connection:
        replace_store(file)
        database.check()
        assert database._current.get() is not before
        database.read_sequence(connection)
        assert [name for name in list_open_files(file) if "(deleted)" in name]
    assert not [name for name in list_open_files(file) if "(deleted)" in name]
    assert before.reader is not None
    with pytest.raises(sqlite3.ProgrammingError, match="was closed"):
        before.reader.read_sequence()
    database.close()
    assert list_open_files(file) == []


def test_a_closed_store_is_not_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    database.close()
    assert database.peek_sequence() is None
    for _ in range(2):
        with pytest.raises(Problem, match="is closed"):
            database.check()
        with pytest.raises(Problem, match="is closed"), database.begin_write():
            pass
    assert list_open_files(file) == []


def test_numbers_that_go_back_are_of_another_store(database: LiveDatabase) -> None:
    """As after a fail-over to a server that lags, or a backup that was played in."""
    log = EventLog(database, UserHasher("a secret of the tests"))
    append(log, "e1", "e2", "e3")
    with database.begin_read() as connection:
        before = database.read_sequence(connection)
    with database._current.get().write_engine.begin() as connection:
        connection.execute(counter.update().values(seq=1, items_seq=0, removals_seq=0))
        connection.execute(sa.text("DELETE FROM live_events WHERE seq > 1"))
    with database.begin_read() as connection:
        after = database.read_sequence(connection)
        assert database.read_sequence(connection) == after
    assert (after.seq, after.generation) == (1, before.generation + 1)
    assert after.removals != before.removals
    append(log, "e4")
    with database.begin_read() as connection:
        assert database.read_sequence(connection).generation == after.generation


def test_a_view_from_before_does_not_begin_a_generation() -> None:
    highest = HighestSequence()
    early = highest.mark()
    assert highest.compare(5, highest.mark()) == 0
    assert highest.compare(3, early) == 0  # began before the 5 was seen
    late = highest.mark()
    assert highest.compare(3, late) == 1
    assert highest.compare(5, late) == 0  # an old view's own generation
    assert highest.compare(4, highest.mark()) == 1


def test_reopening_is_tried_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def check(path: Path) -> None:
        tried.append(path)
        raise sqlite3.DatabaseError("not sound")

    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    monkeypatch.setattr("service.store.connections.check_content", check)
    file.rename(tmp_path / "aside")
    file.write_bytes(b"x")
    read: Callable[[], None] = database.check
    for _ in range(5):
        with pytest.raises(Problem, match="not sound"):
            read()
    assert len(tried) == 1
    database.close()


def test_a_file_that_grows_while_two_threads_look_is_not_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "live.sqlite"
    file.write_bytes(b"x" * 10)
    watched = StoreFile(file, lambda: None)
    look = os.stat

    def look_slowly(path: str) -> os.stat_result:
        found = look(path)
        monkeypatch.setattr(os, "stat", look)
        file.write_bytes(b"x" * 20)
        assert watched.find_fault() is None  # another thread is faster
        return found

    monkeypatch.setattr(os, "stat", look_slowly)
    assert watched.find_fault() is None
