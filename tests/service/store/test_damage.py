"""A store that is damaged while it is served: 503 at every door, not ready until it is sound."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from indexer.cancellation import give_up_when, raise_if_given_up
from indexer.errors import GivenUpError
from service import Settings, create_app
from service.edge import Problem
from service.store import damage
from service.store.damage import Damage, find_damage
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from tests.service.conftest import LOCAL, Serve, Shop, liked, problem, wait_until

# A table is lost behind each of these calls.
TABLES_BY_CALL = {
    ("POST", "/v1/recommend"): "live_events",
    ("POST", "/v1/events"): "live_events",
    ("GET", "/v1/users/u1"): "live_users",
    ("PUT", "/v1/users/u1"): "live_users",
    ("DELETE", "/v1/users/u1"): "live_erased",
    ("POST", "/v1/users/merge"): "live_merges",
    ("PUT", "/v1/items/n1"): "live_items",
    ("DELETE", "/v1/items/n1"): "live_items",
    ("DELETE", "/v1/events/e1"): "live_refused",
    ("GET", "/v1/trending"): "live_counter",
}
BODIES = {
    "/v1/recommend": {"user_id": "u1"},
    "/v1/events": {"user_id": "u1", "item_id": "i0001", "event": "like"},
    "/v1/users/merge": {"from": "u1", "into": "u2"},
    "/v1/items/n1": {"title": "a ghost"},
    "/v1/users/u1": {},
}


def run_sql(file: Path, *statements: str) -> None:
    with sqlite3.connect(file) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("call", TABLES_BY_CALL, ids=" ".join)
def test_a_table_that_is_gone_is_a_503_and_not_ready_until_it_is_back(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, call: tuple[str, str]
) -> None:
    monkeypatch.setattr(damage, "LOOK_AGAIN_S", 0.0)
    (method, path), table = call, TABLES_BY_CALL[call]
    file = own_shop.root / "live.sqlite"
    with serve(own_shop) as client:
        run_sql(file, f"ALTER TABLE {table} RENAME TO away")
        body = BODIES.get(path) if method in ("POST", "PUT") else None
        detail = problem(client.request(method, path, json=body), 503)
        assert f"the live store {file} is damaged" in detail
        assert "from a backup" in detail
        assert str(file) in problem(client.get("/health/ready"), 503)
        assert client.get("/health/live").status_code == 200
        run_sql(file, f"ALTER TABLE away RENAME TO {table}")
        assert client.get("/health/ready").status_code == 200
        assert client.request(method, path, json=body).status_code in (200, 404)


def overwrite_root_page(file: Path, name: str) -> None:
    """Write nonsense over the page of a table or index that lies in the file.

    Another process does it: here it would drop SQLite's locks.
    """
    program = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
(page,) = connection.execute(
    "SELECT rootpage FROM sqlite_master WHERE name = ?", (sys.argv[2],)
).fetchone()
connection.close()
descriptor = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(descriptor, b"\\xff" * 4096, (page - 1) * 4096)
"""
    subprocess.run([sys.executable, "-c", program, str(file), name], check=True)


def lists_of_new_users(client: TestClient, first: int) -> set[int]:
    """Statuses of lists that must read the log."""
    bodies = [{"user_id": f"new{first + n}"} for n in range(3)]
    return {client.post("/v1/recommend", json=body).status_code for body in bodies}


def test_a_page_that_is_nonsense_is_a_503_until_a_sound_store_is_back(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "LOOK_AGAIN_S", 0.0)
    file = own_shop.root / "live.sqlite"
    with serve(own_shop) as client:
        for user in range(20):
            liked(client, f"u{user}", "i0001", "i0002")
        with sqlite3.connect(file) as connection:
            connection.execute("VACUUM INTO ?", (str(file.with_name("backup")),))
        connection.close()
        overwrite_root_page(file, "live_events_user")
        run_sql(file, "UPDATE live_counter SET seq = seq + 1")  # so that pages are read anew
        assert lists_of_new_users(client, 0) == {503}
        for _ in range(3):  # though the counter can be read
            assert "is damaged" in problem(client.get("/health/ready"), 503)
        file.with_name("backup").replace(file)
        for name in ("live.sqlite-wal", "live.sqlite-shm"):
            file.with_name(name).unlink(missing_ok=True)
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert lists_of_new_users(client, 10) == {200}
        assert client.get("/v1/users/u3").json()["events"] == 2


def test_a_service_that_starts_with_a_damaged_store_is_not_ready(
    own_shop: Shop, tmp_path: Path
) -> None:
    file = own_shop.root / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    log = EventLog(database, UserHasher("a secret of the tests"))
    log.append([Event(f"e{n}", "u", None, "i0001", "like", None, None, 1.0) for n in range(300)])
    database.close()
    overwrite_root_page(file, "sqlite_autoindex_live_events_1")
    settings = Settings(own_shop.root, secret_file=tmp_path / "secret", poll_s=0.05)
    app = create_app(settings, own_shop.encoder)
    with TestClient(app, LOCAL, raise_server_exceptions=False) as client:
        wait_until(lambda: "is damaged" in problem(client.get("/health/ready"), 503))


def test_a_look_at_a_large_store_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that could not be read to its end is taken for sound."""
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    log = EventLog(database, UserHasher("a secret of the tests"))
    log.append([Event(f"e{n}", "u", None, "i", "like", None, None, 1.0) for n in range(3_000)])
    monkeypatch.setattr(damage, "_OPCODES_PER_LOOK", 10)
    with database.begin_read() as connection:
        assert find_damage(connection) is None
        assert find_damage(connection, limit_s=-1.0) is None
        assert connection.execute(sa.text("SELECT count(*) FROM live_events")).scalar() == 3_000
    database.look_over(limit_s=10.0)
    assert not database.is_damaged
    database.close()


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveDatabase]:
    """A store in which damage was met that is mended since."""
    monkeypatch.setattr(damage, "LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr(damage, "_OPCODES_PER_LOOK", 10)
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    meet_damage(database)
    yield database
    database.close()


def meet_damage(database: LiveDatabase) -> None:
    with pytest.raises(Problem, match="damaged"), database.begin_read() as connection:
        connection.exec_driver_sql("SELECT * FROM live_away")
    assert database.is_damaged


def test_every_process_knows_of_damage_that_one_met_until_a_look_finds_none(
    damaged: LiveDatabase, tmp_path: Path
) -> None:
    other = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    try:
        other.look_over(limit_s=-1.0)  # which reads nothing, and so knows nothing better
        is_told = other.is_damaged
        assert is_told
        with pytest.raises(Problem, match="another process met damage"):
            other.raise_if_damaged()
        other.check()
        assert not other.is_damaged
        damaged.check()
        assert not damaged.is_damaged
        assert not list(tmp_path.glob("*damaged*"))
    finally:
        other.close()


def test_a_look_reads_the_file_and_not_what_a_connection_remembers_of_it(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    log = EventLog(database, UserHasher("a secret of the tests"))
    log.append([Event(f"e{n}", "u", None, "i", "like", None, None, 1.0) for n in range(900)])
    run_sql(file, "PRAGMA wal_checkpoint(TRUNCATE)")
    with database.begin_read() as connection:
        assert find_damage(connection) is None  # which reads every page
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'live_events'"
        page = connection.exec_driver_sql(query).scalar()
    # In a process of its own, which does not open the store: that would have all pages read anew.
    program = "import os, sys; os.pwrite(os.open(sys.argv[1], 2), b'x' * 4096, int(sys.argv[2]))"
    place = str((int(page or 0) - 1) * 4096)
    subprocess.run([sys.executable, "-c", program, str(file), place], check=True)
    (tmp_path / "live.sqlite-damaged").touch()
    assert database.is_damaged
    with pytest.raises(Problem, match="damaged"):
        database.check()
    assert list(tmp_path.glob("*-damaged"))
    database.close()


def test_damage_that_another_process_meets_while_one_looks_is_kept(
    damaged: LiveDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "live.sqlite-damaged"
    other = Damage(tmp_path / "live.sqlite")
    looks: list[None] = []

    def find(connection: sa.Connection, *, limit_s: float | None) -> str | None:
        found = find_damage(connection, limit_s=limit_s)
        looks.append(None)
        if len(looks) == 1:
            other.note("another page is malformed")
            os.utime(mark, ns=(1, 1))  # whatever the clock's steps are
        return found

    monkeypatch.setattr("service.store.database.find_damage", find)
    with pytest.raises(Problem, match="damaged"):
        damaged.check()
    assert mark.exists()
    damaged.check()
    assert not mark.exists()


def test_a_mark_that_cannot_be_removed_has_the_store_read_once(
    damaged: LiveDatabase, tmp_path: Path
) -> None:
    mark = tmp_path / "live.sqlite-damaged"
    mark.unlink()
    (mark / "inside").mkdir(parents=True)  # the kind of file that no account can unlink
    damaged.check()
    for _ in range(2):
        assert not damaged.is_damaged
    os.utime(mark, ns=(1, 1))  # left again
    assert damaged.is_damaged


def test_processes_that_name_a_store_by_different_links_know_of_damage(
    damaged: LiveDatabase, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "shared.sqlite").symlink_to(tmp_path / "live.sqlite")
    other = LiveDatabase.open(f"sqlite:///{folder / 'shared.sqlite'}")
    try:
        assert other.is_damaged
        other.check()
        assert not list(tmp_path.rglob("*-damaged"))
    finally:
        other.close()


def test_a_look_that_nobody_waits_for_is_given_up_and_tells_nothing(damaged: LiveDatabase) -> None:
    with give_up_when(lambda: True), pytest.raises(GivenUpError):
        damaged.check()
    assert damaged.is_damaged
    damaged.check()
    assert not damaged.is_damaged


def test_one_thread_looks_at_a_time_and_clears_no_damage_that_was_met_meanwhile(
    damaged: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float | None] = []

    def find(connection: sa.Connection, *, limit_s: float | None) -> str | None:
        looks.append(limit_s)
        found = find_damage(connection, limit_s=limit_s)
        if len(looks) == 1:
            with pytest.raises(Problem, match="damaged"):  # another call looks already
                damaged.check()
            meet_damage(damaged)
        return found

    monkeypatch.setattr("service.store.database.find_damage", find)
    with pytest.raises(Problem, match="damaged"):
        damaged.check()
    assert looks == [None]
    damaged.check()
    assert not damaged.is_damaged


def test_nothing_waits_for_a_long_look_and_it_outlasts_who_asked(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "LOOK_AGAIN_S", 0.0)
    looks: list[float | None] = []
    may_end = threading.Event()

    def find(connection: sa.Connection, *, limit_s: float | None) -> str | None:
        if limit_s is None:
            looks.append(limit_s)
            may_end.wait(30)
        raise_if_given_up()
        return find_damage(connection, limit_s=limit_s)

    monkeypatch.setattr("service.store.database.find_damage", find)
    with serve(own_shop, deadline_s=0.3) as client:
        meet_damage(client.app.state.services.live_store.database)  # type: ignore[attr-defined]  # of the application
        for _ in range(2):
            assert "is damaged" in problem(client.get("/health/ready"), 503)
        assert client.post("/v1/snapshots/reload").status_code == 200
        assert looks == [None]
        may_end.set()
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert looks == [None]
