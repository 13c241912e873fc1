"""Users with very many events: their lists leave out all they have seen, in bounded memory."""

from random import Random
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store import user_state
from service.store.events import Event
from service.store.sequence_reader import ROWS_AT_ONCE
from service.store.user_state import MAX_RECENT_EVENTS, SeenItems, build_user_state
from tests.service.conftest import Serve, Shop, ids_for

UNKNOWN = 3 * MAX_RECENT_EVENTS


def post(client: TestClient, events: list[dict[str, Any]]) -> None:
    for first in range(0, len(events), 1_000):
        sent = {"events": events[first : first + 1_000]}
        assert client.post("/v1/events", json=sent).json()["accepted"] == len(sent["events"])


@pytest.mark.parametrize("limit", [10, 10_000])
def test_all_that_was_ever_seen_is_left_out_of_a_list(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(user_state, "MAX_UNCHECKED_ITEMS", limit)
    monkeypatch.setattr("service.store.sequence_reader.ROWS_AT_ONCE", 50)
    rng = Random(3)
    seen = rng.sample([row["id"] for row in own_shop.rows if row.get("available", True)], 150)
    ids = [*seen, *(f"unknown{n}" for n in range(UNKNOWN)), "coming"]
    rng.shuffle(ids)
    kinds = ("click", "like", "view")
    events = [
        {"user_id": "u1", "item_id": i, "event": rng.choice(kinds), "at": 1e9 + n}
        for n, i in enumerate(ids)
    ]
    newest = [{**events[0], "event": "impression", "item_id": "i0001", "at": 1.5e9}]
    with serve(own_shop) as client:
        everything = set(ids_for(client, k=500))
        assert len(everything) > 300
        post(client, events + newest)
        for _ in range(2):  # what is kept, too
            assert set(ids_for(client, user_id="u1", k=500)) == everything - set(seen)
        assert set(ids_for(client, user_id="u1", include_seen=True, k=500)) == everything
        item = {"title": "a ghost that is new", "tags": ["ghost"]}
        assert client.put("/v1/items/coming", json=item).status_code == 200
        assert client.put("/v1/items/other", json=item).status_code == 200
        shown = set(ids_for(client, user_id="u1", k=500))
        assert shown == everything - set(seen) | {"other"}  # the other was seen before it existed
        assert client.delete(f"/v1/items/{seen[0]}").status_code == 200
        assert client.put(f"/v1/items/{seen[0]}", json=item).status_code == 200
        assert set(ids_for(client, user_id="u1", k=500)) == shown


def test_pairs_are_counted_as_a_fold_over_the_log_counts_them() -> None:
    rng = Random(4)
    kinds = ("click", "like", "search", "impression")
    events = [
        Event(f"e{n}", "u", None, rng.choice([f"m{rng.randrange(99)}", None]), rng.choice(kinds),
              None, None, float(n))
        for n in range(2_000)
    ]  # fmt: skip
    expected = {
        kind: tuple(sorted({e.item_id for e in events if e.event == kind and e.item_id}))
        for kind in ("click", "like")
    }
    seen = SeenItems(lambda ids: ids)
    for first in range(0, len(events), 7):
        seen.add((event.event, event.item_id) for event in events[first : first + 7])
    assert seen.list_by_event() == expected == build_user_state(events).items_by_event
    assert not seen.is_checked


def test_as_many_ids_are_in_memory_as_the_catalogue_may_have() -> None:
    """However many there are events of that do not exist."""
    known = {f"m{n}" for n in range(1_000)}
    sizes: list[int] = []

    def keep_known(ids: Any) -> set[str]:
        sizes.append(len(ids))
        return known & set(ids)

    seen = SeenItems(keep_known)
    for first in range(0, 40 * user_state.MAX_UNCHECKED_ITEMS, ROWS_AT_ONCE):
        seen.add(("click", f"x{n}") for n in range(first, first + ROWS_AT_ONCE))
        if first % 100_000 == 0:
            seen.add([("like", f"m{first // 100_000}")])
    assert max(sizes) <= user_state.MAX_UNCHECKED_ITEMS + 2 * len(known) + ROWS_AT_ONCE
    assert len(sizes) >= 30
    assert seen.list_by_event()["like"] == tuple(sorted(f"m{n}" for n in range(20)))


def test_a_long_log_is_read_once_however_often_its_user_asks(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_state, "MAX_UNCHECKED_ITEMS", 10)
    reads: list[int] = []
    add = SeenItems.add

    def count(self: SeenItems, pairs: Any) -> None:
        found = list(pairs)
        reads.append(len(found))
        add(self, found)

    events = [
        {"user_id": "u1", "item_id": f"x{n}", "event": "click", "at": 1e9 + n} for n in range(900)
    ]
    with serve(own_shop) as client:
        post(client, events)
        monkeypatch.setattr(SeenItems, "add", count)
        for _ in range(3):
            ids_for(client, user_id="u1", k=5)
            ids_for(client, user_id="u1", k=5, filter={"tags": "ghost"})
        assert sum(reads) < 2 * len(events)
