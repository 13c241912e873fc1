"""One item, however it is made, stops nobody: it is refused, or set aside and named."""

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, build_index
from indexer.errors import GivenUpError
from service.live.item_vectors import to_live_changes
from service.store.database import LiveDatabase
from service.store.item_changes import ItemChange, store_changes
from service.store.rebuild_changes import read_changes
from tests.indexer.reading.test_item_limits import HUGE
from tests.oracle import write_rows
from tests.service.conftest import Serve, Shop, ids_for, problem, samples, wait_until

NEW: dict[str, Any] = {"title": "zeppelin ghost", "tags": ["ghost"]}


def store(root: Path, item_id: str, fields: dict[str, Any], *, dim: int = 32) -> None:
    """Put an item into the live store as a release without limits did."""
    database = LiveDatabase.open(f"sqlite:///{root / 'live.sqlite'}")
    vector = np.full(dim, dim**-0.5, np.float16)
    with database.begin_write() as transaction:
        change = ItemChange(item_id, {"id": item_id, **fields}, vector)
        store_changes(transaction, [change], now=time.time())
    database.close()


def test_an_item_beyond_a_limit_is_refused_by_every_call(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        for refused in (
            client.put("/v1/items/n1", json={**NEW, **HUGE}),
            client.patch("/v1/items/i0001", json=HUGE),
            client.post("/v1/items", json={"items": [{"id": "n1", **NEW, **HUGE}]}),
            client.patch("/v1/items/i0001", json={f"f{n}": {"a": n} for n in range(1_001)}),
        ):
            assert "at most" in (said := problem(refused, 422)) or "more than 1000" in said
        assert problem(client.get("/v1/items/n1"), 404)


def test_an_item_that_grows_by_patches_is_refused_beyond_the_limit(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        for part in range(3):
            fields = {f"f{part}_{n}": n for n in range(400)}
            status = client.patch("/v1/items/i0001", json=fields).status_code
            assert status == (200 if part < 2 else 422)


def test_an_item_that_is_stored_already_is_set_aside_and_can_be_deleted(
    own_shop: Shop, serve: Serve
) -> None:
    store(own_shop.root, "huge", {**NEW, **HUGE})
    store(own_shop.root, "i0001", {**NEW, **HUGE})
    with serve(own_shop) as client:
        assert client.put("/v1/items/n1", json=NEW).status_code == 200
        assert ids_for(client, query="zeppelin ghost", k=500)[0] == "n1"
        assert not {"huge", "i0001"} & set(ids_for(client, k=500))
        assert problem(client.get("/v1/items/huge"), 404)
        assert len(client.get("/v1/catalog/schema").json()["fields"]) < 100
        detail = client.get("/health/ready").json()["detail"]
        assert "'huge' has a field name of 400000 characters" in detail
        assert "'i0001'" in detail
        assert samples(client)
        assert client.delete("/v1/items/huge").status_code == 200
        assert problem(client.delete("/v1/items/huge"), 404)
        assert client.put("/v1/items/i0001", json=NEW).status_code == 200
        assert "i0001" in ids_for(client, k=500)
        assert client.get("/health/ready").json()["detail"] is None


def test_an_item_that_cannot_be_read_is_set_aside_and_the_others_are_shown(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        store(own_shop.root, f"n{number}", {**NEW, "title": f"zeppelin {number}"})

    def fail_at_one(index: Index, changes: Any) -> Any:
        if any(change.item_id == "n3" and change.fields for change in changes):
            raise KeyError("n3")
        return to_live_changes(index, changes)

    monkeypatch.setattr("service.live.item_changes.to_live_changes", fail_at_one)
    with serve(own_shop) as client:
        shown = set(ids_for(client, query="zeppelin", k=500))
        assert {f"n{number}" for number in range(7) if number != 3} <= shown
        assert "n3" not in shown
        assert "'n3' cannot be read" in client.get("/health/ready").json()["detail"]


def test_changes_that_nobody_waits_for_are_not_set_aside(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a request that took too long would hide the items it was about to encode."""
    tried: list[int] = []

    def give_up_once(index: Index, changes: Any) -> Any:
        tried.append(len(changes))
        if len(tried) == 1:
            raise GivenUpError
        return to_live_changes(index, changes)

    store(own_shop.root, "n1", NEW)
    monkeypatch.setattr("service.live.item_changes.to_live_changes", give_up_once)
    with serve(own_shop) as client:
        wait_until(lambda: client.post("/v1/recommend", json={}).status_code == 200)
        assert tried
        assert "n1" in ids_for(client, query="zeppelin ghost", k=500)
        assert client.get("/health/ready").json()["detail"] is None


def test_a_rebuild_leaves_such_an_item_out_with_the_reason(tmp_path: Path) -> None:
    rows = [{"id": f"v{n}", "title": f"item {n}", "vector": [1.0, n]} for n in range(9)]
    catalog = write_rows(tmp_path / "items.jsonl", rows)
    build_index(catalog, tmp_path / "index", model="none")
    store(tmp_path / "index", "huge", {**NEW, **HUGE}, dim=2)
    database = LiveDatabase.open(f"sqlite:///{tmp_path / 'index' / 'live.sqlite'}")
    changes, _ = read_changes(database, "a secret of the tests", now=1.0e9)
    database.close()
    summary = build_index(
        catalog, tmp_path / "index", model="none", changes=changes.items, max_rejected=0.5
    )
    assert (summary.items, summary.rejected) == (9, 1)


def test_new_fields_of_live_items_are_bounded_as_those_of_a_build(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        for part in range(4):
            item = {**NEW, **{f"f{part}_{n}": n for n in range(900)}}
            assert client.put(f"/v1/items/n{part}", json=item).status_code == 200
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert len(client.get("/v1/catalog/schema").json()["fields"]) == 2_000
        filtered = client.post("/v1/recommend", json={"filter": {"f0_1": 1}})
        assert [hit["id"] for hit in filtered.json()["items"]] == ["n0"]


def test_field_names_of_all_live_items_together_are_bounded(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.live.items.MAX_LIVE_FIELDS", 300)
    monkeypatch.setattr("indexer.live.catalogue.MAX_LIVE_FIELDS", 300)

    def item(part: int, count: int = 90) -> dict[str, Any]:
        return {**NEW, "more": {f"f{part}_{n}": n for n in range(count)}}

    with serve(own_shop) as client:
        for part in range(3):
            assert client.put(f"/v1/items/n{part}", json=item(part)).status_code == 200
        many = {"items": [{"id": f"b{n}", **item(9 + n, 5)} for n in range(9)]}
        for refused in (
            client.put("/v1/items/n4", json=item(4)),
            client.post("/v1/items", json=many),
            client.patch("/v1/items/i0001", json=item(5)),
        ):
            said = problem(refused, 422)
            assert re.search(r"would have 3\d\d different field names, at most 300 are taken", said)
        assert problem(client.get("/v1/items/n4"), 404)
        # The same names again, other items without new names, and one in place of another, are not.
        assert client.put("/v1/items/n4", json=item(2)).status_code == 200
        assert client.put("/v1/items/n5", json=NEW).status_code == 200
        assert client.put("/v1/items/n1", json=item(6)).status_code == 200
        assert client.delete("/v1/items/n0").status_code == 200
        assert client.put("/v1/items/n7", json=item(7)).status_code == 200
        assert problem(client.put("/v1/items/n8", json=item(8)), 422)
