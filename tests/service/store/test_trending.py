"""Trending items: decayed by time, the same on every worker, gone with their events."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from indexer.event_kinds import EVENT_WEIGHTS
from indexer.request.scenarios import SCENARIOS
from service.edge import Problem
from service.store import trending as trending_module
from service.store.database import LiveDatabase
from service.store.decayed_sums import BLOCK_EVENTS
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.ownership import UserHasher
from service.store.schema import events
from service.store.trending import DEFAULT_HALF_LIFE_S, HALF_LIFE_S, Trending
from service.store.users import UserStore
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
        user = more.get("user", "u")
        name = f"{user}-{item}-{days_ago}-{event}"
        at = NOW - days_ago * DAY
        made = Event(name, user, None, item, event, more.get("value"), "text", at)
        self.log.append([made])
        return name

    def shares(self, worker: int = 0, scenario: str = "default", now: float = NOW) -> Any:
        with self.database.begin_read() as connection:
            upto = self.database.read_sequence(connection)
            return self.workers[worker].compute_shares(
                lambda: connection, upto, SCENARIOS[scenario], scale=SCALE, now=now
            )

    def shares_and_rows(self, worker: int) -> tuple[dict[str, float], int]:
        """The shares, and how many rows were fetched for them."""
        with self.database.begin_read() as connection:
            upto = self.database.read_sequence(connection)
            with count_rows(connection) as rows:
                shares = self.workers[worker].compute_shares(
                    lambda: connection, upto, SCENARIOS["default"], scale=SCALE, now=NOW
                )
        return shares, sum(rows)


@contextmanager
def count_rows(connection: sa.Connection) -> Iterator[list[int]]:
    """The rows that each statement of a connection fetches, within the block."""
    counts: list[int] = []

    def count(one: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        counts.append(
            one.connection.cursor()
            .execute(f"SELECT count(*) FROM ({statement})", parameters)
            .fetchone()[0]
        )

    sa.event.listen(connection, "after_cursor_execute", count)
    try:
        yield counts
    finally:
        sa.event.remove(connection, "after_cursor_execute", count)


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
    for number, (item, days_ago, event) in enumerate(happened):
        log.happened(item, days_ago, event, user=f"u{number}")
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
    assert log.shares(now=NOW + 398 * DAY) == {}  # nor what happened more than a year ago
    later = log.shares(now=NOW + 400 * DAY)
    assert later["ahead"] == 1.0
    assert later.get("now", 0.0) < 1e-9


def test_a_retracted_event_does_not_count_as_trending_on_any_worker(log: Log) -> None:
    name = log.happened("a", 0)
    log.happened("b", 0)
    assert set(log.shares(0)) == set(log.shares(1)) == {"a", "b"}
    log.log.retract(name)
    assert log.shares(0) == log.shares(1) == {"b": 1.0}


ITEMS, USERS = ("a", "b", "c"), ("u", "v", "w")
TAKEN_BACK = {"refund": "purchase", "return": "purchase", "unlike": "like"}
KINDS = ("like", "dislike", "view", "rating", "purchase", *TAKEN_BACK)
HALF_LIFE = HALF_LIFE_S["news"]
_TELLING = st.tuples(
    st.just("tell"),
    st.sampled_from(USERS),
    st.booleans(),  # whether it is the anonymous session of that name
    st.sampled_from(ITEMS),
    st.sampled_from(KINDS),
    st.floats(-0.9 * DAY, 9 * DAY),
    st.integers(0, 300),  # more than a block of the log
)
_ONE_SHOPPER = st.tuples(  # who changes their mind
    st.just("tell"),
    st.just("u"),
    st.just(False),  # noqa: FBT003  # it is drawn
    st.just("a"),
    st.sampled_from(["purchase", "refund", "return", "view"]),
    st.floats(0, 2 * DAY),
    st.just(0),
)
_CHANGES = st.one_of(
    _TELLING,
    st.tuples(st.just("erase"), st.sampled_from(USERS)),
    st.tuples(st.just("merge"), st.permutations(USERS)),
    st.tuples(st.just("retract"), st.integers(1, 10)),
    st.tuples(st.just("wait"), st.floats(0, 3 * DAY)),
    st.tuples(st.just("look"), st.just(1)),
)


class ChangingLog(Log):
    """A log that is changed in every way, at a time that goes on."""

    def __init__(self, database: LiveDatabase) -> None:
        super().__init__(database)
        self.users = UserStore(database, UserHasher("a secret of the tests"), lambda: self.now)
        self.now, self.count = NOW, 0

    def change(self, kind: str, *told: Any) -> None:
        getattr(self, f"_{kind}")(*told)

    def count_anew(self) -> dict[str, float]:
        """The shares by definition, from the rows that are there: everybody counts once.

        What takes back removes the last event of its kind before it, as one reads the log.
        """
        standing: dict[tuple[Any, ...], list[tuple[str, float]]] = {}
        weights = SCENARIOS["news"].event_weights
        with self.database.begin_read() as connection:
            rows = connection.execute(sa.select(events)).all()
        for row in sorted(rows, key=lambda row: (row.at, row.seq)):
            age = self.now - row.at
            oldest = (math.floor(self.now / HALF_LIFE) - 30) * HALF_LIFE
            if row.at > oldest and age >= -DAY:
                weight = (2 * row.value - 6) / 4 if row.event == "rating" else weights[row.event]
                gain = weight * 0.5 ** (max(0.0, age) / HALF_LIFE)
                owner = (row.user_id, None if row.user_id else row.session_id)
                mine = standing.setdefault((*owner, row.item_id), [])
                same = [n for n, (kind, _) in enumerate(mine) if kind == TAKEN_BACK.get(row.event)]
                if same:
                    del mine[same[-1]]
                mine.append((row.event, gain))
        totals: dict[str, float] = {}
        for (_, _, item), acts in standing.items():
            of_one = [gain for _, gain in acts]
            vote = max(0.0, *of_one) + min(0.0, *of_one)
            totals[item] = totals.get(item, 0.0) + vote
        # What is nothing but rounding is left out of both.
        top = max(totals.values(), default=0.0)
        return {item: total / top for item, total in totals.items() if total > 1e-9 * top > 0}

    def _tell(  # what was drawn
        self,
        user: str,
        is_session: bool,  # noqa: FBT001  # it is drawn
        item: str,
        kind: str,
        ago: float,
        gap: int,
    ) -> None:
        self.count += 1
        with self.database.begin_write() as transaction:
            transaction.reserve(gap)
        value = 1.0 + self.count % 5 if kind == "rating" else None
        at = self.now - ago
        owner: tuple[str | None, str | None] = (None, user) if is_session else (user, None)
        self.log.append([Event(str(self.count), owner[0], owner[1], item, kind, value, None, at)])

    def _erase(self, user: str) -> None:
        self.users.erase_rows(user)

    def _merge(self, users: list[str]) -> None:
        self.users.merge(users[0], users[1])

    def _retract(self, number: int) -> None:
        with suppress(Problem):  # there may be none of that number
            self.log.retract(str(number))

    def _wait(self, seconds: float) -> None:
        self.now += seconds

    def _look(self, worker: int) -> None:
        self.shares(worker, "news", self.now)


@given(st.lists(_TELLING, min_size=5, max_size=10), st.lists(_CHANGES, min_size=5, max_size=15))
def test_every_worker_has_the_shares_of_a_recount_whatever_was_erased(
    told: list[Any], changes: list[Any]
) -> None:
    check_shares(told, changes)


@given(st.lists(_ONE_SHOPPER, min_size=2, max_size=8), st.lists(_CHANGES, min_size=1, max_size=5))
def test_every_worker_has_the_shares_of_a_recount_whatever_was_taken_back(
    told: list[Any], changes: list[Any]
) -> None:
    check_shares([("tell", "v", False, "b", "view", 0.0, 0), *told], changes)


def check_shares(told: list[Any], changes: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        log = ChangingLog(LiveDatabase.open(f"sqlite:///{folder}/live.sqlite"))
        for change in [*told, *changes]:
            log.change(*change)
            log.change("look", 0)
        found = [log.shares(worker, "news", log.now) for worker in (0, 1)]
        log.workers.append(Trending())
        fresh = log.shares(2, "news", log.now)
        expected = log.count_anew()
        log.database.close()
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert found[0] == pytest.approx(fresh, rel=1e-9)
    shown = {item: share for item, share in fresh.items() if share > 1e-9}
    assert shown == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_user_counts_once_for_an_item_however_often_they_come_back(log: Log) -> None:
    for number in range(3):
        log.happened("loved", 0, "click", user=f"u{number}")
    bot = [
        Event(f"b{number}", "bot", None, "pushed", "click", None, None, NOW - number)
        for number in range(300)
    ]
    log.log.append(bot)
    assert log.shares() == {"loved": 1.0, "pushed": pytest.approx(1 / 3)}
    log.happened("pushed", 0, "like", user="bot")  # the strongest of them counts, alone
    share = EVENT_WEIGHTS["like"] / (3 * EVENT_WEIGHTS["click"])
    assert log.shares(0) == {"loved": 1.0, "pushed": pytest.approx(min(share, 1.0))}
    assert log.shares(0) == log.shares(1)


def test_who_turns_away_takes_back_what_they_gave(log: Log) -> None:
    log.happened("a", 0, "like", user="u")
    log.happened("a", 0, "like", user="v")
    log.happened("b", 0, "like", user="v")
    log.happened("a", 0, "dislike", user="u")
    both = 2 * EVENT_WEIGHTS["like"] + EVENT_WEIGHTS["dislike"]
    assert log.shares() == {"a": 1.0, "b": pytest.approx(EVENT_WEIGHTS["like"] / both)}
    log.log.retract("u-a-0-dislike")
    assert log.shares() == {"a": 1.0, "b": 0.5}


@pytest.mark.parametrize("order", [("purchase", "refund"), ("refund", "purchase")])
def test_a_refund_takes_its_purchase_back_in_whatever_order_they_come(
    log: Log, order: tuple[str, str]
) -> None:
    days_ago = {"purchase": 2.0, "refund": 1.0}
    log.happened("other", 0, "view", user="v")
    log.happened("a", 2.5, "view")
    for event in order:
        log.happened("a", days_ago[event], event)
        log.shares(0)
    assert log.shares(0) == log.shares(1) == {"other": 1.0}
    log.log.retract("u-a-1.0-refund")
    assert log.shares(0) == log.shares(1)
    assert log.shares(0)["a"] == 1.0


def test_a_like_of_zero_is_none(log: Log) -> None:
    log.happened("a", 0, value=0)
    log.happened("b", 0, "purchase", value=0)  # it was free
    assert log.shares() == {"b": 1.0}


def test_a_purchase_after_its_refund_counts(log: Log) -> None:
    for days_ago, event in ((3, "purchase"), (2, "refund"), (0, "purchase")):
        log.happened("a", days_ago, event)
    log.happened("b", 0, "purchase", user="v")
    against = EVENT_WEIGHTS["refund"] * 0.5 ** (2 * DAY / DEFAULT_HALF_LIFE_S)
    assert log.shares() == {"b": 1.0, "a": pytest.approx(1 + against)}


def test_merged_users_count_once_on_every_worker(log: Log) -> None:
    users = UserStore(log.database, UserHasher("a secret of the tests"), lambda: NOW)
    for user in ("phone", "mia", "bo"):
        log.happened("a", 0, user=user)
    log.happened("b", 0, user="bo")
    assert log.shares(0) == {"a": 1.0, "b": pytest.approx(1 / 3)}
    users.merge("phone", "mia")
    assert log.shares(0) == log.shares(1) == {"a": 1.0, "b": 0.5}
    users.erase_rows("mia")
    assert log.shares(0) == log.shares(1) == {"a": 1.0, "b": 1.0}


def test_an_erasure_reads_no_more_of_the_log_than_the_user_has_events(log: Log) -> None:
    """Counted in rows, not in time: the log is long, and one user's events are few."""
    users = UserStore(log.database, UserHasher("a secret of the tests"), lambda: NOW)
    log.log.append(
        [Event(f"e{n}", f"u{n}", None, f"i{n % 50}", "like", None, None, NOW) for n in range(5_000)]
    )
    before = log.shares(0), log.shares(1)
    assert before[0] == before[1]
    users.erase_rows("u1234")
    for worker in (0, 1):
        shares, rows = log.shares_and_rows(worker)
        assert shares == {f"i{n}": 1.0 if n != 1234 % 50 else 0.99 for n in range(50)}
        assert 0 < rows <= 2 * BLOCK_EVENTS


def test_a_clock_that_was_years_ahead_leaves_nothing_behind(log: Log) -> None:
    log.happened("a", 0)
    log.happened("b", 3)
    expected = log.shares()
    assert log.shares(now=NOW + 4_000 * DAY) == {}
    assert log.shares() == expected


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
