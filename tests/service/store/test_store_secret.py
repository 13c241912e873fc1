"""A store and another secret than its own: nothing is keyed, lost or acknowledged in vain."""

import hashlib
import json
from pathlib import Path

import pytest

from indexer import BuildOptions
from service.edge import Problem
from service.jobs.import_events import ImportPlan, import_interactions
from service.jobs.store_build import StoreBuildPlan, build_with_store
from service.live import LiveStore, build_default_url, open_live_store
from service.settings import Settings
from service.store.database import LiveDatabase
from service.store.database_errors import LiveStoreError
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from service.store.schema import erasures, old_retractions, retractions, secret_check
from service.store.store_secret import settle_secret
from service.store.users import UserStore
from tests.service.conftest import Serve, Shop, liked, problem

OWN, OTHER = UserHasher("the secret of the store"), UserHasher("another secret than its own")


def event(event_id: str, user: str = "u") -> Event:
    return Event(event_id, user, None, "m1", "like", None, None, 1.0)


def open_as_service(folder: Path, secret: str) -> LiveStore:
    store = open_live_store(Settings(folder), secret, lambda: 100.0)
    assert store is not None
    return store


def test_another_secret_keys_and_deletes_nothing_and_hashes_without_a_key_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_as_service(tmp_path, "the secret of the store").database.close()
    database = LiveDatabase.open(build_default_url(tmp_path))
    old_hash = hashlib.sha256(b"old").digest()
    with database.begin_write() as write:
        row = {"event_hash": old_hash, "seq": write.reserve()}
        write.connection.execute(old_retractions.insert().values(row))
    database.close()
    assert "another secret" not in caplog.text
    other = open_as_service(tmp_path, "another secret than its own")
    assert "under another secret" in caplog.text
    assert "ZHIYIN_SECRET" in caplog.text
    assert other.event_log.append([event("old")]).refused == 1
    with other.database.begin_read() as connection:
        assert connection.execute(old_retractions.select()).all()
    other.database.close()
    own = open_as_service(tmp_path, "the secret of the store")
    with own.database.begin_read() as connection:
        assert not connection.execute(old_retractions.select()).all()
    assert own.event_log.append([event("old")]).refused == 1
    own.database.close()


def test_beside_hashes_of_its_own_secret_a_store_takes_none_under_another(
    database: LiveDatabase,
) -> None:
    log, users = EventLog(database, OWN), UserStore(database, OWN, lambda: 100.0)
    log.append([event("e1"), event("e2"), event("e3", "v")])
    users.erase_rows("v")
    log.retract("e1")
    with pytest.raises(Problem, match="under another secret") as refused:
        EventLog(database, OTHER).retract("e2")
    assert refused.value.status_code == 409
    with pytest.raises(Problem, match="under another secret"):
        UserStore(database, OTHER, lambda: 100.0).erase_rows("u")
    assert log.append([event("e2")]).duplicates == 1
    with database.begin_read() as connection:
        assert len(connection.execute(retractions.select()).all()) == 1
        assert len(connection.execute(erasures.select()).all()) == 1
    log.retract("e2")
    assert log.append([event("e1"), event("e2"), event("e4", "v")]).refused == 3


def test_where_no_hash_depends_on_a_secret_another_one_takes_its_place(
    database: LiveDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    assert settle_secret(database, OWN)
    assert not settle_secret(database, OTHER)
    assert "under another secret" in caplog.text
    log = EventLog(database, OTHER)
    log.append([event("e1")])
    log.retract("e1")
    assert settle_secret(database, OTHER)
    assert not settle_secret(database, OWN)


def test_a_secret_that_is_lost_is_given_up_as_the_sentence_says(database: LiveDatabase) -> None:
    EventLog(database, OWN).append([event("e1"), event("e2")])
    EventLog(database, OWN).retract("e1")
    with database.begin_write() as write:
        write.connection.execute(secret_check.delete())
    EventLog(database, OTHER).retract("e2")
    assert settle_secret(database, OTHER)


def test_an_import_and_a_build_that_could_bring_erased_users_back_are_refused(
    own_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = build_default_url(own_shop.root)
    database = LiveDatabase.open(url)
    users = UserStore(database, OWN, lambda: 2e9)
    users.erase_rows("v")
    rows = tmp_path / "rows.jsonl"
    row = {"user_id": "v", "item_id": "i0001", "event": "like", "timestamp": 1.7e9}
    rows.write_text(json.dumps(row) + "\n")
    catalog = tmp_path / "items.jsonl"
    catalog.write_text('{"id": "i0001", "title": "a tale", "vector": [1.0, 0.5]}\n')

    def build(*, interactions: str | None) -> None:
        options = BuildOptions(model="none", interactions=interactions)
        plan = StoreBuildPlan(
            [str(catalog)], tmp_path / "built", options, db=url, drops_live=False, import_db=None
        )
        build_with_store(plan, report=lambda *_: None)

    plan = ImportPlan(str(rows), url, own_shop.root)
    monkeypatch.setenv("ZHIYIN_SECRET", "another secret than its own")
    with pytest.raises(LiveStoreError, match="under another secret"):
        import_interactions(plan, report=lambda *_: None)
    with pytest.raises(LiveStoreError, match="under another secret"):
        build(interactions=str(rows))
    build(interactions=None)  # of the log alone, where they are not
    monkeypatch.setenv("ZHIYIN_SECRET", "the secret of the store")
    assert import_interactions(plan, report=lambda *_: None).refused == 1
    database.close()


def test_a_service_with_another_secret_serves_and_erases_nobody(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(own_shop) as client:
        liked(client, "v", "i0001")
        liked(client, "u", "i0002")
        assert client.delete("/v1/users/v").status_code == 200
    monkeypatch.setenv("ZHIYIN_SECRET", "another secret than its own")
    with serve(own_shop) as client:
        assert client.post("/v1/recommend", json={"user_id": "u"}).status_code == 200
        assert "ZHIYIN_SECRET" in problem(client.delete("/v1/users/u"), 409)
        assert client.get("/v1/users/u").json()["events"] == 1
