"""Trending items: decayed by time, the same on every worker, gone with their events."""

import math
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.event_kinds import EVENT_WEIGHTS
from indexer.request.scenarios import SCENARIOS
from service.store import trending as trending_module
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from service.store.trending import DEFAULT_HALF_LIFE_S, HALF_LIFE_S, Trending
from tests.service.conftest import Serve, Shop, liked, problem

NOW = 1.8e9
DAY = 86_400.0
SCALE = (1.0, 5.0)


class Log:
    """A log and two workers that look at it."""

    def __init__(self, database: LiveDatabase) -> None:
        self.database = database
        self.log = EventLog(database, UserHasher("a secret of the tests"))
        self.workers = [Trending(), Trending()]

    def happened(self, item: str, days_ago: float, event: str = "like", **more: Any) -> str:
        name = f"e{len(self.log.append([]).event_ids)}-{item}-{days_ago}-{event}"
        at = NOW - days_ago * DAY
        made = Event(name, "u", None, item, event, more.get("value"), "text", at)
        self.log.append([made])
        return name

    def shares(self, worker: int = 0, scenario: str = "default", now: float = NOW) -> Any:
        with self.database.begin_read() as connection:
            upto = self.database.read_sequence(connection)
            return self.workers[worker].compute_shares(
                lambda: connection, upto, SCENARIOS[scenario], scale=SCALE, now=now
            )


@pytest.fixture
def log(database: LiveDatabase) -> Log:
    return Log(database)


def test_popularity_halves_with_every_half_life(log: Log) -> None:
    log.happened("old", DEFAULT_HALF_LIFE_S / DAY)
    log.happened("older", 2 * DEFAULT_HALF_LIFE_S / DAY)
    log.happened("new", 0)
    assert log.shares() == pytest.approx({"new": 1.0, "old": 0.5, "older": 0.25})
    faster = HALF_LIFE_S["news"]
    expected = 0.5 ** (DEFAULT_HALF_LIFE_S / faster)
    assert log.shares(scenario="news")["old"] == pytest.approx(expected)


def test_what_is_added_up_bit_by_bit_is_the_sum_over_the_log(log: Log) -> None:
    happened = [("a", 3.0, "like"), ("b", 0.5, "view"), ("a", 9.0, "purchase"), ("b", 2.0, "like"),
                ("c", 1.0, "dislike"), ("a", 0.1, "skip"), ("d", 0.2, "impression")]  # fmt: skip
    expected: dict[str, float] = {}
    for item, days_ago, event in happened:
        log.happened(item, days_ago, event)
        log.shares(0)  # one worker looks all the time, the other only at the end
        if event != "impression":
            gain = EVENT_WEIGHTS[event] * math.pow(0.5, days_ago * DAY / DEFAULT_HALF_LIFE_S)
            expected[item] = expected.get(item, 0.0) + gain
    liked_ = {item: total for item, total in expected.items() if total > 0}
    top = max(liked_.values())
    assert log.shares(0) == pytest.approx({i: total / top for i, total in liked_.items()})
    assert log.shares(0) == pytest.approx(log.shares(1))


def test_ratings_count_by_their_value_and_bad_ones_against(log: Log) -> None:
    log.happened("good", 0, "rating", value=5)
    log.happened("fair", 0, "rating", value=4)
    log.happened("bad", 0, "rating", value=1)
    assert log.shares() == {"good": 1.0, "fair": 0.5}


def test_a_clock_that_runs_fast_gains_nothing(log: Log) -> None:
    log.happened("ahead", -0.9)
    log.happened("now", 0)
    assert log.shares() == {"ahead": 1.0, "now": 1.0}
    assert log.shares(now=NOW + 0.9 * DAY)["now"] == pytest.approx(0.5**0.3)


def test_years_ahead_do_not_count_until_the_day_before(log: Log) -> None:
    """Events that an earlier release has kept; today they are refused."""
    log.happened("ahead", -400)
    log.happened("now", 0)
    assert log.shares() == {"now": 1.0}
    assert log.shares(now=NOW + 398 * DAY) == {"now": 1.0}
    later = log.shares(now=NOW + 400 * DAY)
    assert later["ahead"] == 1.0
    assert later.get("now", 0.0) < 1e-9


def test_a_retracted_event_does_not_count_as_trending_on_any_worker(log: Log) -> None:
    name = log.happened("a", 0)
    log.happened("b", 0)
    assert set(log.shares(0)) == set(log.shares(1)) == {"a", "b"}
    log.log.retract(name)
    assert log.shares(0) == log.shares(1) == {"b": 1.0}


def test_only_the_top_items_are_returned(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trending_module, "MAX_TRENDING_ITEMS", 2)
    for place, item in enumerate(("c", "b", "a")):
        log.happened(item, place)
    assert list(log.shares()) == ["c", "b"]


def test_the_list_is_of_the_usual_shape_and_never_short(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        for user in range(3):
            liked(client, f"u{user}", "i0006", "i0001")
        liked(client, "u9", "i0006", "nowhere")
        answer = client.get("/v1/trending", params={"k": 12}).json()
        assert [hit["id"] for hit in answer["items"][:2]] == ["i0006", "i0001"]
        assert answer["items"][0]["reasons"][0]["kind"] == "trending"
        for hit in answer["items"]:
            assert sum(r["share"] for r in hit["reasons"]) == pytest.approx(hit["score"], abs=1e-4)
        assert len(answer["items"]) == 12
        assert answer["live_seq"] == 8
        following = client.get("/v1/trending", params={"cursor": answer["next_cursor"]}).json()
        ids = [hit["id"] for hit in (*answer["items"], *following["items"])]
        assert len(set(ids)) == len(ids) == 12 + 12
        client.delete("/v1/items/i0006")
        assert client.get("/v1/trending").json()["items"][0]["id"] == "i0001"


def test_a_scenario_may_give_trending_items_weight(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(own_shop) as client:
        liked(client, "u9", "i0006")
        body = {"query": "robot garden", "k": 400}
        before = {hit["id"]: hit for hit in client.post("/v1/recommend", json=body).json()["items"]}
        keen = replace(SCENARIOS["default"], trending_weight=0.2)
        monkeypatch.setattr("service.answering.lists.find_scenario", lambda *_: keen)
        after = {hit["id"]: hit for hit in client.post("/v1/recommend", json=body).json()["items"]}
        gain = after["i0006"]["score"] - before["i0006"]["score"]
        assert gain == pytest.approx(0.2, abs=1e-5)
        assert {"kind": "trending", "share": 0.2} in after["i0006"]["reasons"]
        assert after["i0001"]["score"] == pytest.approx(before["i0001"]["score"], abs=1e-6)


def test_an_unknown_user_sees_trending_items_first(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        before = {h["id"]: h for h in client.post("/v1/recommend", json={"k": 400}).json()["items"]}
        liked(client, "u9", "i0006")
        for body in ({"k": 400}, {"k": 400, "user_id": "nobody"}):
            hits = {h["id"]: h for h in client.post("/v1/recommend", json=body).json()["items"]}
            gain = hits["i0006"]["score"] - before["i0006"]["score"]
            assert gain == pytest.approx(0.1, abs=1e-5)
            assert {"kind": "trending", "share": 0.1} in hits["i0006"]["reasons"]
        known = {"k": 400, "history": [{"item_id": "i0001", "event": "like"}]}
        answer = client.post("/v1/recommend", json=known).json()
        assert "trending" not in {r["kind"] for h in answer["items"] for r in h["reasons"]}
        together = client.post("/v1/recommend/batch", json={"requests": [{"k": 400}, known]}).json()
        alone = client.post("/v1/recommend", json={"k": 400}).json()
        assert [h["score"] for h in together["answers"][0]["items"]] == pytest.approx(
            [h["score"] for h in alone["items"]], abs=1e-5
        )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"k": 0}, "greater than or equal to 1"),
        ({"k": "many"}, "k"),
        ({"scenario": "vidoe"}, "did you mean 'video'"),
        ({"cursor": "x"}, "cursor"),
        ({"filter": "{}"}, "unknown field 'filter'"),
    ],
)
def test_bad_query_parameters_are_refused(
    client: TestClient, asked: dict[str, Any], said: str
) -> None:
    status = 400 if "cursor" in asked else 422
    assert said in problem(client.get("/v1/trending", params=asked), status)
