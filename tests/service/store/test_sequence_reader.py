"""Sequence numbers and the owners of new events, read from the file behind SQLAlchemy's back."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from service.store import Owner
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.item_changes import ItemChange, store_changes
from service.store.ownership import UserHasher
from service.store.users import UserProfile, UserStore

ANN: Owner = ("ann", None)
BOB: Owner = ("bob", None)
SESSION: Owner = (None, "s")


@dataclass
class Store:
    """A store that is written to, and its file."""

    database: LiveDatabase
    log: EventLog
    users: UserStore
    file: Path

    def happened(self, *names: str, user: str | None = "ann", event: str = "like") -> None:
        made = [Event(name, user, "s", "m1", event, None, None, 50.0) for name in names]
        self.log.append(made)

    def put_items(self, *ids: str) -> None:
        with self.database.begin_write() as transaction:
            store_changes(transaction, [ItemChange(one, {"id": one}) for one in ids], now=1.0)

    def seq(self) -> int:
        sequence = self.database.peek_sequence()
        assert sequence is not None
        return sequence.seq


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    hasher = UserHasher("a secret of the tests")
    yield Store(
        database, EventLog(database, hasher), UserStore(database, hasher, lambda: 100.0), file
    )
    database.close()


def test_what_is_peeked_is_what_a_transaction_reads(store: Store) -> None:
    changes = (
        lambda: store.happened("e1", "e2"),
        lambda: store.put_items("m1", "m2"),
        lambda: store.users.put("ann", UserProfile()),
        lambda: store.log.retract("e1"),
    )
    for change in changes:
        change()
        with store.database.begin_read() as connection:
            assert store.database.peek_sequence() == store.database.read_sequence(connection)
    sequence = store.database.peek_sequence()
    assert sequence is not None
    assert (sequence.seq, sequence.items_seq, sequence.removals_seq) == (6, 4, 6)


def test_the_owners_are_those_of_the_events_between_the_numbers(store: Store) -> None:
    store.happened("e1", user="ann")
    store.happened("e2", "e3", user="bob")
    store.happened("e4", user=None)
    store.happened("e5", user="ann", event="impression")

    def owners(after: int, last: int) -> set[Owner]:
        new = store.database.list_new_owners(after, last)
        assert new is not None
        assert not new.has_others
        return new.owners

    assert owners(0, 5) == {ANN, BOB, SESSION}
    assert owners(1, 3) == {BOB}
    assert owners(3, 4) == {SESSION}
    assert owners(4, 5) == {ANN}
    assert owners(5, 5) == set()


def test_an_event_that_came_before_takes_no_number(store: Store) -> None:
    store.happened("e1")
    before = store.seq()
    store.happened("e1", user="bob")
    assert store.seq() == before


def test_items_between_events_concern_no_user(store: Store) -> None:
    store.happened("e1")
    store.put_items("m1", "m2")
    store.happened("e2", user="bob")
    assert store.database.list_new_owners(0, 4) == ({ANN, BOB}, False)
    assert store.database.list_new_owners(1, 3) == (set(), False)


def test_an_item_that_changed_again_leaves_a_gap(store: Store) -> None:
    store.put_items("m1")
    store.put_items("m1")
    assert store.database.list_new_owners(0, 2) == (set(), True)
    assert store.database.list_new_owners(1, 2) == (set(), False)


@pytest.mark.parametrize("change", ["profile", "merge", "erase", "retract"])
@pytest.mark.parametrize("among", [(), ("e4",)])
def test_after_a_change_of_users_something_else_is_known_to_have_changed(
    store: Store, change: str, among: tuple[str, ...]
) -> None:
    store.happened("e1", "e2", user="ann")
    store.happened("e3", user="bob")
    before = store.seq()
    store.happened(*among, user="carl")
    store.put_items(*among)
    if change == "profile":
        store.users.put("ann", UserProfile(("jazz",)))
    elif change == "merge":
        store.users.merge("ann", "bob")
    elif change == "erase":
        store.users.erase("ann")
    else:
        store.log.retract("e1")
    store.happened(*(name + "b" for name in among), user="carl")
    new = store.database.list_new_owners(before, store.seq())
    assert new == ({("carl", None)} if among else set(), True)


def test_a_number_that_was_skipped_is_of_another_change(store: Store) -> None:
    store.happened("e1")
    store.database.advance_to(7)
    store.happened("e2")
    assert store.database.list_new_owners(0, store.seq()) == ({ANN}, True)
    assert store.database.list_new_owners(7, 8) == ({ANN}, False)


def test_another_process_is_seen_at_once(store: Store) -> None:
    other = LiveDatabase.open(f"sqlite:///{store.file}")
    assert store.seq() == 0
    EventLog(other, UserHasher("a secret of the tests")).append(
        [Event("e1", "ann", None, "m1", "like", None, None, 50.0)]
    )
    other.close()
    assert store.seq() == 1
    assert store.database.list_new_owners(0, 1) == ({ANN}, False)


def test_every_thread_reads_and_all_connections_are_closed(store: Store) -> None:
    store.happened("e1")
    found: list[int] = []
    threads = [Thread(target=lambda: found.append(store.seq())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1, 1]
    store.database.close()
    assert not [*store.file.parent.glob("live.sqlite-*")]  # the last connection removes these


def test_after_closing_the_sequence_is_not_known(store: Store) -> None:
    store.happened("e1")
    assert store.seq() == 1
    store.database.close()
    assert store.database.peek_sequence() is None


def test_a_locked_file_is_peeked_at_the_latest_commit_or_not_at_all(store: Store) -> None:
    store.happened("e1")
    assert store.seq() == 1
    writer = sqlite3.connect(store.file, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("UPDATE live_counter SET seq = 99")
    assert store.seq() == 1  # with a write-ahead log, readers go on
    writer.execute("ROLLBACK")
    writer.close()
    assert store.seq() == 1


def test_a_file_that_lost_its_tables_is_not_peeked(store: Store) -> None:
    store.happened("e1")
    assert store.seq() == 1
    writer = sqlite3.connect(store.file, isolation_level=None)
    writer.execute("ALTER TABLE live_counter RENAME TO elsewhere")
    writer.close()
    assert store.database.peek_sequence() is None


@pytest.mark.parametrize("count", [0, 3, 260])
@pytest.mark.parametrize("session_id", [None, "s"])
def test_a_user_is_read_as_a_transaction_loads_them(
    store: Store, count: int, session_id: str | None
) -> None:
    names = ("click", "search", "impression", "rating")
    store.log.append(
        [
            Event(
                f"{user}{n}", user, "s", f"m{n % 9}", names[n % 4], 4.0, "sea", n % 50, {"hour": n}
            )
            for user in ("ann", None, "bob")
            for n in range(count)
        ]
    )
    store.users.put("ann", UserProfile(("jazz",), {}))
    with store.database.begin_read() as connection:
        sequence = store.database.read_sequence(connection)
        loaded = store.log.load_user_state(connection, "ann", session_id)
    assert store.log.read_user_state(sequence, "ann", session_id) == loaded
    assert loaded.interests == ("jazz",)
    # Of every four events one is a search and one an impression, and every ninth item is new.
    seen = {f"m{n % 9}" for n in range(count) if n % 4 in (0, 3)}
    assert set(loaded.seen) == seen


def test_a_user_is_not_read_from_a_store_that_has_come_further(store: Store) -> None:
    with store.database.begin_read() as connection:
        sequence = store.database.read_sequence(connection)
    assert store.log.read_user_state(sequence, "ann", None) is not None
    store.happened("e1")
    assert store.log.read_user_state(sequence, "ann", None) is None
