"""Users: profiles, descriptions, merging and erasing."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from service.store.rebuild_changes import read_changes
from service.store.user_state import build_user_state
from service.store.users import UserProfile, UserStore
from tests.service.conftest import Serve, Shop, emptied, ids_for, liked, problem

SECRET = "a secret of the tests"
ALICE = "alice-爱丽丝-2f61"


@contextmanager
def empty_store(url: str) -> Iterator[tuple[LiveDatabase, EventLog, UserStore]]:
    with emptied(url) as database:
        hashes = UserHasher(SECRET)
        yield database, EventLog(database, hashes), UserStore(database, hashes, lambda: 100.0)


def event(user_id: str | None, number: int, at: float = 0) -> Event:
    return Event(f"e{number}", user_id, "s", f"m{number % 7}", "like", None, None, at)


events_of = st.lists(
    st.tuples(st.sampled_from(["old", "new"]), st.integers(0, 90)), max_size=25
).map(lambda drawn: [event(user, number, at) for number, (user, at) in enumerate(drawn)])


@settings(max_examples=25)
@given(events_of, st.integers(0, 25))
def test_merged_users_are_the_union_even_of_what_arrives_late(
    live_url: str, sent: list[Event], late: int
) -> None:
    with empty_store(live_url) as (database, log, users):
        log.append(sent[late:])
        users.merge("old", "new")
        log.append(sent[:late])
        with database.begin_read() as connection:
            assert log.load_user_state(connection, "new", None) == build_user_state(sent)
            assert log.load_user_state(connection, "old", None) == build_user_state([])


def test_a_user_who_comes_back_after_a_merge_is_a_new_user(live_url: str) -> None:
    with empty_store(live_url) as (database, log, users):
        log.append([event("device", 1, at=50)])
        users.merge("device", "alice")
        log.append([event("device", 2, at=150)])
        users.merge("alice", "family")
        log.append([event("device", 3, at=60), event("alice", 4, at=70)])
        with database.begin_read() as connection:
            assert log.load_user_state(connection, "device", None) == build_user_state(
                [event("device", 2, at=150)]
            )
            assert len(log.load_user_state(connection, "family", None).history) == 3


def test_an_anonymous_session_can_sign_in(live_url: str) -> None:
    with empty_store(live_url) as (database, log, users):
        log.append([event(None, 1)])
        assert users.merge("s", "alice")[0] == 1
        with database.begin_read() as connection:
            assert log.load_user_state(connection, "alice", None).seen == ("m1",)
            assert log.load_user_state(connection, None, "s").seen == ()


def test_merging_there_and_back_loses_nothing(live_url: str) -> None:
    with empty_store(live_url) as (database, log, users):
        log.append([event("a", 1), event("b", 2)])
        users.merge("a", "b")
        users.merge("b", "a")
        log.append([event("a", 3), event("b", 4)])
        with database.begin_read() as connection:
            assert len(log.load_user_state(connection, "a", None).history) == 4
            assert len(log.load_user_state(connection, "b", None).history) == 0


def test_profiles_are_joined(live_url: str) -> None:
    with empty_store(live_url) as (database, _, users):
        users.put("a", UserProfile(("jazz", "sea"), {"age": 3, "town": "x"}))
        users.put("b", UserProfile(("sea", "war"), {"age": 4}))
        users.merge("a", "b")
        with database.begin_read() as connection:
            joined = UserProfile(("sea", "war", "jazz"), {"age": 4, "town": "x"})
            assert users.load_profile(connection, "b") == joined
            assert users.load_profile(connection, "a") is None


def test_interests_count_in_every_request_and_can_be_replaced(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        told = ids_for(client, interests=["悬疑"], k=30)
        assert ids_for(client, user_id="u1", k=30) != told
        client.put("/v1/users/u1", json={"interests": ["悬疑"], "age": 30, "attributes": {"a": 1}})
        assert ids_for(client, user_id="u1", k=30) == told
        assert ids_for(client, user_id="u1", interests=["悬疑"], k=30) == told
        found = client.get("/v1/users/u1").json()
        assert found["interests"] == ["悬疑"]
        assert found["attributes"] == {"age": 30, "a": 1}
        client.put("/v1/users/u1", json={})
        assert ids_for(client, user_id="u1", k=30) == ids_for(client, k=30)


def test_a_user_is_described_in_words(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        assert "nothing is known of user 'u1'" in problem(client.get("/v1/users/u1"), 404)
        jazz = [row["id"] for row in own_shop.rows if row["tags"] == ["jazz"] or
                ("jazz" in row["tags"] and "jazz" in row["title"])][:6]  # fmt: skip
        liked(client, "u1", *jazz, context={"mood": "calm"})
        client.put("/v1/users/u1", json={"interests": ["爱情"]})
        found = client.get("/v1/users/u1").json()
        assert "jazz" in [tag["tag"] for tag in found["tags"]][:3]
        assert found["events"] == len(jazz)
        assert found["seen"] == len(set(jazz))
        assert found["recent"][0]["item_id"] == jazz[-1]
        assert found["recent"][0]["context"] == {"mood": "calm"}
        for said in ("Says they like 爱情", "close to", "jazz", f"{len(jazz)} × like"):
            assert said in found["summary"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"interests": "jazz"}, "interests must be a list"),
        ({"interests": [1]}, "interests[0]"),
        ({"interests": ["x"] * 1001}, "at most 1000"),
        ({"attributes": 3}, "attributes must be an object"),
        ({"bio": "x" * 65_000}, "keep less"),
    ],
)
def test_a_bad_profile_is_refused(client: TestClient, body: dict[str, object], said: str) -> None:
    assert said in problem(client.put("/v1/users/u1", json=body), 422)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "needs from and into"),
        ({"from": "a", "into": "a"}, "are both 'a'"),
        ({"from": "a", "into": ""}, "into must be an id"),
        ({"from": "a", "to": "b"}, "unknown field 'to'"),
    ],
)
def test_a_bad_merge_is_refused(client: TestClient, body: dict[str, object], said: str) -> None:
    assert said in problem(client.post("/v1/users/merge", json=body), 422)


def bytes_of(root: Path) -> Iterator[tuple[Path, bytes]]:
    """What is in each file, read from a copy that a child makes.

    Reading `live.sqlite` in the process that serves would drop SQLite's locks.
    """
    with TemporaryDirectory() as folder:
        subprocess.run(["cp", "-r", str(root), folder], check=True)
        for file in Path(folder).rglob("*"):
            if file.is_file():
                yield file, file.read_bytes()


def test_nothing_of_an_erased_user_is_in_any_file(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        for number in range(40):  # pages fill, split and are joined again
            liked(client, ALICE, *(f"i{number * n % 400:04d}" for n in range(30)), session_id=ALICE)
            liked(client, f"other-{number}", *(f"i{n:04d}" for n in range(10)))
        body = {"user_id": ALICE, "item_id": "i0001", "event": "like", "event_id": f"{ALICE}-1"}
        client.post("/v1/events", json=body)
        client.delete(f"/v1/events/{ALICE}-1")
        client.put(f"/v1/users/{ALICE}", json={"interests": ["jazz"], "email": f"{ALICE}@x.org"})
        client.post("/v1/users/merge", json={"from": f"{ALICE}-phone", "into": ALICE})
        client.get(f"/v1/users/{ALICE}")
        assert ids_for(client, user_id=ALICE, k=30) != ids_for(client, k=30)
        assert any(ALICE.encode() in content for _, content in bytes_of(own_shop.root))
        erased = client.delete(f"/v1/users/{ALICE}").json()
        assert erased["erased_events"] == 1_200
        left = [file for file, content in bytes_of(own_shop.root) if ALICE.encode() in content]
        assert left == []
        assert ids_for(client, user_id=ALICE, k=30) == ids_for(client, k=30)
        assert problem(client.get(f"/v1/users/{ALICE}"), 404)
        assert client.delete(f"/v1/users/{ALICE}").json()["erased_events"] == 0
        assert client.get("/v1/users/other-3").json()["events"] == 10


def test_what_an_erased_user_did_before_does_not_come_back_and_rebuilds_know(live_url: str) -> None:
    with empty_store(live_url) as (database, log, users):
        log.append([event("alice", 1, at=50), event("bob", 2, at=50)])
        users.erase("alice")  # at 100
        late = log.append([event("alice", 3, at=60), event("alice", 4, at=160)])
        assert (late.accepted, late.refused) == (1, 1)
        found, _ = read_changes(database, SECRET, now=200.0)
        assert [(e.user_id, e.item_id) for e in found.events] == [("bob", "m2"), ("alice", "m4")]
        old, new = found.events[0], found.events[1]
        assert list(found.select_new([old, new])) == [old, new]
        other, _ = read_changes(database, "another secret of the tests", now=200.0)
        with_times = [replace(new, user_id="alice", at=at) for at in (99.0, 101.0, None)]
        assert found.select_new(with_times) == [with_times[1]]
        assert other.select_new(with_times) == with_times  # the hash is keyed


def test_an_anonymous_session_can_be_erased_and_events_years_ahead_are_not_learned_from(
    live_url: str,
) -> None:
    with empty_store(live_url) as (database, log, users):
        log.append([event(None, 1), event("alice", 2), event("bob", 3, at=1e6)])
        assert users.erase("s")[0] == 1
        with database.begin_read() as connection:
            assert log.load_user_state(connection, None, "s").seen == ()
        found, _ = read_changes(database, SECRET, now=200.0)
        assert [one.user_id for one in found.events] == ["alice"]
        later, _ = read_changes(database, SECRET, now=1e6)
        assert [one.user_id for one in later.events] == ["alice", "bob"]
