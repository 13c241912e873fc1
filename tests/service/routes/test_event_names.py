"""What an event's name means is the same by every call that takes one; scenarios add names."""

import pytest
from fastapi.testclient import TestClient

from indexer import RequestError
from indexer.event_kinds import BUILT_IN_EVENTS, NEGATIVE_EVENTS
from indexer.request.body import parse_request
from indexer.request.event_names import collect_known_events, collect_own_weights, resolve_event
from indexer.request.scenarios import SCENARIOS, Scenario
from service.store.events import parse_events
from tests.service.conftest import Serve, Shop, liked, problem

DISLIEK = "is 'disliek'; did you mean 'dislike'?"


def test_both_doors_refuse_a_misspelt_event_with_the_same_sentence(client: TestClient) -> None:
    event = {"item_id": "i0001", "event": "disliek"}
    asked = problem(client.post("/v1/recommend", json={"history": [event]}), 422)
    one = problem(client.post("/v1/events", json={"user_id": "u", **event}), 422)
    good = {"user_id": "u", "item_id": "i0001", "event": "like"}
    both = {"events": [good, {"user_id": "u", **event}]}
    several = problem(client.post("/v1/events", json=both), 422)
    assert DISLIEK in asked
    assert asked.removeprefix("history[0].") == one == several.removeprefix("events[1].")
    assert client.post("/v1/recommend", json={"k": 1}).json()["live_seq"] == 0


def test_a_name_of_ones_own_needs_a_weight(own_shop: Shop, serve: Serve) -> None:
    event = {"item_id": "i0001", "event": "我的事件"}
    with serve(own_shop) as client:
        for path, body in (
            ("/v1/recommend", {"history": [event]}),
            ("/v1/events", {"user_id": "u", **event}),
        ):
            assert "needs a weight in scenarios.toml" in problem(client.post(path, json=body), 422)
    (own_shop.root / "scenarios.toml").write_text(
        '[cinema]\nevent_weights = { "我的事件" = 0.3 }\n'
    )
    with serve(own_shop) as client:
        liked(client, "u", "i0001", event="我的事件")
        body = {"history": [event]}
        assert client.post("/v1/recommend", json=body).status_code == 200


@pytest.mark.parametrize(
    ("word", "event"), [("BUY", "purchase"), ("收藏", "like"), ("Add to Cart", "add_to_cart")]
)
def test_usual_words_mean_the_built_in_events_at_both_doors(
    own_shop: Shop, serve: Serve, word: str, event: str
) -> None:
    with serve(own_shop) as client:
        body = {"history": [{"item_id": "i0001", "event": word}], "k": 1}
        (hit,) = client.post("/v1/recommend", json=body).json()["items"]
        assert [r["event"] for r in hit["reasons"] if r["kind"] == "history"] == [event]
        liked(client, "u", "i0001", event=word)
        assert client.get("/v1/users/u").json()["recent"][0]["event"] == event


@pytest.mark.parametrize(
    "entry",
    [{"event": name} for name in sorted(NEGATIVE_EVENTS)]
    + [{"event": name} for name in ("退货", "退款", "取消", "拉黑", "不感兴趣", "取消收藏")]
    + [{"event": "purchase", "value": -1}, {"event": "购买", "value": -2}],
)
def test_what_pushes_away_is_never_a_like(
    own_shop: Shop, serve: Serve, entry: dict[str, object]
) -> None:
    history = [{"item_id": "i0001", **entry}]
    body = {"history": history, "k": 1000, "include_seen": True}
    with serve(own_shop) as client:
        hits = client.post("/v1/recommend", json=body).json()["items"]
        (own,) = (hit for hit in hits if hit["id"] == "i0001")
        assert sum(r["share"] for r in own["reasons"] if r["kind"] == "history") < 0
        liked(client, "u", "i0001", **entry)


def test_a_return_takes_the_purchase_back(own_shop: Shop, serve: Serve) -> None:
    bought = {"item_id": "i0001", "event": "purchase", "at": 100}
    returned = {"item_id": "i0001", "event": "purchase", "value": -1, "at": 200}
    with serve(own_shop) as client:
        body = {"history": [bought, returned], "k": 5}
        hits = client.post("/v1/recommend", json=body).json()["items"]
        kinds = {r.get("event") for hit in hits for r in hit["reasons"] if r["kind"] == "history"}
        assert kinds == {"return"}


def test_an_event_that_a_scenario_names_is_known_at_both_doors(
    own_shop: Shop, serve: Serve
) -> None:
    text = '[cinema]\nhidden_by = ["seen it"]\nevent_weights = { viewed = 0.9 }\n'
    (own_shop.root / "scenarios.toml").write_text(text)
    with serve(own_shop) as client:
        for name in ("viewed", "seen it"):
            liked(client, "u", "i0001", event=name)
            body = {"history": [{"item_id": "i0001", "event": name}]}
            for scenario in (None, "cinema"):
                asked = {**body, "scenario": scenario}
                assert client.post("/v1/recommend", json=asked).status_code == 200
                batch = {"requests": [asked]}
                assert client.post("/v1/recommend/batch", json=batch).status_code == 200
        near = {"user_id": "u", "item_id": "i0001", "event": "seen itt"}
        assert "did you mean 'seen it'?" in problem(client.post("/v1/events", json=near), 422)


@pytest.mark.parametrize("name", ["disliek", "pruchase", "veiw", "klick", "lieks"])
def test_unknown_names_are_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(RequestError, match="did you mean"):
        resolve_event(name, "event", BUILT_IN_EVENTS)
    with pytest.raises(RequestError, match=r"history\[0\]\.event is .*scenarios\.toml"):
        parse_request({"history": [{"item_id": "m", "event": name}]})
    with pytest.raises(RequestError, match=r"^event is .*scenarios\.toml"):
        parse_events({"user_id": "u", "item_id": "m", "event": name}, now=0)


def test_known_are_the_built_in_events_and_those_of_every_scenario() -> None:
    assert collect_known_events(SCENARIOS) == BUILT_IN_EVENTS
    own = Scenario("own", hidden_by=("seen it",), event_weights={"trailer": 0.3})
    assert collect_known_events({"own": own}) == BUILT_IN_EVENTS | {"seen it", "trailer"}
    assert collect_own_weights({"own": own}) == {"trailer": 0.3}
