"""The three films everything began with, and the sample catalogue that ships."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from indexer import Index, build_index
from indexer.language.encoder import TextEncoder
from indexer.language.item_text import is_chinese
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.paths import SAMPLE

FILMS = [
    {"id": "a", "name": "电影A", "tags": ["悬疑", "恐怖"], "rating": 4.5},
    {"id": "b", "name": "电影B", "tags": ["喜剧", "爱情"], "rating": 4.8},
    {"id": "c", "name": "电影C", "tags": ["动作", "冒险"], "rating": 4.6},
]
SAID = ("我喜欢看电影", "我最近喜欢看悬疑片", "明天晚上有空")
WISHES: list[tuple[str, dict[str, Any]]] = [
    ("a", {"history": [{"text": text} for text in SAID]}),
    ("b", {"interests": ["喜剧", "爱情"]}),
    ("c", {"query": "an action adventure film"}),
    ("b", {"query": "今晚想笑一笑，和女朋友一起看"}),
]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, multilingual: TextEncoder) -> Index:
    root = tmp_path_factory.mktemp("films")
    catalog = write_rows(root / "films.jsonl", FILMS)
    build_index(catalog, root / "index", encoder=multilingual)
    return Index.open(root / "index", encoder=multilingual)


@pytest.mark.model
@pytest.mark.parametrize(("first", "wish"), WISHES)
def test_the_film_wished_for_comes_first(films: Index, first: str, wish: dict[str, Any]) -> None:
    answer = films.recommend(**wish)
    assert [answer[0].id, len(answer)] == [first, 3], [(hit.id, hit.score) for hit in answer]
    for hit in answer:
        assert sum(reason["share"] for reason in hit.reasons) == pytest.approx(hit.score, abs=1e-4)


@pytest.mark.model
@pytest.mark.parametrize(("first", "wish"), WISHES)
def test_it_comes_first_on_a_rainy_evening_too(
    films: Index, first: str, wish: dict[str, Any]
) -> None:
    context = {"time": "2026-11-24T20:30:00+08:00", "weather": "rain", "scene": "with friends"}
    answer = films.recommend(**wish, context=context)
    assert answer[0].id == first, [(hit.id, hit.score) for hit in answer]


@pytest.mark.model
def test_the_title_is_found_and_comes_first(films: Index) -> None:
    assert films.search("电影B")[0].id == "b"
    assert films.search("c")[0].id == "c"


def sample() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(SAMPLE.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            yield file.name, json.loads(line)


def test_the_sample_has_600_items_with_ids_of_their_own() -> None:
    counts = Counter(item["id"] for _, item in sample())
    assert counts.total() >= 600
    assert [item_id for item_id, count in counts.items() if count > 1] == []


def test_about_half_of_the_sample_is_chinese() -> None:
    texts = [f"{item['title']} {item['description']}" for _, item in sample()]
    share = sum(map(is_chinese, texts)) / len(texts)
    assert 0.4 <= share <= 0.6


def test_every_sample_item_has_a_title_tags_and_a_sentence_of_its_own() -> None:
    for file, item in sample():
        assert item["title"].strip(), (file, item["id"])
        assert item["tags"], (file, item["id"])
        assert len(item["description"].strip()) >= 15, (file, item["id"])


def test_no_two_descriptions_of_the_sample_are_nearly_the_same() -> None:
    """Jaccard similarity of their four-letter pieces."""
    pieces = {
        item["id"]: frozenset(text[start : start + 4] for start in range(len(text) - 3))
        for _, item in sample()
        for text in [item["description"].lower()]
    }
    holders: dict[str, list[str]] = {}
    for item_id, mine in pieces.items():
        for piece in mine:
            holders.setdefault(piece, []).append(item_id)
    shared: Counter[tuple[str, str]] = Counter()
    for ids in holders.values():
        shared.update(combinations(sorted(ids), 2))
    alike = [
        pair
        for pair, common in shared.items()
        if common >= 0.5 * (len(pieces[pair[0]]) + len(pieces[pair[1]]) - common)
    ]
    assert alike == []


def test_the_sample_builds_without_a_rejected_row(tmp_path: Path) -> None:
    files = sorted(SAMPLE.glob("*.jsonl"))
    summary = build_index(files, tmp_path / "x", encoder=WordEncoder(dim=8))
    assert (summary.rejected, summary.duplicates) == (0, 0)
    assert summary.items == sum(1 for _ in sample())
