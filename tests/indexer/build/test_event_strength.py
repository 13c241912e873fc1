"""One rating, some plays and a refund among clicks: what an index built from them recommends."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, build_index
from indexer.reading import Interaction, read_interactions
from indexer.taste import build_events
from indexer.taste.prior import count_picks
from tests.oracle import write_rows

TOPICS, EACH, DIM = 5, 12, 16
CLICKED = ["m1", "m6", "m11"]  # of topic 1


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items `m0`…: the topic of item n is n modulo `TOPICS`, and its vector is near the topic's."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(TOPICS, DIM))
    rows = [
        {
            "id": f"m{n}",
            "title": f"item {n}",
            "vector": (topics[n % TOPICS] + rng.normal(0, 0.1, DIM)).tolist(),
        }
        for n in range(TOPICS * EACH)
    ]
    return write_rows(tmp_path_factory.mktemp("world") / "items.jsonl", rows)


def write_clicks(path: Path, *more: str) -> Path:
    """Forty users who click on items of one topic, and further rows `user,item,event,value`."""
    rng = np.random.default_rng(1)
    lines = ["user_id,item_id,event,value,timestamp"]
    for user in range(40):
        for step in range(12):
            item = rng.integers(EACH) * TOPICS + user % TOPICS
            lines.append(f"u{user},m{item},click,,{1_700_000_000 + 60 * (12 * user + step)}")
    lines += [f"{row},{1_700_100_000}" for row in more]
    path.write_text("\n".join(lines) + "\n")
    return path


def recommend(root: Path, *entries: str | dict[str, Any]) -> list[tuple[str, float]]:
    with closing(Index.open(root)) as index:
        return [(hit.id, hit.score) for hit in index.recommend(history=[*entries], k=5)]


def topics_of(hits: list[tuple[str, float]]) -> set[int]:
    return {int(item_id[1:]) % TOPICS for item_id, _ in hits}


def test_one_rating_in_the_file_or_live_leaves_every_click_as_it_was(
    catalog: Path, tmp_path: Path
) -> None:
    clicks = write_clicks(tmp_path / "clicks.csv")
    build_index(catalog, tmp_path / "plain", model="none", interactions=clicks)
    rated = write_clicks(tmp_path / "rated.csv", "someone,m3,rating,5")
    build_index(catalog, tmp_path / "rated", model="none", interactions=rated)
    live = [Interaction("someone", "m3", "rating", 5.0, 1_700_100_000.0, None, {})]
    build_index(catalog, tmp_path / "live", model="none", interactions=clicks, live_events=live)
    expected = recommend(tmp_path / "plain", *CLICKED)
    assert topics_of(expected) == {1}
    for name in ("rated", "live"):
        found = recommend(tmp_path / name, *CLICKED)
        assert topics_of(found) == {1}
        assert found[0][1] == pytest.approx(expected[0][1], abs=0.05)


@pytest.mark.parametrize("event", ["click", "view", "play", "share", "add_to_cart", "finish"])
def test_no_kind_of_event_counts_nothing_after_ratings(
    catalog: Path, tmp_path: Path, event: str
) -> None:
    ratings = tmp_path / "ratings.csv"
    clicks = write_clicks(tmp_path / "clicks.csv").read_text().splitlines()
    rows = [row.replace(",click,,", f",rating,{1 + n % 5},") for n, row in enumerate(clicks)]
    ratings.write_text("\n".join(rows) + "\n")
    build_index(catalog, tmp_path / "x", model="none", interactions=ratings)
    entries = [{"item_id": item_id, "event": event} for item_id in CLICKED]
    hits = recommend(tmp_path / "x", *entries)
    assert topics_of(hits) == {1}
    assert hits[0][1] > 0.3


def test_more_plays_weigh_more_and_few_are_no_dislike(catalog: Path, tmp_path: Path) -> None:
    plays = tmp_path / "plays.csv"
    clicks = write_clicks(tmp_path / "clicks.csv").read_text().splitlines()[1:]
    rows = [f"{','.join(row.split(',')[:2])},{1 + n % 3 * 30}" for n, row in enumerate(clicks)]
    plays.write_text("\n".join(["user_id,item_id,plays", *rows]) + "\n")
    build_index(catalog, tmp_path / "x", model="none", interactions=plays)
    few = {"item_id": "m1", "event": "play", "value": 1}
    many = {"item_id": "m2", "event": "play", "value": 60}
    assert topics_of(recommend(tmp_path / "x", few)) == {1}
    assert recommend(tmp_path / "x", few, many)[0][0] in {f"m{n}" for n in range(2, 60, 5)}
    swapped = [{**many, "item_id": "m1"}, {**few, "item_id": "m2", "at": 1.0}]
    assert recommend(tmp_path / "x", *swapped)[0][0] in {f"m{n}" for n in range(1, 60, 5)}


def test_what_was_bought_and_sent_back_is_no_pick(tmp_path: Path) -> None:
    bought = [f"b{n},m0,purchase,1" for n in range(30)]
    picks = []
    for rows in (bought, [*bought, *(row.replace(",1", ",-1") for row in bought)]):
        file = write_clicks(tmp_path / "log.csv", *rows)
        found = [row for row in read_interactions(str(file)) if isinstance(row, Interaction)]
        events = build_events(found, ["m0"])
        picks.append(count_picks(events, half_life=0, met_weight=0.5)[0])
    log = (tmp_path / "log.csv").read_text().splitlines()
    clicks = sum(row.startswith("u") and ",m0," in row for row in log)
    strength = 1 / ((0.6 * clicks + 30) / (clicks + 30))
    assert picks[0] == pytest.approx((0.6 * clicks + 30) * strength, rel=1e-5)
    assert picks[1] == pytest.approx(0.6 * clicks * strength, rel=1e-5)


def test_a_refund_in_a_history_leaves_nothing_to_like(catalog: Path, tmp_path: Path) -> None:
    clicks = write_clicks(tmp_path / "clicks.csv")
    build_index(catalog, tmp_path / "x", model="none", interactions=clicks)
    bought = {"item_id": "m0", "event": "purchase"}
    assert topics_of(recommend(tmp_path / "x", bought)) == {0}
    returned = {"item_id": "m0", "event": "purchase", "value": -1}
    assert 0 not in topics_of(recommend(tmp_path / "x", bought, returned))
