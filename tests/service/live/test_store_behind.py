"""Item changes in a live store that is behind what a snapshot has applied of another one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer import Index, build_index
from indexer.live import LiveCatalogue
from service.live.items import LiveItems, StaleViewError
from service.live.snapshot_entries import find_highest_applied_seq
from service.store.database import LiveDatabase
from tests.oracle import write_rows
from tests.service.conftest import Serve, Shop

APPLIED_SEQ = 90


def build_applied(shop: Shop, folder: Path, applied_seq: int) -> str:
    """Publish a snapshot that has applied the changes of a store up to a number."""
    catalog = write_rows(folder / f"to-{applied_seq}.jsonl", shop.rows)
    built = build_index(catalog, shop.root, encoder=shop.encoder, applied_seq=applied_seq)
    return built.snapshot


@pytest.fixture
def index(own_shop: Shop, tmp_path: Path) -> Iterator[Index]:
    build_applied(own_shop, tmp_path, APPLIED_SEQ)
    index = Index.open(own_shop.root, encoder=own_shop.encoder)
    yield index
    index.close()


def load(database: LiveDatabase, items: LiveItems, index: Index) -> Any:
    while True:
        with database.begin_read() as connection:
            try:
                return items.load_catalogue(index, connection, database.read_sequence(connection))
            except StaleViewError:
                continue


@pytest.mark.parametrize("change", ["put", "patch", "delete"])
def test_a_change_before_the_first_read_shows(live_url: str, index: Index, change: str) -> None:
    database = LiveDatabase.open(live_url)
    items = LiveItems(database, lambda: 1.0)
    if change == "put":
        drafts = items.draft(
            index, [{"id": "i0001", "title": "a new title"}], lambda: LiveCatalogue(index)
        )
        seq = items.store(index, drafts).seq
    elif change == "patch":
        patch = {"id": "i0001", "title": "a new title"}
        items.patch(index, lambda: LiveCatalogue(index), patch)
        seq = APPLIED_SEQ + 1  # it shows only if it has this number
    else:
        seq = items.delete(index, "i0001")
    assert seq == APPLIED_SEQ + 1
    found = load(database, items, index).get("i0001")
    if change == "delete":
        assert found is None
    else:
        assert found["title"] == "a new title"
    database.close()


def test_a_change_shows_in_a_snapshot_that_becomes_the_current_one_later(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    later = build_applied(own_shop, tmp_path, APPLIED_SEQ)
    build_applied(own_shop, tmp_path, 20)
    assert find_highest_applied_seq(own_shop.root) == APPLIED_SEQ
    with serve(own_shop) as client:
        answer = client.put("/v1/items/n1", json={"title": "zeppelin over the sea"}).json()
        assert answer["live_seq"] > APPLIED_SEQ
        client.post(f"/v1/snapshots/{later}/activate").raise_for_status()
        assert client.get("/v1/items/n1").json()["title"] == "zeppelin over the sea"


def test_an_older_store_that_is_put_back_counts_on_after_the_snapshot(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    build_applied(own_shop, tmp_path, APPLIED_SEQ)
    file = own_shop.root / "live.sqlite"
    with serve(own_shop, poll_s=60) as client:
        LiveDatabase.open(f"sqlite:///{tmp_path / 'older'}").close()
        for one in own_shop.root.glob("live.sqlite*"):
            one.unlink()
        (tmp_path / "older").rename(file)
        answer = client.put("/v1/items/n1", json={"title": "zeppelin over the sea"}).json()
        assert answer["live_seq"] == APPLIED_SEQ + 1
        assert client.get("/v1/items/n1").json()["title"] == "zeppelin over the sea"
