"""Changed items: on the next list, after restarts and rebuilds; never twice, deleted for good."""

import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer import Index, build_index
from indexer.language.encoder_background import load_background_texts
from indexer.reading.item import DeletedId
from service import Settings
from service.live.items import LiveItems
from service.store.database import LiveDatabase
from service.store.item_changes import load_changes
from service.store.rebuild_changes import cache_live_vectors, prune_applied_changes, read_changes
from tests.oracle import write_rows
from tests.paths import REPOSITORY, SCRIPTS
from tests.service.conftest import Serve, Shop, ids_for, liked, problem, wait_until

SECRET = "a secret of the tests"
NEW: dict[str, Any] = {"title": "zeppelin ghost", "tags": ["ghost"], "colour": "red", "rating": 5}
Json = dict[str, Any]


def test_a_new_item_is_on_the_next_list_of_every_kind(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        assert client.put("/v1/items/n1", json=NEW).json() == {"id": "n1", "live_seq": 1}
        assert client.get("/v1/items/n1").json() == {"id": "n1", **NEW}
        assert ids_for(client, query="zeppelin ghost", k=1) == ["n1"]
        assert ids_for(client, filter={"colour": "red"}) == ["n1"]
        found = client.post("/v1/search", json={"query": "Zeppelin ghost", "k": 2}).json()
        assert found["items"][0]["id"] == "n1"
        assert found["live_seq"] == 1
        alike = client.get("/v1/items/n1/similar").json()["items"]
        assert "n1" not in [hit["id"] for hit in alike]
        assert "ghost" in alike[0]["item"]["tags"]
        assert len(ids_for(client, history=[{"item_id": "n1", "event": "like"}])) == 10
        assert "colour" in {f["name"] for f in client.get("/v1/catalog/schema").json()["fields"]}
        listed = client.get("/v1/items", params={"filter": '{"colour": "red"}'}).json()
        assert [item["id"] for item in listed["items"]] == ["n1"]
        liked(client, "u1", "n1")
        assert "n1" not in ids_for(client, user_id="u1", k=500)


def test_a_replaced_item_is_shown_once_and_as_it_is_now(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        client.put("/v1/items/i0001", json=NEW)
        everything = ids_for(client, query="zeppelin", k=500)
        assert everything.count("i0001") == 1
        assert everything[0] == "i0001"
        assert client.get("/v1/items/i0001").json() == {"id": "i0001", **NEW}


def test_a_deleted_item_is_nowhere_and_counted(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        client.put("/v1/items/n1", json=NEW)
        for item_id in ("i0001", "n1"):
            assert client.delete(f"/v1/items/{item_id}").status_code == 200
            assert problem(client.delete(f"/v1/items/{item_id}"), 404)
            assert problem(client.get(f"/v1/items/{item_id}"), 404)
        answer = client.post("/v1/recommend", json={"k": 500, "history": ["i0001"]}).json()
        assert answer["complete"]["excluded"]["deleted"] == 1
        assert answer["unknown_items"] == ["i0001"]
        assert not {"i0001", "n1"} & {hit["id"] for hit in answer["items"]}
        listed = client.get("/v1/items", params={"limit": 500}).json()
        assert listed["complete"]["eligible"] == len(own_shop.rows) - 1
        assert client.put("/v1/items/i0001", json=NEW).status_code == 200
        assert "i0001" in ids_for(client, k=500)


def test_a_patch_changes_what_it_names(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        before = client.get("/v1/items/i0000").json()
        encoded = own_shop.encoder.encoded
        patched = client.patch("/v1/items/i0000", json={"pages": 9, "note": "n"}).json()
        assert patched == {**before, "pages": 9, "note": "n"}
        assert own_shop.encoder.encoded == encoded + 1  # a new word
        client.patch("/v1/items/i0000", json={"pages": 10})
        assert own_shop.encoder.encoded == encoded + 1  # numbers are no words here
        patched = client.patch("/v1/items/i0000", json={"note": None, "title": "zeppelin"}).json()
        assert patched == {**before, "pages": 10, "title": "zeppelin"}
        found = client.post("/v1/search", json={"query": "zeppelin", "k": 1}).json()
        assert found["items"][0]["id"] == "i0000"
        assert problem(client.patch("/v1/items/nowhere", json={"pages": 1}), 404)
        emptied = {"title": None, "tags": None}
        assert "no text" in problem(client.patch("/v1/items/i0000", json=emptied), 422)


def test_an_item_that_is_put_as_it_was_is_not_encoded(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        row = next(row for row in own_shop.rows if row["id"] == "i0001")
        encoded = own_shop.encoder.encoded
        client.put("/v1/items/i0001", json=row)
        assert own_shop.encoder.encoded == encoded


def test_patches_at_the_same_time_all_count(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:

        def patch(number: int) -> None:
            assert client.patch("/v1/items/i0000", json={f"f{number}": number}).status_code == 200

        threads = [threading.Thread(target=patch, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        item = client.get("/v1/items/i0000").json()
        assert [item.get(f"f{number}") for number in range(8)] == list(range(8))


def test_a_batch_is_kept_whole_or_not_at_all(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        items = [{"id": f"n{number}", **NEW} for number in range(5)]
        answer = client.post("/v1/items", json={"items": [*items, {**items[0], "rating": 1}]})
        assert answer.json() == {"accepted": 6, "ids": [*(f"n{n}" for n in range(5)), "n0"],
                                 "live_seq": 5}  # fmt: skip
        assert client.get("/v1/items/n0").json()["rating"] == 1
        bad = [{"id": "ok", "title": "x"}, {"id": "bad"}]
        refused = client.post("/v1/items", json={"items": bad})
        assert "items[1]: the item is refused: has no text" in problem(refused, 422)
        assert problem(client.get("/v1/items/ok"), 404)


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("PUT", "n1", {"id": "n2", "title": "x"}, "the path 'n1'"),
        ("PUT", "n1", {}, "has no text"),
        ("PUT", "n1", {"title": "x", "rating": "good"}, "rating must be a number"),
        ("PUT", "n1", {"title": "x", "vector": [1.0, 2.0]}, "vector has 2 numbers, expected 32"),
        ("PUT", "n1", {"title": "x", "vector": ["a"]}, "vector"),
        ("PUT", "n1", [], "JSON object"),
        ("PUT", "x" * 600, {"title": "x"}, "1 to 512 characters"),
        ("POST", "", {"items": {}}, "must be a list"),
        ("POST", "", {"items": [3]}, "items must be an object"),
        ("POST", "", {"items": [{"title": "x"}] * 1001}, "at most 1000"),
        ("POST", "", {"item": []}, "unknown field 'item'"),
    ],
)  # fmt: skip
def test_a_bad_item_is_refused_with_a_sentence(
    client: TestClient, method: str, path: str, body: Any, said: str
) -> None:
    url = f"/v1/items/{path}".rstrip("/")
    told = problem(client.request(method, url, json=body), 422)
    assert said.removeprefix("items ") in told


def test_pages_have_no_repeats_and_no_gaps_while_items_change(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        found: list[str] = []
        body: Json = {"query": "sea", "k": 60}
        for number in range(20):
            answer = client.post("/v1/recommend", json=body).json()
            found += [hit["id"] for hit in answer["items"]]
            if not answer["next_cursor"]:
                break
            body = {"cursor": answer["next_cursor"]}
            client.put(f"/v1/items/i{number:04d}", json={**NEW, "title": f"sea {number}"})
        assert len(found) == len(set(found))
        assert set(ids_for(client, k=500)) - set(found) <= {
            f"i{number:04d}" for number in range(20)
        }


def test_changes_outlive_restarts_roll_backs_and_rebuilds(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{own_shop.root / 'live.sqlite'}"
    with serve(own_shop) as client:
        first = client.get("/health/ready").json()["snapshot"]
        client.put("/v1/items/n1", json=NEW)
        client.put("/v1/items/i0000", json={"title": "zeppelin 0"})
        client.delete("/v1/items/i0001")
        check_changed(client)
    with serve(own_shop) as client:
        check_changed(client)
        second = rebuilt(own_shop, tmp_path, url)
        wait_until(lambda: client.get("/health/ready").json()["snapshot"] == second)
        check_changed(client)
        client.put("/v1/items/n2", json={"title": "after the build"})
        rolled = client.post(f"/v1/snapshots/{first}/activate")
        assert rolled.json()["snapshot"] == first
        check_changed(client)
        assert client.get("/v1/items/n2").status_code == 200
        third = rebuilt(own_shop, tmp_path, url)  # the catalogue still has the old rows
        wait_until(lambda: client.get("/health/ready").json()["snapshot"] == third)
        check_changed(client)
        assert client.get("/v1/items/n2").status_code == 200


def test_a_snapshot_opened_anew_is_not_read_through_what_it_was_before(
    own_shop: Shop, tmp_path: Path
) -> None:
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'live.sqlite'}")
    items = LiveItems(database, time.time)
    for _ in range(2):
        index = Index.open(own_shop.root, encoder=own_shop.encoder)
        with closing(index), database.begin_read() as connection:
            now = database.read_sequence(connection)
            assert items.load_catalogue(index, connection, now).base is index
    database.close()


def check_changed(client: TestClient) -> None:
    everything = ids_for(client, k=500)
    assert everything.count("n1") == 1
    assert "i0001" not in everything
    assert client.get("/v1/items/i0000").json()["title"] == "zeppelin 0"
    assert client.get("/v1/items/n1").json() == {"id": "n1", **NEW}


def rebuilt(shop: Shop, folder: Path, url: str, *, drops: bool = False) -> str:
    """What scripts/rebuild_index.py --db does, with the encoder of the tests."""
    database = LiveDatabase.open(url)
    found, changes = read_changes(database, SECRET, now=time.time(), with_items=not drops)
    cache_live_vectors(shop.root, changes)
    summary = build_index(
        write_rows(folder / "again.jsonl", shop.rows),
        shop.root,
        encoder=shop.encoder,
        changes=found.items,
        applied_seq=found.applied_seq,
    )
    prune_applied_changes(database, shop.root, drop_up_to_seq=found.applied_seq if drops else None)
    database.close()
    return summary.snapshot


def test_dropped_changes_are_gone_but_not_from_older_snapshots(
    own_shop: Shop, serve: Serve, tmp_path: Path, live_url: str
) -> None:
    url = live_url
    with serve(own_shop, db=url) as client:
        first = client.get("/health/ready").json()["snapshot"]
        client.put("/v1/items/n1", json=NEW)
        client.delete("/v1/items/i0001")
        second = rebuilt(own_shop, tmp_path, url, drops=True)
        wait_until(lambda: client.get("/health/ready").json()["snapshot"] == second)
        assert problem(client.get("/v1/items/n1"), 404)
        assert client.get("/v1/items/i0001").status_code == 200
        client.post(f"/v1/snapshots/{first}/activate")
        assert client.get("/v1/items/n1").status_code == 200
        assert problem(client.get("/v1/items/i0001"), 404)
        third = rebuilt(own_shop, tmp_path, url)  # what was dropped is not folded in again
        wait_until(lambda: client.get("/health/ready").json()["snapshot"] == third)
        assert problem(client.get("/v1/items/n1"), 404)


def test_a_rebuild_encodes_no_text_that_the_service_has_encoded(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    with serve(own_shop) as client:
        client.put("/v1/items/n1", json=NEW)
        encoded = own_shop.encoder.encoded
        rebuilt(own_shop, tmp_path, f"sqlite:///{own_shop.root / 'live.sqlite'}")
        again = own_shop.encoder.encoded - encoded
    assert again <= len(load_background_texts().items) + 2  # that of the space, and the probe


def test_another_store_goes_on_counting_after_what_the_snapshot_has_applied(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    with serve(own_shop) as client:
        for number in range(5):
            client.put(f"/v1/items/n{number}", json=NEW)
    rebuilt(own_shop, tmp_path, f"sqlite:///{own_shop.root / 'live.sqlite'}")
    with serve(own_shop, db=f"sqlite:///{tmp_path / 'fresh.sqlite'}") as client:
        assert client.post("/v1/recommend", json={}).json()["live_seq"] == 5
        assert client.put("/v1/items/m1", json=NEW).json()["live_seq"] == 6
        assert client.get("/v1/items/m1").status_code == 200


def test_without_a_model_items_bring_their_vectors(
    vectors_only: Path, own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    with serve(replace(own_shop, root=vectors_only)) as client:
        assert "--model none" in problem(client.put("/v1/items/w", json={"title": "w"}), 422)
        client.put("/v1/items/w", json={"title": "w", "vector": [1.0, 7.1, 0.5]})
        nearest = ids_for(client, history=[{"item_id": "v7", "event": "like"}], k=1)
        assert nearest == ["w"]
        client.patch("/v1/items/w", json={"title": "still where it was"})
        client.patch("/v1/items/v3", json={"title": "moved", "vector": [1.0, 7.0, 0.5]})
        client.patch("/v1/items/v4", json={"title": "not moved"})
        liked_v7 = [{"item_id": "v7", "event": "like"}]
        assert set(ids_for(client, history=liked_v7, k=2)) == {"w", "v3"}
    database = LiveDatabase.open(f"sqlite:///{vectors_only / 'live.sqlite'}")
    found, _ = read_changes(database, SECRET, now=time.time())
    assert [change.id for change in found.items] == ["w", "v3", "v4"]
    assert not any(isinstance(change, DeletedId) for change in found.items)
    with database.begin_read() as connection:
        assert load_changes(connection, ["w"])["w"].encoder_key == ""
    database.close()
    script = SCRIPTS / "rebuild_index.py"
    ran = subprocess.run(
        [
            sys.executable, str(script), "--catalog", str(tmp_path / "items.jsonl"), "--out",
            str(vectors_only), "--model", "none", "--db",
            f"sqlite:///{vectors_only / 'live.sqlite'}",
        ],
        env={"PYTHONPATH": str(REPOSITORY), "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    index = Index.open(vectors_only)
    assert (index.get("w") or {})["title"] == "still where it was"
    assert (index.get("v3") or {})["title"] == "moved"
    assert index.manifest.applied_seq == 4
    assert Settings(vectors_only).db is None
