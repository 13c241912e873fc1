"""The live store in PostgreSQL, as the services of several machines share it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from service.edge.problems import Problem
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.event_rows import load_recent_events
from service.store.events import Event
from service.store.ownership import UserHasher
from tests.service.conftest import Serve, Shop, ids_for, liked, problem


def test_one_service_sees_at_once_what_another_stored(
    own_shop: Shop, serve: Serve, postgres: str
) -> None:
    with serve(own_shop, db=postgres) as one, serve(own_shop, db=postgres) as other:
        seen = ids_for(one, k=3)
        liked(one, "u1", *seen)
        assert not set(seen) & set(ids_for(other, user_id="u1", k=20))
        one.put("/v1/users/u1", json={"interests": ["悬疑"], "attributes": {"odd": "\x00 '\"%"}})
        known = other.get("/v1/users/u1").json()
        assert (known["events"], known["interests"]) == (3, ["悬疑"])
        assert known["attributes"]["odd"] == "\x00 '\"%"
        one.put("/v1/items/n1", json={"title": "zeppelin over the sea", "tags": ["ghost"]})
        assert ids_for(other, query="zeppelin", k=1) == ["n1"]
        other.delete("/v1/items/n1")
        assert problem(one.get("/v1/items/n1"), 404)
        assert {hit["id"] for hit in other.get("/v1/trending?k=3").json()["items"]} == set(seen)
        other.post("/v1/users/merge", json={"from": "u1", "into": "u2"})
        assert one.get("/v1/users/u2").json()["events"] == 3
        assert one.delete("/v1/users/u2").json()["erased_events"] == 3
        assert set(seen) <= set(ids_for(other, user_id="u2", k=len(own_shop.rows)))
        late = {"user_id": "u2", "item_id": seen[0], "event": "like", "at": 1}
        assert other.post("/v1/events", json=late).json()["accepted"] == 0


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/events"])
def test_what_no_text_column_can_hold_is_a_sentence_and_no_fault(
    own_shop: Shop, serve: Serve, postgres: str, path: str
) -> None:
    bodies: list[dict[str, Any]] = [
        {"user_id": "a\x00b", "item_id": "i0001", "event": "like"},
        {"user_id": "a", "item_id": "i\x000", "event": "like"},
        {"user_id": "a", "item_id": "i0001", "event": "like", "context": {"mood": "sad\x00"}},
        {"user_id": "a", "event": "search", "text": "x\x00y"},
    ]
    with serve(own_shop, db=postgres) as client:
        for body in bodies:
            given = body if path == "/v1/events" else {"user_id": body["user_id"]}
            assert client.post(path, json=given).status_code in (200, 422), body
        for strange in ("/v1/users/a%00b", "/v1/items/a%00b"):
            assert client.get(strange).status_code in (404, 422)


def test_ids_are_in_order_of_code_points_as_python_sorts(live_url: str) -> None:
    """The latest 6 of equally old events must be the same ones wherever they are kept."""
    names = ["a", "B", "é", "z", "Z", "中", "-a", "a b", "ab", "A"]
    database = LiveDatabase.open(live_url)
    log = EventLog(database, UserHasher("a secret of the tests"))
    log.append([Event(name, "u", None, f"m{name}", "like", None, None, 5.0) for name in names])
    with database.begin_read() as connection:
        found = [event.event_id for event in load_recent_events(connection, ("u", None), 6)]
    database.close()
    assert found == sorted(names, reverse=True)[:6]


def test_services_that_start_together_make_one_store(live_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: LiveDatabase.open(live_url), range(8)))

    def write(database: LiveDatabase) -> int:
        with database.begin_write() as write:
            return write.reserve()

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(write, opened * 5))
    for database in opened:
        database.close()
    assert sorted(taken) == list(range(1, 41))


def test_waiting_too_long_for_a_writer_on_another_machine_is_503(
    postgres: str,
) -> None:
    patient, hasty = LiveDatabase.open(postgres), LiveDatabase.open(postgres, busy_s=0.2)
    with patient.begin_write() as write:
        write.reserve()
        with pytest.raises(Problem) as caught, hasty.begin_write():
            pass
    assert caught.value.status_code == 503
    assert "Retry-After" in (caught.value.headers or {})
    with hasty.begin_write() as write:
        assert write.seq == 1
    patient.close()
    hasty.close()


def test_a_connection_that_the_server_closed_costs_one_call_at_most(postgres: str) -> None:
    database = LiveDatabase.open(postgres)

    def close_all() -> None:
        other = sa.create_engine(database._current.get().engine.url, poolclass=sa.NullPool)
        with other.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def cut_off() -> None:
        with database.begin_write() as write:
            write.reserve()
            thread = threading.Thread(target=close_all)
            thread.start()
            thread.join()

    with pytest.raises(Problem) as caught:
        cut_off()
    assert caught.value.status_code == 503
    close_all()
    with database.begin_write() as write:
        assert write.seq == 0
    database.close()
