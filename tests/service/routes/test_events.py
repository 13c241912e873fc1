"""Events: each id is stored once, and the next list reflects it, whatever the order of arrival."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.request.body import parse_request
from service import Settings, create_app
from service.live import RequestViews
from service.services import Services
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event, parse_event
from service.store.ownership import UserHasher
from service.store.user_state import (
    EMPTY_USER_STATE,
    MAX_RECENT_EVENTS,
    UserState,
    add_user_state,
    build_user_state,
)
from tests.service.conftest import LOCAL, Serve, Shop, emptied, ids_for, liked, problem, wait_until

SECRET = "a secret of the tests"
Json = dict[str, Any]


@contextmanager
def empty_log(url: str) -> Iterator[tuple[LiveDatabase, EventLog]]:
    with emptied(url) as database:
        yield database, EventLog(database, UserHasher(SECRET))


def state_of(database: LiveDatabase, log: EventLog, user_id: str | None = "u") -> UserState:
    with database.begin_read() as connection:
        return log.load_user_state(connection, user_id, "s")


def made_of(body: Json) -> Event:
    return parse_event({"user_id": "u", **body}, now=0)


bodies = st.lists(
    st.fixed_dictionaries(
        {
            "event_id": st.integers(0, 30).map(str),
            "item_id": st.sampled_from(["m1", "m2", "m3", "电影/4"]),
            "event": st.sampled_from(["like", "dislike", "view", "impression", "refund"]),
            "at": st.integers(0, 8),
        },
        optional={"value": st.just(2.0), "context": st.just({"mood": "sad", "loud": True})},
    ),
    max_size=25,
    unique_by=lambda body: body["event_id"],
)
few = settings(max_examples=25)


@few
@given(st.data(), bodies)
def test_the_order_of_arrival_does_not_matter(
    live_url: str, data: st.DataObject, sent: list[Json]
) -> None:
    events = [made_of(body) for body in sent]
    shuffled = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(events)))
    with empty_log(live_url) as (database, log):
        log.append(shuffled[:cut])
        log.append(shuffled[cut:])
        assert state_of(database, log) == build_user_state(events)


@few
@given(st.data(), bodies)
def test_a_retracted_event_is_as_if_it_had_never_come(
    live_url: str, data: st.DataObject, sent: list[Json]
) -> None:
    events = [made_of(body) for body in sent]
    gone = {e.event_id for e in events if data.draw(st.booleans())}
    with empty_log(live_url) as (database, log):
        log.append(events)
        for event_id in gone:
            log.retract(event_id)
        again = log.append(events)  # whoever repeats the call later changes nothing
        assert (again.accepted, again.refused) == (0, len(gone))
        assert state_of(database, log) == build_user_state(
            e for e in events if e.event_id not in gone
        )


@few
@given(bodies, st.integers(1, 3))
def test_sending_again_changes_nothing(live_url: str, sent: list[Json], times: int) -> None:
    events = [made_of(body) for body in sent]
    with empty_log(live_url) as (database, log):
        first = log.append(events)
        before = state_of(database, log)
        for _ in range(times):
            again = log.append([*events, *events])
            assert (again.accepted, again.duplicates) == (0, 2 * len(events))
            assert again.live_seq == first.live_seq
        assert state_of(database, log) == before == build_user_state(events)


def test_of_a_long_log_the_latest_entries_count_and_everything_is_seen(live_url: str) -> None:
    events = [made_of({"item_id": f"m{n}", "event": "view", "at": n}) for n in range(450)]
    with empty_log(live_url) as (database, log):
        log.append(events[::-1])
        found = state_of(database, log)
    assert [entry.item_id for entry in found.history] == [
        f"m{n}" for n in range(450 - MAX_RECENT_EVENTS, 450)
    ]
    assert found.seen == tuple(sorted(f"m{n}" for n in range(450)))
    assert found == build_user_state(events)


def test_a_state_knows_searches_reviews_and_ratings() -> None:
    found = build_user_state(
        [
            made_of({"event": "search", "text": "ghosts", "item_id": "m9", "at": 1}),
            made_of({"event": "review", "text": "dull", "item_id": "m1", "at": 2, "value": 1}),
            made_of({"event": "rating", "value": 4, "item_id": "m2", "at": 3}),
            made_of({"event": "impression", "item_id": "m3", "at": 4}),
        ]
    )
    told = [(entry.event, entry.item_id, entry.text) for entry in found.history]
    assert told == [("search", None, "ghosts"), ("review", "m1", "dull"), ("rating", "m2", None)]
    assert found.history[2].value == 4
    assert found.seen == ("m1", "m2")


def test_the_words_of_a_review_are_a_reason_of_their_own_signed_by_its_rating(
    own_shop: Shop, serve: Serve
) -> None:
    def shares(client: TestClient, user_id: str) -> dict[str, float]:
        """What the words of the review add to items that hold them, on average."""
        body = {"user_id": user_id, "k": 400, "filter": {"tags": "ghost"}}
        hits = client.post("/v1/recommend", json=body).json()["items"]
        found: dict[str, list[float]] = {"words": [], "item": []}
        for hit in hits:
            assert sum(r["share"] for r in hit["reasons"]) == pytest.approx(hit["score"], abs=1e-4)
            for reason in hit["reasons"]:
                if reason.get("event") == "review":
                    found["words" if "text" in reason else "item"].append(reason["share"])
        return {name: sum(held) / len(held) for name, held in found.items()}

    with serve(own_shop) as client:
        for user_id, value in (("pleased", 5), ("cross", 1), ("silent", None)):
            event = {"user_id": user_id, "item_id": "i0001", "event": "review", "value": value,
                     "text": "ghost " * 60}  # fmt: skip
            assert client.post("/v1/events", json=event).status_code == 200
        assert shares(client, "pleased")["words"] > 0.01
        assert shares(client, "silent")["words"] > 0.01
        assert shares(client, "cross")["words"] < -0.01
        answer = client.post("/v1/recommend", json={"user_id": "pleased", "k": 1}).json()
        told = [r["text"] for r in answer["items"][0]["reasons"] if "text" in r]
        assert [len(text) for text in told] == [200]


def test_words_of_the_log_do_no_harm_to_an_index_without_a_model(
    vectors_only: Path, tmp_path: Path
) -> None:
    settings = Settings(vectors_only, secret_file=tmp_path / "secret", poll_s=0.05)
    with TestClient(create_app(settings), LOCAL) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        events: list[Json] = [
            {"user_id": "u", "event": "search", "text": "sea"},
            {"user_id": "u", "event": "review", "text": "fine", "item_id": "v1", "value": 5},
        ]
        assert client.post("/v1/events", json={"events": events}).status_code == 200
        assert client.put("/v1/users/u", json={"interests": ["sea"]}).status_code == 200
        assert "v1" not in ids_for(client, user_id="u", k=20)
        assert client.get("/v1/users/u").json()["events"] == 2
        refused = client.post("/v1/recommend", json={"user_id": "u", "interests": ["sea"]})
        assert "cannot read text" in problem(refused, 422)


def test_an_event_moves_the_next_list_and_is_not_shown_again(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        before = ids_for(client, user_id="u1", k=20)
        liked(client, "u1", "i0001", "i0006")
        answer = client.post("/v1/recommend", json={"user_id": "u1", "k": 20}).json()
        after = [hit["id"] for hit in answer["items"]]
        assert after != before
        assert not {"i0001", "i0006"} & set(after)
        assert answer["live_seq"] == 2
        assert answer["complete"]["excluded"]["seen"] == 2
        kinds = {reason.get("item_id") for reason in answer["items"][0]["reasons"]}
        assert {"i0001", "i0006"} & kinds
        stranger = ids_for(client, user_id="u2", k=20)
        liked_by_others = {"i0001", "i0006"}  # which is all that a stranger's list is moved by
        rest = [item_id for item_id in stranger if item_id not in liked_by_others]
        assert (
            rest == [item_id for item_id in before if item_id not in liked_by_others][: len(rest)]
        )
        told = ids_for(client, history=[{"item_id": "i0001", "event": "like"},
                                        {"item_id": "i0006", "event": "like"}], k=20)  # fmt: skip
        assert after == told  # stored, or told by the request: the same
        again = ids_for(client, user_id="u1", include_seen=True, k=400)
        assert {"i0001", "i0006"} <= set(again)


def test_what_a_request_tells_comes_after_what_is_stored() -> None:
    stored = build_user_state(
        [made_of({"item_id": "m1", "event": "like", "at": 50})], ["jazz", "sea"]
    )
    body = {"history": ["m2", {"item_id": "m3", "at": 7}], "interests": ["sea", "war"]}
    asked = add_user_state(parse_request(body), stored, now=100)
    history = [(entry.item_id, entry.at) for entry in asked.history]
    assert history == [("m1", 50), ("m2", 100), ("m3", 7)]  # times order them
    assert asked.interests == ("jazz", "sea", "war")
    assert asked.seen == ("m1",)
    assert asked.seen_by_event == {"like": ("m1",)}
    assert add_user_state(parse_request(body), EMPTY_USER_STATE, now=100) == parse_request(body)


def test_a_session_counts_only_in_requests_that_name_it(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        client.post("/v1/events", json={"session_id": "s1", "item_id": "i0008", "event": "like"})
        body = {"user_id": "u1", "session_id": "s1", "item_id": "i0004", "event": "like"}
        client.post("/v1/events", json=body)
        nobody = ids_for(client, k=400)
        assert "i0008" in nobody
        assert "i0008" not in ids_for(client, session_id="s1", k=400)
        assert "i0004" in ids_for(client, session_id="s1", k=400)  # it was u1's, not the session's
        both = ids_for(client, user_id="u1", session_id="s1", k=400)
        assert not {"i0008", "i0004"} & set(both)
        assert ids_for(client, session_id="s2", k=400) == nobody


def test_a_batch_is_answered_with_what_became_of_it(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        event = {"user_id": "u1", "item_id": "i0001", "event": "like", "event_id": "e1"}
        named = {**event, "event_id": "e2", "recommendation_id": "r1", "context": {"mood": "sad"}}
        unnamed = {"user_id": "u1", "event": "search", "text": "ghost jazz"}
        answer = client.post("/v1/events", json={"events": [event, named, event, unnamed]}).json()
        assert (answer["accepted"], answer["duplicates"], answer["refused"]) == (3, 1, 0)
        assert answer["event_ids"][:3] == ["e1", "e2", "e1"]
        assert len(answer["event_ids"][3]) == 32
        assert client.post("/v1/events", json=event).json() == {
            "accepted": 0, "duplicates": 1, "refused": 0, "event_ids": ["e1"], "live_seq": 3,
            "unknown_items": [], "unknown_item_count": 0,
        }  # fmt: skip
        assert client.delete("/v1/events/e1").json() == {"event_id": "e1", "live_seq": 4}
        assert client.delete("/v1/events/e1").json() == {"event_id": "e1", "live_seq": 4}
        assert client.post("/v1/events", json=event).json()["refused"] == 1
        assert "nothing was retracted" in problem(client.delete("/v1/events/never"), 404)


def test_events_without_a_time_happened_in_the_order_of_the_batch(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        liked(client, "u1", *(f"i{n:04d}" for n in range(50)))
        recent = client.get("/v1/users/u1").json()["recent"]
        assert [event["item_id"] for event in recent] == [f"i{n:04d}" for n in range(49, 29, -1)]


def test_ids_may_hold_anything_a_path_can_carry(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        body = {"user_id": "张三/a b", "item_id": "a/b", "event": "like", "event_id": "e/1%2F"}
        assert client.post("/v1/events", json=body).json()["accepted"] == 1
        assert client.get("/v1/users/%E5%BC%A0%E4%B8%89%2Fa%20b").json()["events"] == 1
        assert client.delete("/v1/events/e%2F1%252F").json()["event_id"] == "e/1%2F"
        assert problem(client.get("/v1/users/%E5%BC%A0%E4%B8%89%2Fa%20b"), 404)


GOOD = {"user_id": "u", "item_id": "m", "event": "click"}


def test_an_event_more_than_a_day_ahead_is_refused_and_nothing_of_its_call_is_kept(
    own_shop: Shop, serve: Serve
) -> None:
    now, day = 1.8e9, 86_400
    like = {"user_id": "u", "item_id": "i0001", "event": "like"}
    with serve(own_shop, clock=lambda: now) as client:
        both = {"events": [{**like, "at": now + 0.9 * day}, {**like, "at": "2999-01-01T00:00:00Z"}]}
        said = problem(client.post("/v1/events", json=both), 422)
        assert "events[1].at '2999-01-01T00:00:00Z' is more than a day ahead" in said
        assert "send when it happened, or leave at out" in said
        assert problem(client.get("/v1/users/u"), 404)
        assert "at 1800172800.0 is more than a day ahead" in problem(
            client.post("/v1/events", json={**like, "at": now + 2 * day}), 422
        )
        liked(client, "u", "i0001", at=now + 0.9 * day)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "has no event"),
        ({"event": "click", "item_id": "m"}, "no user_id"),
        ({"event": "click", "user_id": "u"}, "no item_id"),
        ({**GOOD, "event": "rating"}, "rating without value"),
        ({**GOOD, "event": "search"}, "search without text"),
        ({**GOOD, "event": "review"}, "review without text"),
        ({**GOOD, "event": ["click"]}, "event must be"),
        ({**GOOD, "event": "x" * 65}, "64 characters"),
        ({**GOOD, "event": "  "}, "event must be"),
        ({**GOOD, "user_id": ""}, "user_id must be an id"),
        ({**GOOD, "user_id": "a\u0000b"}, "control characters"),
        ({**GOOD, "event_id": "import-" + "0123456789abcdef" * 2}, "`zhiyin import` gives"),
        ({**GOOD, "item_id": "x" * 513}, "item_id must be an id"),
        ({**GOOD, "value": "4"}, "value must be"),
        ({**GOOD, "value": 1e999}, "not JSON"),
        ({**GOOD, "text": "a\u0000b"}, "NUL"),
        ({**GOOD, "text": "x" * 10_001}, "at most 10000"),
        ({**GOOD, "at": "yesterday"}, "not a time"),
        ({**GOOD, "at": 1e30}, "not a time"),
        ({**GOOD, "context": []}, "context must be an object"),
        ({**GOOD, "context": {"mood": {}}}, "context.mood"),
        ({**GOOD, "user": "u"}, "unknown field 'user'"),
        ({**GOOD, "events": []}, "either one event or a list"),
        ({"events": {}}, "events must be a list"),
        ({"events": [GOOD, 3]}, "events[1] must be an object"),
        ({"events": [GOOD, {**GOOD, "usr": 1}]}, "events[1] has an unknown field 'usr'"),
        ({"events": [GOOD, {**GOOD, "at": "x"}]}, "not a time"),
        ({"events": [GOOD] * 1001}, "at most 1000"),
    ],
)
def test_a_bad_event_is_refused_with_a_sentence_and_nothing_is_kept(
    client: TestClient, body: Json, said: str
) -> None:
    if said == "not JSON":
        response = client.post(
            "/v1/events", content=b'{"value": NaN}', headers={"Content-Type": "application/json"}
        )
        assert said in problem(response, 400)
    else:
        assert said in problem(client.post("/v1/events", json=body), 422)
    assert client.post("/v1/recommend", json={"k": 1}).json()["live_seq"] == 0


def test_without_a_store_events_are_refused_and_everything_else_is_answered(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.live.live_store.os.access", lambda *_: False)
    with serve(own_shop) as client:
        for refused in (
            client.post("/v1/events", json=GOOD),
            client.put("/v1/items/new", json={"title": "new"}),
            client.put("/v1/users/u", json={}),
        ):
            assert "--db" in problem(refused, 409)
        assert len(ids_for(client, user_id="u")) == 10
        assert client.get("/v1/trending").status_code == 200
        assert problem(client.get("/v1/users/u"), 404)


def test_a_full_queue_is_503_with_retry_after(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop, write_queue=0) as client:
        services: Services = client.app.state.services  # type: ignore[attr-defined]  # a FastAPI app
        begun, go = threading.Event(), threading.Event()
        assert client.portal is not None

        def hold(_: object) -> bool:
            begun.set()
            return go.wait(10)

        held = client.portal.start_task_soon(services.writer.run_write, hold)
        assert begun.wait(10)
        busy = client.post("/v1/events", json=GOOD)
        assert "busy" in problem(busy, 503)
        assert busy.headers["retry-after"] == "1"
        go.set()
        assert held.result(10)
        assert client.post("/v1/events", json=GOOD).status_code == 200


def test_events_outlive_the_service(own_shop: Shop, serve: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    for known in (False, True):
        with serve(own_shop, db=url) as client:
            assert ("i0001" not in ids_for(client, user_id="u1", k=400)) == known
            liked(client, "u1", "i0001")
    assert Settings(own_shop.root, db=url).db == url
    assert not (own_shop.root / "live.sqlite").exists()


def test_a_scenario_says_which_events_hide_an_item(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        liked(client, "u1", "i0001")
        bought = {"user_id": "u1", "item_id": "i0006", "event": "purchase"}
        client.post("/v1/events", json=bought)
        shown = set(ids_for(client, user_id="u1", scenario="shop", k=500))
        assert "i0001" in shown  # only looked at: it may be wanted still
        assert "i0006" not in shown
        assert not {"i0001", "i0006"} & set(ids_for(client, user_id="u1", k=500))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)
    | st.text(max_size=8) | st.sampled_from(["u1", "i0001", "like", "rating", "2026-11-01"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*GOOD, "events", "items", "interests", "from", "into", "at",
                                       "title", "tags", "vector", "value", "context", "id", "x"]),
                      inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


def test_no_body_breaks_the_service(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:

        @settings(max_examples=60)
        @given(json_values)
        def send(body: Any) -> None:
            send_everywhere(client, body)

        send()
        assert client.post("/v1/recommend", json={"user_id": "u1"}).status_code == 200


def send_everywhere(client: TestClient, body: Any) -> None:
    for method, path in (
            ("POST", "/v1/events"), ("POST", "/v1/items"), ("PUT", "/v1/items/n1"),
            ("PATCH", "/v1/items/i0001"), ("PUT", "/v1/users/u1"), ("POST", "/v1/users/merge"),
        ):  # fmt: skip
        try:
            response = client.request(method, path, json=body)
        except (ValueError, OverflowError):  # this client cannot even send it
            continue
        if response.status_code != 200:
            assert 400 <= response.status_code < 500, (method, path, body, response.text)
            problem(response, response.status_code)


def test_items_that_are_not_in_the_catalogue_are_named_and_their_events_kept(
    own_shop: Shop, serve: Serve
) -> None:
    def send(*ids: str | None) -> Json:
        events = [
            {"user_id": "u", "event": "like", "item_id": item_id}
            if item_id
            else {"user_id": "u", "event": "search", "text": "sea"}
            for item_id in ids
        ]
        answer: Json = client.post("/v1/events", json={"events": events}).json()
        return answer

    def unknown(*ids: str | None) -> tuple[Any, Any]:
        answer = send(*ids)
        return answer["unknown_items"], answer["unknown_item_count"]

    with serve(own_shop) as client:
        assert unknown("i0001", None, "中文 电影/第2部") == ([], 0)
        assert unknown("nowhere", "i0001", "没有", "nowhere") == (["nowhere", "没有"], 2)
        assert client.get("/v1/users/u").json()["events"] == 7
        many = [f"x{number}" for number in range(150)]
        assert unknown(*many) == (many[:100], 150)
        client.put("/v1/items/x5", json={"title": "a new sea"})
        client.delete("/v1/items/i0001")
        assert unknown("x5", "i0001") == (["i0001"], 1)
        single = {"user_id": "u", "event": "like", "item_id": "nowhere"}
        assert client.post("/v1/events", json=single).json()["unknown_items"] == ["nowhere"]


def test_events_are_kept_before_anything_serves_and_their_items_are_not_judged(
    own_shop: Shop, secret_file: Path
) -> None:
    (own_shop.root / "CURRENT").rename(own_shop.root / "LATER")
    app = create_app(Settings(own_shop.root, secret_file=secret_file), own_shop.encoder)
    with TestClient(app, LOCAL) as client:
        event = {"user_id": "u", "event": "like", "item_id": "nowhere"}
        answer = client.post("/v1/events", json=event).json()
    assert (answer["accepted"], answer["unknown_items"]) == (1, None)
    assert answer["unknown_item_count"] is None


@pytest.mark.parametrize("fault", [OSError("disk"), RuntimeError("closed"), KeyError("x")])
def test_kept_events_are_answered_even_if_their_items_cannot_be_looked_up(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Who is told of a failure sends the events again, and without ids they count twice."""

    def fail(*_: Any) -> Any:
        raise fault

    with serve(own_shop) as client:
        monkeypatch.setattr(RequestViews, "answer", fail)
        event = {"user_id": "u", "event": "like", "item_id": "nowhere"}
        sent = client.post("/v1/events", json={"events": [event, event]})
        searched = client.post(
            "/v1/events", json={"user_id": "u", "event": "search", "text": "sea"}
        )
        monkeypatch.undo()
        assert client.get("/v1/users/u").json()["events"] == 3
    assert sent.status_code == 200, sent.text
    assert (sent.json()["accepted"], sent.json()["unknown_items"]) == (2, None)
    assert sent.json()["unknown_item_count"] is None
    assert (searched.json()["unknown_items"], searched.json()["unknown_item_count"]) == ([], 0)


def test_a_slow_look_up_of_items_delays_no_other_writer_and_ends_at_the_deadline(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue is held until the test lets it go; an event without an item needs none."""
    released = threading.Event()

    def wait(*_: Any) -> Any:
        released.wait(60)
        return {}

    with serve(own_shop, deadline_s=2) as client:
        monkeypatch.setattr(RequestViews, "answer", wait)
        answers: list[Json] = []
        event = {"user_id": "u", "event": "like", "item_id": "i0001"}
        sender = threading.Thread(
            target=lambda: answers.append(client.post("/v1/events", json=event).json())
        )
        sender.start()
        other = client.post("/v1/events", json={"user_id": "v", "event": "search", "text": "sea"})
        assert other.status_code == 200
        sender.join(60)
        released.set()
    (answer,) = answers
    assert (answer["accepted"], answer["unknown_items"]) == (1, None)
