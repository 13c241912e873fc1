"""Candidates in a model's order: only candidates, each once, and nothing else changes."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.llm.conftest import Helped
from tests.service.llm.fake_endpoint import Reply, part_of, prompt_of, said
from tests.service.llm.scripts import LIKED, asking, ids, obliging, only


def recommend(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_the_list_comes_in_the_models_order_with_scores_and_reasons_as_they_were(
    helped: Helped,
) -> None:
    with helped(obliging) as (client, _):
        plain = recommend(client, {**LIKED, "k": 20})
        told = recommend(client, asking({**LIKED, "k": 20}, rerank=True))
    assert ids(told) == ids(plain)[::-1]
    assert [hit["rank"] for hit in told["items"]] == list(range(1, 21))
    before = {hit["id"]: (hit["score"], hit["reasons"], hit["item"]) for hit in plain["items"]}
    after = {hit["id"]: (hit["score"], hit["reasons"], hit["item"]) for hit in told["items"]}
    assert after == before
    assert told["llm"]["used"] is True
    assert told["llm"]["order_changed"] == 20
    assert told["llm"]["tokens"] == {"in": 11, "out": 5}
    assert told["complete"] == plain["complete"]


def test_more_finalists_than_are_shown_are_ordered(helped: Helped) -> None:
    with helped(obliging) as (client, _):
        twenty = ids(recommend(client, {**LIKED, "k": 20}))
        told = recommend(client, asking({**LIKED, "k": 3}, rerank=True))
    assert ids(told) == twenty[::-1][:3]
    assert told["complete"]["returned"] == 3


@pytest.mark.parametrize("k", [5, 20])
def test_pages_after_an_ordered_one_have_no_repeats_and_no_gaps(helped: Helped, k: int) -> None:
    with helped(obliging) as (client, _):
        whole = ids(recommend(client, {**LIKED, "k": 100}))
        page = recommend(client, asking({**LIKED, "k": k}, rerank=True))
        found = ids(page)
        while len(found) < 100:
            page = recommend(client, {"cursor": page["next_cursor"], "k": 20})
            found += ids(page)
    assert found[:100] == [*whole[:20][::-1], *whole[20:]]


@pytest.mark.parametrize(
    "order",
    [
        [3, 1],
        [3, 3, 1, 1],
        [3, 99, 0, -1, "i0002", 1, True, None, 2.5, {"number": 4}],
    ],
)
def test_only_candidates_come_out_and_the_rest_keep_their_order(
    helped: Helped, order: list[Any]
) -> None:
    with helped(only("rerank", said(order=order))) as (client, _):
        plain = ids(recommend(client, {**LIKED, "k": 20}))
        told = recommend(client, asking({**LIKED, "k": 20}, rerank=True))
    assert ids(told) == [plain[2], plain[0], plain[1], *plain[3:]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"order": [1, 2', "is not the JSON"),
        ('Sure! {"order": [2, 1]}', "is not the JSON"),
        ('[{"order": [2, 1]}]', "no JSON object"),
        ('{"order": "2, 1"}', "no list 'order'"),
        ('{"order": ["i0002"]}', "names no candidate"),
        ('{"items": [2, 1]}', "no list 'order'"),
        ("", "is not the JSON"),
    ],
)
def test_an_answer_of_another_shape_leaves_the_normal_list(
    helped: Helped, text: str, why: str
) -> None:
    with helped(only("rerank", Reply(text or " "))) as (client, _):
        plain = recommend(client, LIKED)
        told = recommend(client, asking(rerank=True))
    assert ids(told) == ids(plain)
    assert told["llm"]["used"] is False
    assert why in told["llm"]["why"]


def test_a_fenced_answer_is_read(helped: Helped) -> None:
    with helped(only("rerank", Reply('```json\n{"order": [2, 1]}\n```'))) as (client, _):
        plain = ids(recommend(client, LIKED))
        assert ids(recommend(client, asking(rerank=True)))[:2] == [plain[1], plain[0]]


def test_a_long_list_is_ordered_in_windows_from_the_back(helped: Helped) -> None:
    """Of forty, the best is last; windows of twenty that overlap by ten carry it to the front."""
    best = ""

    def finds_best(body: dict[str, Any]) -> Reply:
        items = prompt_of(body)["items"]
        titles = [item["title"] for item in items]
        place = titles.index(best) + 1 if best in titles else 1
        return said(order=[place])

    with helped(finds_best) as (client, running):
        plain = recommend(client, {**LIKED, "k": 40})
        titles = [hit["item"]["title"] for hit in plain["items"]]
        place = next(n for n in range(39, 30, -1) if titles.count(titles[n]) == 1)
        best = titles[place]
        told = recommend(client, asking({**LIKED, "k": 40}, rerank=True, candidates=40))
        sizes = [len(prompt["items"]) for prompt in running.prompts("rerank")]
    assert sizes == [20, 20, 20]
    assert told["items"][0]["item"]["title"] == best
    left = [item_id for item_id in ids(plain) if item_id != ids(told)[0]]
    assert ids(told)[1:] == left


def test_likelihood_orders_by_log_probability_in_both_directions(helped: Helped) -> None:
    liked = ""

    def likes_one(body: dict[str, Any]) -> Reply:
        assert body["logprobs"] is True
        assert body["max_tokens"] == 1
        items = prompt_of(body)["items"]
        # The model favours early letters, and one title a good deal more than that.
        first = {
            letter: -1.0 * n + (15.0 if item["title"] == liked else 0.0)
            for n, (letter, item) in enumerate(items.items())
        }
        return Reply("A", first=first)

    with helped(likes_one) as (client, running):
        plain = recommend(client, LIKED)
        titles = [hit["item"]["title"] for hit in plain["items"]]
        liked = next(title for title in titles[4:] if titles.count(title) == 1)
        told = recommend(client, asking(rerank=True, mode="likelihood", candidates=10))
        assert len(running.prompts("likelihood")) == 2
    assert told["items"][0]["item"]["title"] == liked
    # What is left is favoured as much from the front as from the back: a draw, so as it was.
    assert ids(told)[1:] == [item_id for item_id in ids(plain) if item_id != ids(told)[0]]


def test_an_endpoint_without_log_probabilities_says_so(helped: Helped) -> None:
    with helped(only("likelihood", Reply("A"))) as (client, _):
        told = recommend(client, asking(rerank=True, mode="likelihood"))
    assert told["llm"]["used"] is False
    assert "gives no log-probabilities" in told["llm"]["why"]


def test_pinned_items_keep_their_rank(helped: Helped) -> None:
    with helped(obliging) as (client, running):
        pinned = ids(recommend(client, {**LIKED, "k": 20}))[7]
        body = {**LIKED, "k": 20, "pin": [{"item_id": pinned, "rank": 3}]}
        told = recommend(client, asking(body, rerank=True))
        shown = running.prompts("rerank")[0]["items"]
    assert told["items"][2]["id"] == pinned
    assert len(shown) == 19


def test_an_explored_list_and_later_pages_are_not_ordered(helped: Helped) -> None:
    with helped(obliging) as (client, running):
        drawn = recommend(client, asking({**LIKED, "explore": 0.5, "seed": 1}, rerank=True))
        first = recommend(client, LIKED)
        later = recommend(client, asking({"cursor": first["next_cursor"]}, rerank=True))
        assert running.calls == []
    assert "explored" in drawn["llm"]["why"]
    assert "first page" in later["llm"]["why"]


def test_prompts_hold_no_user_no_review_and_no_id(helped: Helped, shop: Any) -> None:
    with helped(obliging) as (client, running):
        body = {**LIKED, "user_id": "very-secret-user", "session_id": "very-secret-session"}
        recommend(client, asking(body, rerank=True, explain=True, generate=True))
        sent = [part_of(call) + str(call["messages"]) for call in running.calls]
    assert len(sent) >= 3
    for text in sent:
        assert "very-secret" not in text
        assert "'id'" not in text
        assert "i0001" not in text


def test_fields_and_reasons_are_those_of_the_request(helped: Helped) -> None:
    with helped(obliging) as (client, _):
        body = {**LIKED, "k": 2, "fields": ["tags"], "explain": False}
        told = recommend(client, asking(body, rerank=True, explain=True))
        following = recommend(client, {"cursor": told["next_cursor"]})
    for hit in [*told["items"], *following["items"]]:
        assert set(hit["item"]) == {"id", "tags"}
        assert hit["reasons"] == []
    assert len(following["items"]) == 2
    assert told["items"][0]["explanation"]["text"]


def test_a_batch_says_that_it_has_no_time_for_a_model(helped: Helped) -> None:
    with helped(obliging) as (client, running):
        body = {"requests": [asking(rerank=True), LIKED]}
        first, second = client.post("/v1/recommend/batch", json=body).json()["answers"]
        assert running.calls == []
    assert first["llm"]["used"] is False
    assert "batch" in first["llm"]["why"]
    assert "llm" not in second
    assert ids(first) == ids(second)


@pytest.mark.parametrize(
    ("llm", "told"),
    [
        ("yes", "llm must be an object"),
        ({"rerank": "yes"}, "llm.rerank must be true or false"),
        ({"rerrank": True}, "did you mean 'rerank'"),
        ({"mode": "pairwise"}, "llm.mode is 'pairwise'; use 'listwise' or 'likelihood'"),
        ({"budget_ms": 0}, "llm.budget_ms must be a whole number from 1 to 600000, got 0"),
        ({"candidates": 101}, "llm.candidates must be a whole number from 1 to 100"),
    ],
)
def test_a_wrong_llm_object_is_refused_with_a_sentence(helped: Helped, llm: Any, told: str) -> None:
    with helped(obliging) as (client, _):
        for path in ("/v1/recommend", "/v1/recommend/stream"):
            answer = client.post(path, json={"llm": llm})
            assert answer.status_code == 422
            assert told in answer.json()["detail"]
