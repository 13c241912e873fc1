"""A query turned into filter, context and scenario; an ideal item as one more query input."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import Shop
from tests.service.llm.conftest import Helped
from tests.service.llm.fake_endpoint import Reply, part_of, prompt_of, said
from tests.service.llm.scripts import LIKED, asking, ids, obliging, only

WISH = "some quiet sea stories by Acme, rated four or better, it is raining"


def recommend(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def hears(**told: Any) -> Any:
    reading = {"query": "", "filter": [], "context": [], "scenario": "", **told}
    return only("understand", said(**reading))


def clause(field: str, op: str, *values: str) -> dict[str, Any]:
    return {"field": field, "op": op, "values": list(values)}


def test_a_sentence_becomes_query_filter_context_and_scenario(helped: Helped, shop: Shop) -> None:
    brand = next(row["brand"] for row in shop.rows if "brand" in row)
    script = hears(
        query="quiet sea",
        filter=[clause("brand", "any", brand.upper()), clause("rating", "gte", "4")],
        context=[{"field": "weather", "value": "rain"}],
        scenario="video",
    )
    with helped(script) as (client, _):
        told = recommend(client, asking({"query": WISH, "k": 50}, understand=True))
        asked = {
            "query": "quiet sea",
            "filter": {"and": [{"brand": {"any": [brand]}}, {"rating": {"gte": 4.0}}]},
            "context": {"weather": "rain"},
            "scenario": "video",
            "k": 50,
        }
        plain = recommend(client, asked)
    assert told["llm"]["understood"] == {name: asked[name] for name in asked if name != "k"}
    assert ids(told) == ids(plain)
    assert told["complete"] == plain["complete"]
    assert all(hit["item"]["brand"] == brand for hit in told["items"])


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (clause("director", "any", "Hitchcock"), "the catalogue has no field 'director'"),
        (clause("brand", "any", "Nobody & Sons"), "no item has 'brand' any Nobody & Sons"),
        (clause("brand", "none", "Nobody & Sons"), "no item has 'brand' none Nobody & Sons"),
        (clause("rating", "gte", "four"), "'four' is no number for 'rating'"),
        (clause("rating", "gte", "99"), "no item has 'rating' gte 99.0"),
        (clause("brand", "gte", "A"), "'brand' has no bounds"),
        (clause("available", "any", "maybe"), "'maybe' is neither true nor false"),
        ({"field": "brand", "op": "like", "values": ["x"]}, "is no condition"),
        ({"field": "brand", "op": "any"}, "is no condition"),
        (clause("rating", "gte", "nan"), "rating"),
    ],
)
def test_what_the_catalogue_does_not_have_is_left_out_and_reported(
    helped: Helped, bad: dict[str, Any], why: str
) -> None:
    good = clause("rating", "gte", "4")
    with helped(hears(query="quiet sea", filter=[bad, good])) as (client, _):
        told = recommend(client, asking({"query": WISH}, understand=True))
    assert told["llm"]["understood"]["filter"] == {"rating": {"gte": 4.0}}
    assert why in told["llm"]["understood"]["left_out"][0]


def test_conditions_that_leave_nothing_together_are_no_filter(helped: Helped) -> None:
    both = [clause("rating", "gte", "4"), clause("rating", "lte", "2")]
    with helped(hears(query="quiet sea", filter=both)) as (client, _):
        told = recommend(client, asking({"query": WISH}, understand=True))
    assert "filter" not in told["llm"]["understood"]
    assert len(told["items"]) == 10


def test_what_was_given_explicitly_stays(helped: Helped) -> None:
    script = hears(
        query="quiet sea",
        filter=[clause("rating", "gte", "3")],
        context=[{"field": "weather", "value": "snow"}, {"field": "mood", "value": "calm"}],
        scenario="news",
    )
    body = {
        "query": WISH,
        "filter": {"available": True},
        "context": {"weather": "rain"},
        "scenario": "video",
    }
    with helped(script) as (client, _):
        told = recommend(client, asking({**body, "k": 100}, understand=True))
        plain = recommend(
            client,
            {
                **body,
                "k": 100,
                "query": "quiet sea",
                "filter": {"and": [{"available": True}, {"rating": {"gte": 3}}]},
                "context": {"weather": "rain", "mood": "calm"},
            },
        )
    assert ids(told) == ids(plain)
    assert "scenario" not in told["llm"]["understood"]
    assert told["llm"]["understood"]["context"] == {"mood": "calm"}


def test_a_reading_without_a_word_of_the_sentence_is_not_taken(helped: Helped) -> None:
    with helped(hears(query="buy crypto")) as (client, _):
        plain = recommend(client, {"query": WISH})
        told = recommend(client, asking({"query": WISH}, understand=True))
    assert ids(told) == ids(plain)
    assert "no word of the sentence" in told["llm"]["understood"]["left_out"][0]


def test_later_pages_keep_what_was_understood_and_imagined(helped: Helped) -> None:
    script = hears(query="quiet sea", filter=[clause("rating", "gte", "3")])
    with helped(script) as (client, running):
        body = asking({"query": WISH, "k": 5}, understand=True, generate=True)
        page = recommend(client, body)
        calls = len(running.calls)
        whole = ids(recommend(client, {**body, "k": 40}))
        found = ids(page)
        while len(found) < 40:
            page = recommend(client, {"cursor": page["next_cursor"]})
            assert any(reason["kind"] == "ideal" for reason in page["items"][0]["reasons"])
            found += ids(page)
        assert len(running.calls) == calls
    assert found == whole


def test_the_client_may_repeat_its_own_words_with_a_cursor(helped: Helped) -> None:
    with helped(hears(query="quiet sea")) as (client, _):
        page = recommend(client, asking({"query": WISH, "k": 5}, understand=True))
        again = {"query": WISH, "cursor": page["next_cursor"]}
        assert len(recommend(client, again)["items"]) == 5


def test_the_ideal_is_one_more_input_with_its_exact_share(helped: Helped, shop: Shop) -> None:
    ideal = "a quiet sea and a cold lantern"
    with helped(only("generate", said(ideal=ideal))) as (client, running):
        plain = {hit["id"]: hit for hit in recommend(client, {**LIKED, "k": 400})["items"]}
        told = recommend(client, asking({**LIKED, "k": 400}, generate=True))
        assert running.prompts("generate")[0]["past"][0].startswith("like: ")
    assert told["llm"]["ideal"] == ideal
    for hit in told["items"]:
        shares = {reason["kind"]: reason["share"] for reason in hit["reasons"]}
        assert sum(reason["share"] for reason in hit["reasons"]) == pytest.approx(
            hit["score"], abs=1e-4
        )
        # Added with a constant weight: the rest of the score is what it was without it.
        before = plain[hit["id"]]["score"]
        assert hit["score"] - before == pytest.approx(shares.get("ideal", 0), abs=1e-4)
    best = told["items"][0]
    query = shop.encoder.encode_queries([ideal])[0]
    assert np.isfinite(query).all()
    assert best["score"] != plain[best["id"]]["score"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (said(ideal="  <b></b> "), "described no item"),
        (said(ideal=7), "described no item"),
        (said(other="x"), "described no item"),
        (Reply("a quiet sea"), "is not the JSON"),
    ],
)
def test_an_ideal_that_is_none_changes_nothing(helped: Helped, reply: Reply, why: str) -> None:
    with helped(only("generate", reply)) as (client, _):
        plain = recommend(client, LIKED)
        told = recommend(client, asking(generate=True))
    assert ids(told) == ids(plain)
    assert why in told["llm"]["why"]


def test_nothing_known_is_nothing_to_imagine(helped: Helped) -> None:
    with helped(obliging) as (client, running):
        told = recommend(client, asking({"k": 3}, generate=True, understand=True))
        assert running.calls == []
    assert told["llm"]["used"] is False
    assert "nothing is known of the person yet" in told["llm"]["why"]
    assert "no query to understand" in told["llm"]["why"]


def test_stored_history_counts_too(helped: Helped) -> None:
    with helped(obliging) as (client, running):
        event = {"user_id": "u-imagined", "item_id": "i0003", "event": "like"}
        client.post("/v1/events", json=event)
        recommend(client, asking({"user_id": "u-imagined"}, generate=True))
        assert len(running.prompts("generate")[0]["past"]) == 1
        client.delete("/v1/users/u-imagined")


def test_understanding_and_imagining_happen_at_the_same_time(helped: Helped) -> None:
    """Each waits until the other has been asked; one after the other neither would answer."""
    asked: set[str] = set()

    def together(body: dict[str, Any]) -> Reply:
        asked.add(part_of(body))
        for _ in range(200):
            if {"understand", "generate"} <= asked:
                return obliging(body)
            import time

            time.sleep(0.02)
        return Reply(status=500)

    with helped(together) as (client, _):
        told = recommend(client, asking({"query": WISH}, understand=True, generate=True))
    assert "failed" not in told["llm"]


def test_the_prompt_lists_the_catalogues_own_fields_and_values(helped: Helped, shop: Shop) -> None:
    with helped(obliging) as (client, running):
        recommend(client, asking({"query": WISH}, understand=True))
        (told,) = running.prompts("understand")
        call = next(call for call in running.calls if part_of(call) == "understand")
    brands = {row["brand"] for row in shop.rows if "brand" in row}
    assert set(told["fields"]["brand"]) == brands
    assert told["fields"]["rating"] == {"type": "number", "lowest": 1.0, "highest": 5.0}
    assert "title" not in told["fields"]
    schema = call["response_format"]["json_schema"]["schema"]
    assert set(schema["properties"]["filter"]["items"]["properties"]["field"]["enum"]) == set(
        told["fields"]
    )
    assert prompt_of(call)["sentence"] == WISH


def test_what_a_model_understood_is_not_read_again_by_rules(helped: Helped) -> None:
    wish = "sea books for children and before 1970, under 20 €"
    dated = {"id": "dated", "title": "sea", "year": 1960}
    with helped(hears(query="sea books")) as (client, _):
        assert client.put("/v1/items/dated", json=dated).status_code == 200
        read = recommend(client, {"query": wish})
        understood = recommend(client, asking({"query": wish}, understand=True))
        plain = recommend(client, {"query": "sea books", "read_wish": False})
    assert read["understood"]["filter"] == {"year": {"lt": 1970}}
    assert "understood" not in understood
    assert understood["llm"]["understood"] == {"query": "sea books"}
    assert ids(understood) == ids(plain)


def test_without_a_model_the_rules_read(helped: Helped) -> None:
    dated = {"id": "dated", "title": "sea", "year": 1960}
    with helped(only("understand", Reply(status=500))) as (client, _):
        assert client.put("/v1/items/dated", json=dated).status_code == 200
        told = recommend(client, asking({"query": "sea before 1970"}, understand=True))
    assert not told["llm"]["used"]
    assert told["understood"]["filter"] == {"year": {"lt": 1970}}
    assert ids(told) == ["dated"]


def test_a_model_reads_the_sentence_as_it_was_typed(helped: Helped) -> None:
    dated = {"id": "dated", "title": "sea", "year": 1960}
    with helped(hears(query="sea")) as (client, endpoint):
        assert client.put("/v1/items/dated", json=dated).status_code == 200
        recommend(client, asking({"query": "sea before 1970"}, understand=True))
        (prompt,) = endpoint.prompts("understand")
    assert prompt["sentence"] == "sea before 1970"
