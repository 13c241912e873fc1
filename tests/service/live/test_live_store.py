"""The live store of a service: what cannot be written, and clocks that are wrong."""

import os
from pathlib import Path
from typing import Any

import pytest

from service import Settings
from service.live import describe_missing_store, find_live_url
from tests.service.conftest import Serve, Shop, ids_for, liked, problem

NOW = 1.8e9


@pytest.mark.parametrize("name", ["", "live.sqlite"])
def test_what_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    read_only = tmp_path / name
    if name:
        read_only.touch()
    settings = Settings(tmp_path)
    assert find_live_url(settings) == f"sqlite:///{tmp_path / 'live.sqlite'}"
    access = os.access

    def refuse(path: Any, mode: int) -> bool:
        return Path(path) != read_only and access(path, mode)

    monkeypatch.setattr(os, "access", refuse)
    assert find_live_url(settings) is None
    assert f"{read_only} cannot be written" in describe_missing_store(settings)


def test_a_clock_that_goes_back_loses_nothing(own_shop: Shop, serve: Serve) -> None:
    now = [NOW]
    with serve(own_shop, clock=lambda: now[0]) as client:
        liked(client, "u1", "i0001")
        liked(client, "u2", "i0009")
        first = client.post("/v1/recommend", json={"k": 5}).json()
        now[0] = NOW - 3_600
        liked(client, "u1", "i0006")
        client.put("/v1/users/u1", json={"interests": ["悬疑"]}).raise_for_status()
        client.post("/v1/users/merge", json={"from": "u2", "into": "u1"}).raise_for_status()
        known = client.get("/v1/users/u1").json()
        assert (known["events"], known["interests"]) == (3, ["悬疑"])
        assert not {"i0001", "i0006", "i0009"} & set(ids_for(client, user_id="u1", k=50))
        trending = client.get("/v1/trending?k=3").json()["items"]
        assert {hit["id"] for hit in trending} == {"i0001", "i0006", "i0009"}
        following = client.post("/v1/recommend", json={"cursor": first["next_cursor"]}).json()
        pages = [hit["id"] for hit in (*first["items"], *following["items"])]
        assert len(set(pages)) == len(pages) > 5
        assert client.delete("/v1/users/u1").json()["erased_events"] == 3
        assert problem(client.get("/v1/users/u1"), 404)
        now[0] += 1
        late = {"user_id": "u1", "item_id": "i0001", "event": "like"}
        answer = client.post("/v1/events", json=late).json()
        assert (answer["accepted"], answer["live_seq"]) == (1, first["live_seq"] + 5)


def test_a_clock_that_jumps_by_a_day_loses_doubles_and_refuses_nothing_for_ever(
    own_shop: Shop, serve: Serve
) -> None:
    day, now, kept = 86_400.0, [NOW], 0
    ids = [row["id"] for row in own_shop.rows if row.get("available", True)][:12]
    with serve(own_shop, clock=lambda: now[0]) as client:
        for place, jump in enumerate((0, -day, 2 * day, -day, -day, day)):
            now[0] += jump
            sent = [
                {"user_id": "u1", "item_id": ids[2 * place + n], "event": "like", "event_id": name}
                for n, name in enumerate((f"{place}-a", f"{place}-b"))
            ]
            assert client.post("/v1/events", json={"events": sent}).json()["accepted"] == 2
            kept += 2
            again = client.post("/v1/events", json={"events": sent}).json()
            assert (again["accepted"], again["duplicates"]) == (0, 2)
            shown = set(ids_for(client, user_id="u1", k=500))
            assert not shown & set(ids[:kept])
            assert set(ids[kept:]) <= shown
            assert client.get("/v1/users/u1").json()["events"] == kept
            trending = client.get("/v1/trending?k=2").json()["items"]
            assert {hit["id"] for hit in trending} <= set(ids[:kept])
        assert client.delete("/v1/users/u1").json()["erased_events"] == kept
        now[0] -= day  # what the user does anew is kept once the time of the erasure has passed
        like = {"user_id": "u1", "item_id": ids[0], "event": "like"}
        assert client.post("/v1/events", json=like).json()["refused"] == 1
        assert client.post("/v1/events", json={**like, "user_id": "u2"}).json()["accepted"] == 1
        now[0] += day + 1
        assert client.post("/v1/events", json=like).json()["accepted"] == 1
        assert client.get("/v1/users/u1").json()["events"] == 1
