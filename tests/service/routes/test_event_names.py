"""A misspelt event name is refused by every call that takes one; a scenario may add names."""

import pytest
from fastapi.testclient import TestClient

from indexer import RequestError
from indexer.request.body import parse_request
from indexer.request.event_names import BUILT_IN_EVENTS, collect_known_events, refuse_misspelt
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


def test_names_of_ones_own_are_taken_by_both_doors(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        for name in ("bookmark", "收藏", "my own"):
            liked(client, "u", "i0001", event=name)
            body = {"history": [{"item_id": "i0001", "event": name}]}
            assert client.post("/v1/recommend", json=body).status_code == 200


def test_an_event_that_a_scenario_names_is_known_at_both_doors(
    own_shop: Shop, serve: Serve
) -> None:
    text = '[cinema]\nhidden_by = ["finished"]\nevent_weights = { viewed = 0.9 }\n'
    (own_shop.root / "scenarios.toml").write_text(text)
    with serve(own_shop) as client:
        for name in ("viewed", "finished"):
            liked(client, "u", "i0001", event=name)
            body = {"history": [{"item_id": "i0001", "event": name}]}
            for scenario in (None, "cinema"):
                asked = {**body, "scenario": scenario}
                assert client.post("/v1/recommend", json=asked).status_code == 200
                batch = {"requests": [asked]}
                assert client.post("/v1/recommend/batch", json=batch).status_code == 200
        near = {"user_id": "u", "item_id": "i0001", "event": "vieweb"}
        assert "did you mean 'viewed'?" in problem(client.post("/v1/events", json=near), 422)


@pytest.mark.parametrize("name", ["disliek", "Like", "pruchase", "veiw", "ratings", "LIKE"])
def test_nearly_known_names_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match="did you mean"):
        refuse_misspelt(name, "event", BUILT_IN_EVENTS)
    with pytest.raises(RequestError, match=r"history\[0\]\.event is .*scenarios\.toml"):
        parse_request({"history": [{"item_id": "m", "event": name}]})
    with pytest.raises(RequestError, match=r"^event is .*scenarios\.toml"):
        parse_events({"user_id": "u", "item_id": "m", "event": name}, now=0)


def test_known_are_the_built_in_events_and_those_of_every_scenario() -> None:
    assert collect_known_events(SCENARIOS) == BUILT_IN_EVENTS
    own = Scenario("own", hidden_by=("seen it",), event_weights={"trailer": 0.3})
    assert collect_known_events({"own": own}) == BUILT_IN_EVENTS | {"seen it", "trailer"}
