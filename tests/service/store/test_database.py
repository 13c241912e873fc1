"""The live store: durability, waiting, migration, and the same schema in SQLite and PostgreSQL."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from service.edge.problems import Problem
from service.settings import SettingsError
from service.store.database import LiveDatabase
from service.store.engine import hide_password
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from service.store.schema import MIGRATIONS, events, items, tables, version


def pragmas(database: LiveDatabase) -> Iterator[dict[str, object]]:
    """What a reading and a writing connection are set to."""
    names = ("journal_mode", "synchronous", "secure_delete", "busy_timeout")
    with database.begin_read() as connection:
        yield {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
    with database.begin_write() as write:
        read = write.connection.exec_driver_sql
        yield {name: read(f"PRAGMA {name}").scalar() for name in names}


def test_every_connection_is_durable_and_leaves_nothing_deleted(tmp_path: Path) -> None:
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    full = 2
    for found in pragmas(database):
        assert found == {
            "journal_mode": "wal", "synchronous": full, "secure_delete": 1, "busy_timeout": 10_000,
        }  # fmt: skip
    database.close()


def test_a_write_that_fails_leaves_nothing(database: LiveDatabase) -> None:
    def fail() -> None:
        with database.begin_write() as write:
            write.reserve(5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.begin_read() as connection:
        assert database.read_sequence(connection).seq == 0


def test_a_reader_sees_one_state_while_others_write(database: LiveDatabase) -> None:
    with database.begin_read() as connection:
        before = database.read_sequence(connection)
        with database.begin_write() as write:
            write.reserve()
        assert database.read_sequence(connection) == before
    with database.begin_read() as connection:
        assert database.read_sequence(connection).seq == before.seq + 1


def test_waiting_too_long_for_another_writer_is_503(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}", busy_s=0.1)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Problem) as caught, database.begin_write():
        pass
    assert caught.value.status_code == 503
    assert "Retry-After" in (caught.value.headers or {})
    other.close()
    inside = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with database.begin_write():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with pytest.raises(Problem, match="busy"), database.begin_write():
        pass
    done.set()
    thread.join()
    database.close()


def test_opening_again_changes_nothing(live_url: str) -> None:
    for seq in (0, 3):
        database = LiveDatabase.open(live_url)
        with database.begin_write() as write:
            assert write.seq == seq
            write.reserve(3)
        database.close()


def test_a_store_of_a_newer_release_is_refused_by_name(live_url: str) -> None:
    database = LiveDatabase.open(live_url)
    with database.begin_write() as write:
        write.connection.execute(version.update().values(version=len(MIGRATIONS) + 1))
    database.close()
    with pytest.raises(SettingsError, match="newer release"):
        LiveDatabase.open(live_url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me@127.0.0.1:1/live", "cannot be opened"),
        ("postgresql+pg8000://me@db/live", "needs the driver 'pg8000'; install it with"),
        ("no url", "SQLAlchemy URL"),
        ("nosuch://host/db", "SQLAlchemy URL"),
        ("sqlite:////nowhere/at/all/live.sqlite", "cannot be opened"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_a_remedy(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        LiveDatabase.open(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "live.sqlite").write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(SettingsError, match="cannot be opened"):
        LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")


def test_a_password_is_never_shown() -> None:
    assert "hunter2" not in hide_password("postgresql://me:hunter2@db/live")


def test_the_tables_are_good_sql_for_postgresql_too() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # as SQLAlchemy ships it
    made = [str(CreateTable(table).compile(dialect=dialect)) for table in tables.sorted_tables]
    made += [str(CreateIndex(index).compile(dialect=dialect)) for index in events.indexes]
    assert any("BYTEA" in text for text in made)
    assert any("WHERE user_id IS NULL" in text for text in made)
    assert "FOR UPDATE" in str(sa.select(items).with_for_update().compile(dialect=dialect))


def test_what_may_pass_is_a_503_and_what_is_our_fault_is_not(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")

    def read(statement: str) -> None:
        with database.begin_read() as connection:
            connection.exec_driver_sql(statement)

    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        read("SELECT * FROM no_such_table")
    with database.begin_read() as connection:
        where = "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_live_events_1'"
        page = connection.exec_driver_sql(where).scalar_one()
    database.close()
    content = file.read_bytes()
    place = (page - 1) * 4096
    file.write_bytes(content[:place] + b"\xff" * 4096 + content[place + 4096 :])
    database = LiveDatabase.open(f"sqlite:///{file}")
    with pytest.raises(Problem, match=r"live\.sqlite is damaged .* from a backup") as caught:
        read("SELECT * FROM live_events ORDER BY event_id")
    assert caught.value.status_code == 503
    database.close()


def test_a_full_disk_is_a_503_and_keeps_nothing_by_halves(tmp_path: Path) -> None:
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    log = EventLog(database, UserHasher("a secret of the tests"))
    batch = [Event(f"e{n}", "u", None, "m1", "review", None, "x" * 500, 1.0) for n in range(100)]

    def limit_pages(statement: str) -> None:
        with database.begin_read() as connection:
            connection.exec_driver_sql(statement)

    limit_pages("PRAGMA max_page_count = 16")  # SQLite fails as it does on a full disk
    with pytest.raises(Problem, match="database or disk is full") as caught:
        log.append(batch)
    assert caught.value.status_code == 503
    with database.begin_read() as connection:
        assert database.read_sequence(connection).seq == 0
        assert connection.execute(sa.select(events)).all() == []
    limit_pages("PRAGMA max_page_count = 100000")
    assert log.append(batch).accepted == 100
    database.close()


def test_a_file_named_by_a_uri_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="names a file by a URI"):
        LiveDatabase.open(f"sqlite:///file:{tmp_path}/live.sqlite?uri=true")
