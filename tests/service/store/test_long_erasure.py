"""A user with a long log, erased in slices: gone at once for all, and others write between."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy as sa

from indexer.request import SCENARIOS
from service.edge.problems import Problem
from service.store import user_erasure
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from service.store.rebuild_changes import read_changes
from service.store.schema import erasing, events, uncleaned
from service.store.text_vectors import TextVectorFile
from service.store.trending import Trending
from service.store.users import UserProfile, UserStore
from tests.paths import REPOSITORY
from tests.service.conftest import Serve, Shop, liked, problem, wait_until

SECRET = "a secret of the tests"
ERASED_AT = 1_000.0
MANY = 5 * user_erasure._SLICE_ROWS + 7


def event(name: str, user: str | None, at: float, item: str) -> Event:
    return Event(name, user, f"s-{user}", item, "like", None, f"<{user}> wrote", at)


class Store:
    """`big` has done much and `ann` little, at the same times and with the same items."""

    def __init__(self, database: LiveDatabase, text_vectors: TextVectorFile | None = None) -> None:
        self.database = database
        hasher = UserHasher(SECRET)
        self.log = EventLog(database, hasher)
        self.users = UserStore(database, hasher, lambda: ERASED_AT, text_vectors)
        self.trending = Trending()

    def fill(self) -> None:
        self.log.append([event(f"b{n}", "big", 900 + n / MANY, f"m{n % 300}") for n in range(MANY)])
        self.log.append([event(f"a{n}", "ann", 900 + n, f"a{n}") for n in range(5)])
        self.log.append([Event("v", None, "big", "m7", "like", None, None, 950.0)])
        self.users.put("big", UserProfile(("jazz",)))

    def seen(self, user: str | None, session: str | None = None) -> set[str]:
        """By both ways to read it."""
        with self.database.begin_read() as connection:
            state = self.log.load_user_state(connection, user, session)
        sequence = self.database.peek_sequence()
        if sequence is not None:
            assert self.log.read_user_state(sequence, user, session) == state
        return set(state.seen)

    def trending_items(self, trending: Trending) -> set[str]:
        with self.database.begin_read() as connection:
            shares = trending.compute_shares(
                lambda: connection,
                self.database.read_sequence(connection),
                SCENARIOS["default"],
                scale=(1, 5),
                now=ERASED_AT,
            )
        return set(shares)

    def learned(self) -> set[tuple[str, str]]:
        """Users and items of which a build would learn."""
        changes, _ = read_changes(self.database, SECRET, now=ERASED_AT)
        return {(row.user_id, row.item_id) for row in changes.events}

    def stored(self) -> dict[str, str | None]:
        """Event ids and users of the rows."""
        with self.database.begin_read() as connection:
            rows = connection.execute(sa.select(events.c.event_id, events.c.user_id))
            return {str(name): user for name, user in rows}


def call_between(monkeypatch: pytest.MonkeyPatch, call: Callable[[int], None]) -> list[int]:
    """Let each transaction of an erasure remove little; call something after each of them."""
    calls: list[int] = []

    def sleep(_: float) -> None:
        calls.append(len(calls))
        call(calls[-1])

    monkeypatch.setattr(user_erasure, "_SLICE_S", 0.0)
    clock = SimpleNamespace(sleep=sleep, monotonic=time.monotonic)
    monkeypatch.setattr("service.store.user_erasure.time", clock)
    return calls


def test_in_the_midst_of_an_erasure_the_user_is_gone_and_all_others_are_as_before(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(database)
    store.fill()
    assert len(store.seen("big")) == 300
    assert "m7" in store.trending_items(store.trending)
    left: list[int] = []

    def look(_: int) -> None:
        left.append(sum(user == "big" for user in store.stored().values()))
        assert store.seen("big") == store.seen(None, "big") == set()
        assert store.seen("ann") == {f"a{n}" for n in range(5)}
        for trending in (store.trending, Trending()):  # one that has counted all before, and none
            assert store.trending_items(trending) == {f"a{n}" for n in range(5)}
        assert store.learned() == {("ann", f"a{n}") for n in range(5)}
        with pytest.raises(Problem, match="being erased"):
            store.users.merge("big", "ann")
        with pytest.raises(Problem, match="being erased"):
            store.users.merge("ann", "big")
        with pytest.raises(Problem, match="no event"):
            store.log.retract(f"b{MANY - 1}")

    calls = call_between(monkeypatch, look)
    erased, _ = store.users.erase_rows("big")
    assert erased == MANY + 1
    assert left == sorted(left, reverse=True)
    assert len(calls) >= 5
    assert max(a - b for a, b in pairwise(left)) <= user_erasure._SLICE_ROWS
    assert set(store.stored().values()) == {"ann"}
    with database.begin_read() as connection:
        assert connection.execute(sa.select(erasing)).all() == []
        assert store.users.load_profile(connection, "big") is None
    assert store.trending_items(store.trending) == {f"a{n}" for n in range(5)}
    store.users.merge("ann", "big")
    assert store.seen("big") == {f"a{n}" for n in range(5)}


def test_what_the_user_does_meanwhile_is_of_somebody_new_and_what_came_late_is_refused(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(database)
    store.fill()
    last = f"b{MANY - 1}"  # removed last

    def act(number: int) -> None:
        if number != 1:
            return
        late = store.log.append([event("late", "big", 999.0, "late")])
        new = store.log.append([event("new", "big", 1_001.0, "new")])
        again = store.log.append([event(last, "big", 1_002.0, "again")])
        assert (late.refused, new.accepted, again.accepted) == (1, 1, 1)
        assert store.log.append([event(last, "big", 1_002.0, "again")]).duplicates == 1
        assert store.seen("big") == {"new", "again"}
        assert store.log.update_meanings([event("b9", "big", 900.0, "m9")]) == 0

    call_between(monkeypatch, act)
    store.users.erase_rows("big")
    kept = {name: user for name, user in store.stored().items() if user != "ann"}
    assert kept == {"new": "big", last: "big"}
    assert store.seen("big") == {"new", "again"}
    store.users.erase_rows("big")
    assert store.seen("big") == set()


def test_a_second_erasure_meanwhile_removes_what_came_between_too(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(database)
    store.fill()

    def act(number: int) -> None:
        if number == 1:
            store.log.append([event("new", "big", 1_001.0, "new")])
            store.users.erase_rows("big")

    call_between(monkeypatch, act)
    store.users.erase_rows("big")
    assert set(store.stored().values()) == {"ann"}
    with database.begin_read() as connection:
        assert connection.execute(sa.select(erasing)).all() == []


def erase_in_between_and_merge(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another erasure of `big` end after the first transaction, and a visitor join them."""
    store.log.append([event(f"v{n}", "visitor", 950 + n, f"v{n}") for n in range(5)])
    store.fill()

    def erase_too_and_merge(call: int) -> None:
        if call == 0:
            store.users.erase_rows("big")
            store.users.merge("visitor", "big")

    call_between(monkeypatch, erase_too_and_merge)


def test_what_joins_the_user_after_another_erasure_has_ended_stays(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two erasures of one user overlap: a repeated call, or another worker that finishes one."""
    store = Store(database)
    erase_in_between_and_merge(store, monkeypatch)
    store.users.erase_rows("big")
    kept = {f"v{n}" for n in range(5)}
    assert {name for name, user in store.stored().items() if user == "big"} == kept
    assert store.seen("big") == kept


def test_a_service_that_finishes_erasures_takes_none_that_another_has_finished(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(database)
    erase_in_between_and_merge(store, monkeypatch)
    with database.begin_write() as transaction:  # as a killed service leaves them
        rows = [{"user_id": user, "seq": transaction.seq} for user in ("ann", "big")]
        transaction.connection.execute(erasing.insert(), rows)
    store.users.finish_erasures()
    assert set(store.stored()) == {f"v{n}" for n in range(5)}


KILLED = """
import os, signal, sys
from service.store import user_erasure
from service.store.database import LiveDatabase
from service.store.ownership import UserHasher
from service.store.users import UserStore
calls = []
def sleep(_):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
user_erasure._SLICE_S = 0.0
user_erasure.time.sleep = sleep
database = LiveDatabase.open(sys.argv[1])
users = UserStore(database, UserHasher("a secret of the tests"), lambda: 1_000.0)
users.erase_rows("big")
"""


def erase_and_be_killed(file: Path) -> None:
    """Fill a store and erase `big` in a process that is killed half-way."""
    database = LiveDatabase.open(f"sqlite:///{file}")
    Store(database).fill()
    database.close()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, f"sqlite:///{file}"], cwd=REPOSITORY, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    with sqlite3.connect(file) as connection:
        count = "SELECT count(*) FROM live_events WHERE user_id = 'big'"
        assert 0 < connection.execute(count).fetchone()[0] < MANY
    connection.close()


def test_an_erasure_that_was_killed_shows_nobody_by_halves_and_is_finished(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite"
    erase_and_be_killed(file)
    database = LiveDatabase.open(f"sqlite:///{file}")
    vectors = TextVectorFile(tmp_path / "vectors", SECRET)
    vectors.begin().add("a model", {"a search of theirs": np.ones(4, np.float32)})
    store = Store(database, vectors)
    assert store.seen("big") == set()
    assert store.trending_items(Trending()) == {f"a{n}" for n in range(5)}
    assert store.learned() == {("ann", f"a{n}") for n in range(5)}
    store.users.finish_erasures()
    assert not vectors.find("a model", ["a search of theirs"])
    assert set(store.stored().values()) == {"ann"}
    database.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("live.sqlite*"))
    assert b"<big>" not in content
    assert b"s-big" not in content
    assert content.count(b"<ann>") >= 5
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


KILLED_BEFORE_CLEANING = """
import os, signal, sys
from service.store.database import LiveDatabase
from service.store.ownership import UserHasher
from service.store.users import UserStore
database = LiveDatabase.open(sys.argv[1])
users = UserStore(database, UserHasher("a secret of the tests"), lambda: 1_000.0)
users.erase_rows(sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("user", ["big", "ann"])
def test_an_erasure_that_was_killed_before_the_files_were_cleaned_is_cleaned(
    tmp_path: Path, user: str
) -> None:
    file = tmp_path / "live.sqlite"
    database = LiveDatabase.open(f"sqlite:///{file}")
    Store(database).fill()
    database.close()
    command = [sys.executable, "-c", KILLED_BEFORE_CLEANING, f"sqlite:///{file}", user]
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == -signal.SIGKILL

    def read() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.glob("live.sqlite*"))

    assert f"<{user}>".encode() in read()
    database = LiveDatabase.open(f"sqlite:///{file}")
    vectors = TextVectorFile(tmp_path / "vectors", SECRET)
    vectors.begin().add("a model", {"a search of theirs": np.ones(4, np.float32)})
    store = Store(database, vectors)
    store.users.finish_erasures()
    assert not vectors.find("a model", ["a search of theirs"])
    vectors.begin().add("a model", {"a later search": np.ones(4, np.float32)})
    store.users.finish_erasures()  # there is nothing left to do
    assert vectors.find("a model", ["a later search"])
    database.close()
    content = read()
    assert f"<{user}>".encode() not in content
    assert f"s-{user}".encode() not in content
    other = {"big": b"<ann>", "ann": b"<big>"}[user]
    assert other in content


def test_files_that_could_not_be_cleaned_are_cleaned_with_the_next_erasure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    store = Store(database)
    store.fill()
    with monkeypatch.context() as patch:
        patch.setattr("service.store.file_cleaning._PROGRAM", tmp_path / "nothing.py")
        with pytest.raises(Problem, match="repeat the call"):
            store.users.erase("big")
    with database.begin_read() as connection:
        assert connection.execute(sa.select(uncleaned)).all()
    store.users.erase("ann")
    with database.begin_read() as connection:
        assert not connection.execute(sa.select(uncleaned)).all()
    database.close()


def test_an_erasure_that_nobody_waits_for_any_more_cleans_the_files_too(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(own_shop) as client:
        liked(client, "theirs-4711", "i0001", "i0002")
        services = client.app.state.services  # type: ignore[attr-defined]  # of the application
        users, has_given_up = services.live_store.users, threading.Event()
        erase_rows = UserStore.erase_rows

        def erase_late(store: UserStore, user_id: str) -> tuple[int, int]:
            has_given_up.wait(30)
            return erase_rows(store, user_id)

        monkeypatch.setattr(UserStore, "erase_rows", erase_late)
        late = replace(services.settings, batch_deadline_s=0.05)
        monkeypatch.setattr(services.writer, "_settings", late)
        assert "took longer" in problem(client.delete("/v1/users/theirs-4711"), 503)
        has_given_up.set()
        file = own_shop.root / "live.sqlite"

        def is_clean() -> bool:
            copied = subprocess.run(["cat", *map(str, file.parent.glob("live.sqlite*"))],
                                    capture_output=True, check=True).stdout  # fmt: skip
            return b"theirs-4711" not in copied

        wait_until(is_clean)
        wait_until(lambda: users._cleaner.find_uncleaned() is None)


@pytest.mark.slow
def test_a_service_that_starts_finishes_the_erasure(own_shop: Shop, serve: Serve) -> None:
    file = own_shop.root / "live.sqlite"
    erase_and_be_killed(file)
    with serve(own_shop) as client:
        assert "nothing is known" in problem(client.get("/v1/users/big"), 404)
        services = client.app.state.services  # type: ignore[attr-defined]  # of the application

        def is_finished() -> bool:
            with services.live_store.database.begin_read() as connection:
                return not connection.execute(sa.select(erasing)).all()

        wait_until(is_finished)
        store = Store(services.live_store.database)
        assert set(store.stored().values()) == {"ann"}


def test_events_lists_and_other_erasures_are_answered_in_the_midst_of_an_erasure(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(own_shop) as client:
        sent = [
            {"user_id": "big", "item_id": "i0001", "event": "view", "at": 1e9 + n}
            for n in range(MANY)
        ]
        for first in range(0, MANY, 1_000):
            client.post("/v1/events", json={"events": sent[first:][:1_000]}).raise_for_status()
        answered: list[int] = []

        def ask(_: int) -> None:
            new = {"user_id": "ann", "item_id": "i0006", "event": "like"}
            answered.append(client.post("/v1/events", json=new).status_code)
            answered.append(client.post("/v1/recommend", json={"user_id": "ann"}).status_code)
            shown = client.post("/v1/recommend", json={"user_id": "big", "k": 500}).json()
            assert shown["complete"]["excluded"]["seen"] == 0
            assert not shown["user_known"]
            problem(client.get("/v1/users/big"), 404)
            merge = {"from": "ann", "into": "big"}
            assert "being erased" in problem(client.post("/v1/users/merge", json=merge), 503)

        call_between(monkeypatch, ask)
        erased = client.delete("/v1/users/big")
        assert erased.json() == {**erased.json(), "erased_events": MANY}, erased.text
        assert len(answered) >= 10
        assert set(answered) == {200}
        assert client.get("/v1/users/ann").json()["events"] == len(answered) // 2
