"""Lists over HTTP, compared with brute force over the raw rows."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import Shop, problem

BODIES: list[dict[str, Any]] = [
    {},
    {"interests": ["悬疑"], "k": 25},
    {"query": "robot garden in the rain", "filter": {"rating": {"gte": 3}}, "k": 40},
    {"history": ["i0001", {"item_id": "i0002", "event": "dislike"}], "interests": ["喜剧"]},
    {"history": [{"text": "ghost jazz"}], "exclude": ["i0003", "nowhere"], "k": 1000},
    {"query": "爱情", "min_score": 0.2, "filter": {"brand": {"any": ["north", "south"]}}},
    {"history": ["i0009"], "scenario": "music", "weights": {"prior": 0.0}},
    {"filter": {"brand": "no such brand"}},
]


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """The same ids, and scores within what the contract promises."""
    assert [hit["id"] for hit in found] == [hit["id"] for hit in expected]
    scores = [hit["score"] for hit in expected]
    assert [hit["score"] for hit in found] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("body", BODIES)
def test_a_list_is_what_looking_at_every_item_gives(
    client: TestClient, shop: Shop, body: dict[str, Any]
) -> None:
    expected = shop.world.answer(body)
    answer = client.post("/v1/recommend", json=body).json()
    k = body.get("k", 10)
    assert [hit["id"] for hit in answer["items"]] == expected.ids[:k]
    for rank, hit in enumerate(answer["items"], 1):
        assert hit["rank"] == rank
        assert hit["score"] == pytest.approx(expected.scores[hit["id"]], abs=1e-4)
        assert sum(r["share"] for r in hit["reasons"]) == pytest.approx(hit["score"], abs=1e-4)
    assert answer["complete"] == {
        "returned": min(k, expected.eligible),
        "eligible": expected.eligible,
        "excluded": expected.excluded,
        "search": "exact",
    }
    assert (answer["next_cursor"] is None) == (expected.eligible <= k)


def test_an_answer_has_every_field_of_the_contract(client: TestClient, shop: Shop) -> None:
    body = {"user_id": "u1", "history": ["gone"], "k": 1, "fields": ["title"]}
    answer = client.post("/v1/recommend", json=body).json()
    assert list(answer) == [
        "recommendation_id", "snapshot", "live_seq", "user_id", "user_known", "unknown_items",
        "items", "complete", "next_cursor", "timing_ms",
    ]  # fmt: skip
    assert UUID(answer["recommendation_id"]).version == 4
    assert answer["live_seq"] == 0
    assert (answer["user_id"], answer["user_known"]) == ("u1", False)
    assert answer["unknown_items"] == ["gone"]
    (hit,) = answer["items"]
    assert list(hit) == ["id", "rank", "score", "item", "propensity", "reasons"]
    assert list(hit["item"]) == ["id", "title"]
    assert hit["propensity"] is None
    assert set(answer["timing_ms"]) == {"encode", "search", "rank", "total"}


def test_without_explain_there_are_no_reasons(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"query": "sea", "explain": False}).json()
    assert {len(hit["reasons"]) for hit in answer["items"]} == {0}


def test_the_same_request_gives_the_same_answer(client: TestClient) -> None:
    body = {"query": "雨天", "history": ["i0004"], "context": {"time": 1.8e9, "weather": "rain"}}
    first, second = (client.post("/v1/recommend", json=body).json() for _ in range(2))
    assert first["items"] == second["items"]
    assert first["recommendation_id"] != second["recommendation_id"]


def test_a_batch_answers_each_request_as_alone_and_in_order(client: TestClient) -> None:
    alone = [client.post("/v1/recommend", json=body).json()["items"] for body in BODIES]
    batch = client.post("/v1/recommend/batch", json={"requests": BODIES}).json()["answers"]
    for answer, items in zip(batch, alone, strict=True):
        assert_same(answer["items"], items)


def test_an_empty_batch_has_no_answers(client: TestClient) -> None:
    assert client.post("/v1/recommend/batch", json={"requests": []}).json() == {"answers": []}


@pytest.mark.parametrize(
    ("bodies", "said"),
    [
        ([{}, {"k": 0}], "requests[1]: k must be"),
        ([{}, {"filter": {"ratng": 1}}], "requests[1]: unknown field 'ratng'; did you mean"),
        ([{"intrests": []}], "requests[0]: unknown field 'intrests'; did you mean 'interests'"),
        ([{"cursor": "x"}], "requests[0]: the cursor was not written"),
        ([{"k": 1000}] * 11, "sum up to 11000"),
        ([{}] * 1001, "requests has 1001 entries, at most 1000"),
    ],
)  # fmt: skip
def test_a_bad_batch_is_refused_and_the_place_named(
    client: TestClient, bodies: list[Any], said: str
) -> None:
    response = client.post("/v1/recommend/batch", json={"requests": bodies})
    assert said in problem(response, 400 if "cursor" in said else 422)


def test_a_batch_of_the_largest_size_is_answered(client: TestClient) -> None:
    bodies = [{"k": 10, "explain": False, "fields": ["title"]}] * 1000
    answers = client.post("/v1/recommend/batch", json={"requests": bodies}).json()["answers"]
    assert len(answers) == 1000


def test_an_exact_title_is_found_first(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"query": "Strange sea 2", "k": 3}).json()
    assert answer["items"][0]["id"] == "中文 电影/第2部"
    assert "exact" in {reason["kind"] for reason in answer["items"][0]["reasons"]}


def test_an_id_is_found_first(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"query": "i0042", "k": 3}).json()
    assert answer["items"][0]["id"] == "i0042"


def test_similar_by_get_and_by_post_are_the_same(client: TestClient) -> None:
    got = client.get("/v1/items/i0007/similar", params={"k": 5}).json()
    posted = client.post("/v1/similar", json={"items": {"i0007": 1.0}, "k": 5}).json()
    assert got["items"] == posted["items"]
    assert "i0007" not in [hit["id"] for hit in got["items"]]


def test_similar_turns_away_from_negative_examples(client: TestClient) -> None:
    body = {"items": {"i0007": 1.0}, "texts": {"ghost": -1}, "k": 1000}
    hits = client.post("/v1/similar", json=body).json()["items"]
    haunted = ["ghost" in [*hit["item"]["tags"], *hit["item"]["title"].split()] for hit in hits]
    assert not any(haunted[:10])
    assert any(haunted[-10:])
    (share,) = [r["share"] for r in hits[-1]["reasons"] if r["kind"] == "text"]
    assert share < 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "positive weight"),
        ({"items": {"nowhere": 1}}, "no item 'nowhere'"),
        ({"items": [["a"]]}, "items must map"),
        ({"items": {"i0001": "much"}}, "finite number"),
        ({"texts": 5}, "texts must map"),
    ],
)
def test_bad_examples_are_refused(client: TestClient, body: dict[str, Any], said: str) -> None:
    assert said in problem(client.post("/v1/similar", json=body), 422)


def test_eight_callers_at_once_get_what_one_alone_gets(client: TestClient) -> None:
    alone = [client.post("/v1/recommend", json=body).json()["items"] for body in BODIES]
    asked = [place % len(BODIES) for place in range(96)]
    with ThreadPoolExecutor(8) as callers:
        together = callers.map(
            lambda place: client.post("/v1/recommend", json=BODIES[place]).json()["items"], asked
        )
    for place, items in zip(asked, together, strict=True):
        assert_same(items, alone[place])


def test_validate_only_answers_with_the_reading(client: TestClient) -> None:
    body = {"query": "sea", "filter": {"pages": {"lt": 50}}, "validate_only": True}
    answer = client.post("/v1/recommend", json=body).json()
    assert answer["items"] == []
    assert answer["next_cursor"] is None
    assert answer["reading"]["signals"][0]["words"] == "sea"
    assert "reading" not in client.post("/v1/recommend", json={}).json()


def test_an_unknown_scenario_is_refused_with_the_known(client: TestClient) -> None:
    response = client.post("/v1/recommend", json={"scenario": "moovies"})
    assert "known are default, video, news, shop, music" in problem(response, 422)


@pytest.mark.parametrize("body", [{"filter": {"brand": "no such brand"}}, {"min_score": 9}])
def test_an_empty_list_says_what_left_the_items_out(
    client: TestClient, shop: Shop, body: dict[str, Any]
) -> None:
    answer = client.post("/v1/recommend", json=body).json()
    assert answer["items"] == []
    assert answer["next_cursor"] is None
    excluded = answer["complete"]["excluded"]
    assert answer["complete"]["eligible"] == 0
    assert sum(excluded.values()) == len(shop.world.ids)
    assert excluded["filter" if "filter" in body else "min_score"] > 0


def test_an_unknown_user_gets_the_popular_items(client: TestClient) -> None:
    stranger = client.post("/v1/recommend", json={"user_id": "never seen"}).json()
    anybody = client.post("/v1/recommend", json={}).json()
    assert stranger["items"] == anybody["items"]
    assert len(stranger["items"]) == 10
