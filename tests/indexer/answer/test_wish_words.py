"""A wish counts by its words and leads over the history, in worlds that can be known."""

from pathlib import Path
from typing import Any

import pytest

from indexer import Index, build_index
from indexer.answer import recommend_many
from indexer.request import SCENARIOS, parse_request
from tests.fakes import WordEncoder
from tests.oracle import write_rows

GENRES = ("noir", "western", "musical")
FILMS: list[dict[str, Any]] = [
    {
        "id": f"f{number:02}",
        "title": f"{GENRES[number % 3]} {number}",
        "director": "Ann Smith" if number else "Zoe Tarkovsky",
        "rating": 2 + number % 3,
    }
    for number in range(30)
]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("films")
    encoder = WordEncoder(dim=64)
    build_index(write_rows(root / "items.jsonl", FILMS), root / "index", encoder=encoder)
    return Index.open(root / "index", encoder=encoder)


def genres_of(answer: Any) -> set[str]:
    return {hit.item["title"].split()[0] for hit in answer}


def test_a_rare_maker_comes_first_in_recommendations_as_in_searches(films: Index) -> None:
    for answer in (films.recommend(query="a film by Tarkovsky"), films.search("Tarkovsky film")):
        assert answer[0].id == "f00"
        (words,) = [reason for reason in answer[0].reasons if reason["kind"] == "words"]
        assert words["share"] > 0.1
        assert not [r for hit in answer[1:] for r in hit.reasons if r["kind"] == "words"]


def test_a_finished_wish_does_not_go_on_to_longer_words(films: Index) -> None:
    found = films.search("tarkov")
    assert "words" in {reason["kind"] for hit in found for reason in hit.reasons}
    wished = films.recommend(query="tarkov")
    assert "words" not in {reason["kind"] for hit in wished for reason in hit.reasons}


def test_a_wish_leads_over_a_history_of_something_else(films: Index) -> None:
    history = [{"item_id": f"f{number:02}", "event": "like"} for number in (2, 5, 8, 11, 14)]
    assert genres_of(films.recommend(history=history, k=5)) == {"musical"}
    assert genres_of(films.recommend(history=history, query="western", k=5)) == {"western"}
    assert genres_of(films.recommend(interests=["musical"], query="western", k=5)) == {"western"}


def test_a_query_weighs_its_lead_only_beside_a_profile(films: Index) -> None:
    lead = SCENARIOS["default"].lead_weight

    def weigh(**body: Any) -> dict[str, float]:
        reading = films.recommend(**body, query="western", validate_only=True).reading
        assert reading is not None
        return {s["kind"]: s["weight"] for s in reading["signals"] if s["role"] == "query"}

    alone = weigh()
    assert alone == {"query": 1.0, "words": pytest.approx(0.3)}
    assert weigh(history=["nobody"]) == alone
    assert weigh(history=[{"text": "rain"}]) == alone  # typed, as the query is
    expected = {kind: pytest.approx(lead * weight) for kind, weight in alone.items()}
    assert weigh(history=["f02"]) == weigh(interests=["rain"]) == expected


def test_words_are_the_same_together_as_alone_and_sum_to_the_score(films: Index) -> None:
    bodies: list[dict[str, Any]] = [
        {"query": "western 4", "k": 7},
        {"query": "noir by Zoe Tarkovsky", "history": ["f02", "f03"]},
        {"k": 3},
    ]
    for body, answer in zip(
        bodies, recommend_many(films, [parse_request(body) for body in bodies]), strict=True
    ):
        alone = films.recommend(**body)
        assert answer.ids == alone.ids
        scores = [hit.score for hit in alone]
        assert [hit.score for hit in answer] == pytest.approx(scores, abs=1e-5)
        for hit in answer:
            assert sum(r["share"] for r in hit.reasons) == pytest.approx(hit.score, abs=1e-4)


def test_words_in_an_index_without_items_do_no_harm(tmp_path: Path) -> None:
    encoder = WordEncoder(dim=16)
    rows = [{"id": "one", "title": "noir"}]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=encoder)
    index = Index.open(tmp_path / "x", encoder=encoder)
    assert [hit.id for hit in index.search("noir rain")] == ["one"]
    assert [hit.id for hit in index.recommend(query="noir rain")] == ["one"]
