"""Long logs of users: read once for all who ask, in a thread that nobody else needs."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer import Index
from service.live import RequestViews
from service.live.live_store import LiveStore
from service.live.user_states import StateKey
from service.store import Event, LiveDatabase, UserProfile, UserState
from service.store.event_log import EventLog
from service.store.user_state import SeenItems
from tests.service.conftest import Serve, Shop, ids_for, wait_until

LONG = 1_000  # events, of which each part holds 100
SECRET = "a secret of the tests, long enough"


class Reads:
    """Counts parts of logs that are read, and holds them while a gate is shut."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.parts = 0
        self.gate = threading.Event()
        self.gate.set()
        self.is_held = threading.Event()
        add = SeenItems.add

        def add_later(seen: SeenItems, pairs: Any) -> None:
            found = list(pairs)
            self.parts += len(found) == 100
            if len(found) == 100 and not self.gate.is_set():
                self.is_held.set()
                assert self.gate.wait(60)
            add(seen, found)

        patch.setattr(SeenItems, "add", add_later)
        patch.setattr("service.store.sequence_reader.ROWS_AT_ONCE", 100)
        patch.setattr("service.store.event_log.MAX_SHORT_LOG", 300)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    made = Reads(monkeypatch)
    yield made
    made.gate.set()


def send_long_log(client: TestClient, user_id: str = "long") -> None:
    events = [
        {"user_id": user_id, "item_id": f"i{n % 40:04d}", "event": "view", "at": 1e9 + n}
        for n in range(LONG)
    ]
    assert client.post("/v1/events", json={"events": events}).json()["accepted"] == LONG


def test_others_are_answered_while_a_long_log_is_read_once_for_all_who_ask(
    own_shop: Shop, serve: Serve, reads: Reads
) -> None:
    with serve(own_shop, threads=1) as client, ThreadPoolExecutor(8) as pool:
        send_long_log(client)
        reads.gate.clear()
        asked = [pool.submit(ids_for, client, user_id="long", k=5) for _ in range(6)]
        assert reads.is_held.wait(60)
        for _ in range(3):
            answer = client.post("/v1/search", json={"query": "ghost", "k": 1})
            assert answer.status_code == 200
            assert ids_for(client, user_id="somebody", k=1)
            assert client.put("/v1/users/somebody", json={"city": "x"}).status_code == 200
        reads.gate.set()
        lists = [one.result(60) for one in asked]
        assert all(one == lists[0] for one in lists)
        assert not {f"i{n:04d}" for n in range(40)} & set(lists[0])
        assert reads.parts == LONG / 100


def test_an_event_of_the_user_and_changes_of_others_make_no_long_log_be_read_again(
    own_shop: Shop, serve: Serve, reads: Reads
) -> None:
    with serve(own_shop) as client:
        send_long_log(client)
        shown = ids_for(client, user_id="long", k=5)
        for user in ("long", "other"):
            assert client.put(f"/v1/users/{user}", json={"interests": ["jazz"]}).is_success
            shown = ids_for(client, user_id="long", k=5)
        for at in (1e8, 1.5e9):  # before all others, and after
            event = {"user_id": "long", "item_id": shown[0], "event": "view", "at": at}
            assert client.post("/v1/events", json=event).is_success
            assert shown[0] not in ids_for(client, user_id="long", k=5)
            shown = ids_for(client, user_id="long", k=5)
        assert reads.parts == LONG / 100
        event = {"user_id": "long", "item_id": shown[0], "event": "view"}
        event_id = client.post("/v1/events", json=event).json()["event_ids"][0]
        assert client.delete(f"/v1/events/{event_id}").is_success  # then nobody can be sure
        ids_for(client, user_id="long", k=5)
        assert reads.parts == 2 * LONG / 100


def test_a_read_that_nobody_waits_for_ends_with_its_part(
    own_shop: Shop, serve: Serve, reads: Reads
) -> None:
    with serve(own_shop, threads=1) as client:
        send_long_log(client)
        reads.gate.clear()
        services: Any = client.app.state.services  # type: ignore[attr-defined]
        with pytest.raises(Exception, match="took longer"):
            client.portal.call(  # type: ignore[union-attr]
                lambda: services.run_on_view(
                    lambda view: view.load_user_state("long", None), is_long=True, deadline_s=0.5
                )
            )
        reads.gate.set()
        wait_until(lambda: services.long_queue._places == 2 + 8)
        assert reads.parts == 1


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStore]:
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    yield LiveStore.from_database(database, SECRET, lambda: 2e9)
    database.close()


def append(log: EventLog, first: int, count: int, user: str | None = "ann") -> None:
    rng = Random(first)
    names = ("click", "like", "search", "impression")
    log.append(
        [
            Event(f"e{n}", user, "s", f"m{rng.randrange(99)}", rng.choice(names), 1.0, "sea", n)
            for n in range(first, first + count)
        ]
    )


def load(live: LiveStore, index: Index, key: StateKey) -> UserState:
    return RequestViews(live).answer(index, lambda view: view.load_user_state(*key))


@pytest.mark.parametrize("key", [("ann", None), ("ann", "s"), (None, "s")])
def test_what_is_brought_up_to_date_is_what_would_be_read_anew(
    live: LiveStore, shop: Shop, key: StateKey
) -> None:
    append(live.event_log, 0, 700)
    append(live.event_log, 1_000, 700, user=None)
    changes: list[Callable[[], Any]] = [
        lambda: append(live.event_log, 2_000, 3),
        lambda: append(live.event_log, 2_010, 3, user=None),
        lambda: live.users.put("ann", UserProfile(("jazz",))),
        lambda: live.users.put("bob", UserProfile(("sea",))),
        lambda: append(live.event_log, 2_020, 3, user="bob"),
        lambda: live.event_log.retract("e2000"),
        lambda: append(live.event_log, 2_030, 3),
        lambda: live.users.merge("bob", "ann"),
        lambda: live.users.put("ann", UserProfile()),
        lambda: live.users.erase("ann"),
        lambda: append(live.event_log, 2_040, 3, user=None),
    ]
    with closing(Index.open(shop.root, encoder=shop.encoder)) as index:
        for change in changes:
            for _ in range(2):
                state = load(live, index, key)
                with live.database.begin_read() as connection:
                    assert state == live.event_log.load_user_state(connection, *key)
            change()


def test_between_two_parts_no_transaction_keeps_old_pages(
    live: LiveStore, reads: Reads, tmp_path: Path
) -> None:
    append(live.event_log, 0, 700)
    sequence = live.database.peek_sequence()
    assert sequence is not None
    with live.database.begin_read() as connection:
        expected = live.event_log.load_user_state(connection, "ann", None)
    reads.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(live.event_log.read_user_state, sequence, "ann", None)
        assert reads.is_held.wait(60)
        append(live.event_log, 5_000, 5)
        with closing(sqlite3.connect(tmp_path / "live.sqlite", timeout=0)) as cleaner:
            found = cleaner.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert found == (0, 0, 0)  # nobody was in the way
        reads.gate.set()
        assert read.result(60) == expected  # as of its sequence number: not the new events


def test_a_removal_between_two_parts_makes_a_read_worth_nothing(
    live: LiveStore, reads: Reads
) -> None:
    append(live.event_log, 0, 700)
    sequence = live.database.peek_sequence()
    assert sequence is not None
    reads.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(live.event_log.read_user_state, sequence, "ann", None)
        assert reads.is_held.wait(60)
        live.event_log.retract("e699")
        reads.gate.set()
        assert read.result(60) is None
