"""Retracted ids: kept as keyed hashes; a service keys those of earlier releases at its start."""

import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.reading import Interaction
from service.live import LiveStore, open_live_store
from service.settings import Settings
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.file_cleaning import FileCleaner
from service.store.imported_events import ImportIds
from service.store.ownership import UserHasher
from service.store.rebuild_changes import read_changes
from service.store.retractions import find_retracted_ids, key_old_retractions
from service.store.schema import old_retractions

SECRET = "a secret of the tests"
GUESSED = "order-1001-alice@example.org"
ROW = Interaction(user_id="u", item_id="m", event="like", value=None, at=5.0, text=None, context={})


def event(event_id: str) -> Event:
    return Event(event_id, "u", None, "m1", "like", None, None, 1.0)


def read_files(file: Path) -> bytes:
    return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))


def retract_as_before(database: LiveDatabase, *event_ids: str) -> None:
    """As releases without keys did."""
    with database.begin_write() as write:
        for event_id in event_ids:
            event_hash = hashlib.sha256(event_id.encode()).digest()
            write.connection.execute(
                old_retractions.insert().values(event_hash=event_hash, seq=write.reserve())
            )


def test_the_files_do_not_tell_whether_a_guessed_id_was_retracted(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    log = EventLog(database, UserHasher(SECRET))
    log.append([event(GUESSED)])
    log.retract(GUESSED)
    assert log.append([event(GUESSED), event("other")]).refused == 1
    with database.begin_read() as connection:
        for secret, is_known in ((SECRET, True), ("another secret of the tests", False)):
            found = find_retracted_ids(connection, UserHasher(secret), [GUESSED])
            assert (GUESSED in found) == is_known
    database.close()
    content = read_files(file)
    assert GUESSED.encode() not in content
    assert hashlib.sha256(GUESSED.encode()).digest() not in content


def test_hashes_without_a_key_count_and_a_service_that_starts_keys_them(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    hasher = UserHasher(SECRET)
    (imported,) = ImportIds().build([ROW])
    retract_as_before(database, GUESSED, imported)
    log = EventLog(database, hasher)

    def check() -> None:
        assert log.append([event(GUESSED)]).refused == 1
        assert log.retract(GUESSED)
        changes, _ = read_changes(database, SECRET, now=100.0)
        assert changes.select_new([ROW]) == []

    check()
    assert hashlib.sha256(GUESSED.encode()).digest() in read_files_by_another(file)
    LiveStore.from_database(database, SECRET, lambda: 0.0)
    with database.begin_read() as connection:  # who only reads keys nothing
        assert len(connection.execute(old_retractions.select()).all()) == 2
    database.close()
    settings = Settings(tmp_path, secret_file=tmp_path / "unused")
    store = open_live_store(settings, SECRET, lambda: 0.0)
    assert store is not None
    database, log = store.database, store.event_log
    check()
    with database.begin_read() as connection:
        assert connection.execute(old_retractions.select()).all() == []
    database.close()
    assert hashlib.sha256(GUESSED.encode()).digest() not in read_files(file)


def read_files_by_another(file: Path) -> bytes:
    """Reading them here would drop SQLite's locks."""
    program = (
        "import glob, sys\n"
        "for name in glob.glob(sys.argv[1] + '*'):\n"
        "    sys.stdout.buffer.write(open(name, 'rb').read())"
    )
    command = [sys.executable, "-c", program, str(file)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_a_store_of_the_release_before_is_migrated_with_its_retractions(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    retract_as_before(database, GUESSED)
    database.close()
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE live_refused")
        connection.execute("DROP TABLE live_erasing")
        connection.execute("DROP TABLE live_uncleaned")
        connection.execute("DROP TABLE live_secret")
        connection.execute("UPDATE live_version SET version = 2")
    connection.close()
    store = LiveStore.from_database(LiveDatabase.open(f"sqlite:///{file}"), SECRET, lambda: 0.0)
    assert store.event_log.append([event(GUESSED)]).refused == 1
    store.database.close()


def test_files_that_cannot_be_cleaned_keep_no_store_from_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    retract_as_before(database, GUESSED)
    monkeypatch.setattr("service.store.file_cleaning._PROGRAM", tmp_path / "nothing.py")
    key_old_retractions(database, UserHasher(SECRET))
    assert "without a key are still there" in caplog.text
    assert FileCleaner(database).find_uncleaned() is not None
    assert EventLog(database, UserHasher(SECRET)).append([event(GUESSED)]).refused == 1
    database.close()
