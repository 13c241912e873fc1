"""What a user says or does takes of the first ten what it is worth, and no more."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, build_index
from indexer.language.encoder import TextEncoder
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.paths import SAMPLE

SIZE = 40
TOPICS = ("jazz", "garden", "chess")
OWN_WORDS = {
    "jazz": 1,
    "garden": 3,
    "chess": 5,
}  # more of them: less alike, and further from a text


def describe_rows() -> list[dict[str, Any]]:
    """Three topics; each item's title is the word of its topic and some words of its own."""
    return [
        {"id": f"{topic}{number:02d}", "topic": topic,
         "title": " ".join([topic, *(f"{topic}{number}x{n}" for n in range(OWN_WORDS[topic]))])}
        for topic in TOPICS
        for number in range(SIZE)
    ]  # fmt: skip


def write_events(path: Path) -> str:
    """Users who each stay in one topic."""
    rng = np.random.default_rng(4)
    lines = ["user_id,item_id,event,value,timestamp"]
    for user in range(300):
        topic, first = TOPICS[user % 3], int(rng.integers(1_000_000))
        for step, item in enumerate(rng.choice(SIZE, 6, replace=False)):
            lines.append(f"u{user},{topic}{item:02d},purchase,,{first + step}")
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture(scope="module", params=["untrained", "trained"])
def topics(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp(request.param)
    encoder = WordEncoder(dim=64)
    learned = request.param == "trained"
    events = {"interactions": write_events(root / "events.csv")} if learned else {}
    catalog = write_rows(root / "items.jsonl", describe_rows())
    build_index(catalog, root / "index", encoder=encoder, **events)  # type: ignore[arg-type]  # mixed keywords
    index = Index.open(root / "index", encoder=encoder)
    assert index.manifest.learned == learned
    return index


def count_topics(index: Index, **body: Any) -> dict[str, int]:
    hits = index.recommend(**body, k=10)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    for hit in hits:
        assert sum(r["share"] for r in hit.reasons) == pytest.approx(hit.score, abs=1e-4)
    shown = [hit.item["topic"] for hit in hits]
    return {topic: shown.count(topic) for topic in TOPICS}


@pytest.mark.parametrize("scenario", ["default", "video", "news"])
@pytest.mark.parametrize(("old", "new"), [(a, b) for a in TOPICS for b in TOPICS if a != b])
def test_one_purchase_of_something_else_takes_its_share_and_no_more(
    topics: Index, old: str, new: str, scenario: str
) -> None:
    likes = [{"item_id": f"{old}{number:02d}", "event": "like"} for number in range(3)]
    history = [*likes, {"item_id": f"{new}05", "event": "purchase"}]
    shown = count_topics(topics, history=history, scenario=scenario)
    assert shown[old] >= 6
    assert 1 <= shown[new] <= 4


@pytest.mark.parametrize("old", TOPICS)
def test_one_purchase_does_not_erase_a_long_history(topics: Index, old: str) -> None:
    new = TOPICS[TOPICS.index(old) - 1]
    likes = [{"item_id": f"{old}{number:02d}", "event": "like"} for number in range(20)]
    shown = count_topics(topics, history=[*likes, {"item_id": f"{new}05", "event": "purchase"}])
    assert shown[old] >= 6


@pytest.mark.parametrize(
    ("one", "other"), [("jazz", "garden"), ("garden", "chess"), ("chess", "jazz")]
)
def test_two_interests_each_have_their_part_of_the_first_ten(
    topics: Index, one: str, other: str
) -> None:
    shown = count_topics(topics, interests=[one, other])
    assert 3 <= shown[one] <= 7
    assert 3 <= shown[other] <= 7


def test_an_interest_said_twice_counts_as_one_interest_of_twice_the_weight(topics: Index) -> None:
    shown = count_topics(topics, interests=["jazz", "jazz", "chess"])
    assert shown["jazz"] > shown["chess"] >= 2


def test_an_interest_beside_a_history_is_shown_too(topics: Index) -> None:
    likes = [{"item_id": f"jazz{number:02d}", "event": "like"} for number in range(4)]
    shown = count_topics(topics, history=likes, interests=["chess"])
    assert shown["jazz"] >= 5
    assert shown["chess"] >= 2


def test_a_filter_that_leaves_one_of_two_interests_is_answered_from_it(topics: Index) -> None:
    shown = count_topics(topics, interests=["jazz", "chess"], filter={"topic": "chess"})
    assert shown == {"jazz": 0, "garden": 0, "chess": 10}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, multilingual: TextEncoder) -> Index:
    """The sample catalogue with the real encoder."""
    root = tmp_path_factory.mktemp("shipped")
    texts = [file.read_text("utf-8") for file in sorted(SAMPLE.glob("*.jsonl"))]
    rows = [json.loads(line) for text in texts for line in text.splitlines()]
    catalog = write_rows(root / "items.jsonl", rows)
    build_index(catalog, root / "index", encoder=multilingual)
    return Index.open(root / "index", encoder=multilingual)


def tell_sides(index: Index, found: list[str], one: dict[str, Any], other: dict[str, Any]) -> Any:
    """How many of the found rank higher for one profile alone than for the other alone."""
    first = {hit.id: hit.rank for hit in index.recommend(**one, include_seen=True, k=1000)}
    second = {hit.id: hit.rank for hit in index.recommend(**other, include_seen=True, k=1000)}
    of_first = sum(first[item_id] < second[item_id] for item_id in found)
    return of_first, len(found) - of_first


@pytest.mark.model
@pytest.mark.parametrize(
    ("one", "other"),
    [("cooking", "茶"), ("武侠", "心理学"), ("jazz", "gardening"), ("悬疑", "film noir"),
     ("science fiction", "history"), ("露营", "古典音乐"), ("running", "cooking")],
)  # fmt: skip
def test_two_interests_share_the_real_sample_in_any_language(
    shipped: Index, one: str, other: str
) -> None:
    found = [hit.id for hit in shipped.recommend(interests=[one, other], k=10)]
    sides = tell_sides(shipped, found, {"interests": [one]}, {"interests": [other]})
    assert min(sides) >= 3


@pytest.mark.model
@pytest.mark.parametrize(
    ("old", "new"),
    [("jazz", "gardening"), ("武侠", "coffee"), ("侦探小说", "hiking"), ("coffee", "古典音乐")],
)
def test_one_purchase_takes_its_share_of_the_real_sample(
    shipped: Index, old: str, new: str
) -> None:
    likes = [{"item_id": hit.id, "event": "like"} for hit in shipped.search(old, k=3)]
    bought = [{"item_id": shipped.search(new, k=1)[0].id, "event": "purchase"}]
    found = [hit.id for hit in shipped.recommend(history=[*likes, *bought], k=10)]
    of_old, of_new = tell_sides(shipped, found, {"history": likes}, {"history": bought})
    assert of_old >= 6
    assert of_new >= 1
