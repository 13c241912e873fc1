"""Every option of a request beside every other, on random catalogues: what always holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import Index, build_index
from tests.fakes import WordEncoder
from tests.indexer.ranking.test_ranking_options import options as arrangements
from tests.indexer.test_promises import bodies
from tests.oracle import filter_oracle, write_rows
from tests.worlds import described_rows

NOW = 1_790_000_000
SIZES = (1, 7, 45, 160)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "time": st.sampled_from([NOW, "2026-11-24T20:30:00+08:00"]),
        "weather": st.sampled_from(["rain", "snow"]),
        "place": st.sampled_from(["home", {"lat": 31.2, "lon": 121.5}]),
        "mood": st.sampled_from(["sad", 3]),
        "with_kids": st.booleans(),
    },
)
others = st.fixed_dictionaries(
    {},
    optional={
        "context": contexts,
        "at": st.sampled_from([NOW, "2026-11-22"]),
        "scenario": st.sampled_from(["default", "news", "shop", "music", "video"]),
        "weights": st.fixed_dictionaries(
            {}, optional={n: st.sampled_from([-1, 0, 2]) for n in ("meaning", "taste", "prior")}
        ),
        "explore": st.sampled_from([0.0, 0.3, 1.0]),
        "seed": st.integers(0, 9),
        "fields": st.sampled_from([["title"], []]),
        "explain": st.booleans(),
        "user_id": st.just("u1"),
    },
)
anything = st.builds(lambda *parts: {k: v for p in parts for k, v in p.items()},
                     bodies, arrangements, others)  # fmt: skip


def random_catalogue(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(count)
    rows = described_rows(count, seed=count)
    for row in rows:
        if rng.random() < 0.5:
            row["created_at"] = int(NOW - rng.integers(0, 30 * 86_400))
        if rng.random() < 0.5:
            row["location"] = {"lat": 31.2 + rng.normal() / 10, "lon": 121.5}
        row["artist"] = str(rng.choice(["A", "B", "C"]))
    # Generated filters may ask for any field, whatever the size of the catalogue.
    rows[0] |= {"rating": 3.0, "brand": "north", "available": True, "created_at": NOW}
    return rows


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Index, Any]]:
    """Of several sizes, and the largest with a taste model."""
    made: dict[str, tuple[Index, Any]] = {}
    encoder = WordEncoder(dim=32)
    for count, is_learned in [*((size, False) for size in SIZES), (SIZES[-1], True)]:
        root: Path = tmp_path_factory.mktemp(f"random{count}")
        rows = random_catalogue(count)
        events = root / "events.csv"
        rng = np.random.default_rng(1)
        lines = [f"u{n // 6},i{rng.integers(count):04d},play,,{NOW - 900 + n}" for n in range(900)]
        events.write_text("\n".join(["user_id,item_id,event,value,timestamp", *lines]))
        build_index(
            write_rows(root / "items.jsonl", rows), root / "index", encoder=encoder,
            interactions=str(events) if is_learned else None,
        )  # fmt: skip
        index = Index.open(root / "index", encoder=encoder)
        assert index.manifest.learned == is_learned
        made[f"{count}{' learned' * is_learned}"] = (index, {row["id"]: row for row in rows})
    return made


NAMES = [*map(str, SIZES), f"{SIZES[-1]} learned"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(body=anything)
def test_any_options_together_keep_the_promises(
    catalogues: dict[str, tuple[Index, Any]], name: str, body: dict[str, Any]
) -> None:
    index, rows = catalogues[name]
    body = {"at": NOW, **body}
    answer = index.recommend(**body)
    complete, ids = answer.complete, [hit.id for hit in answer]
    assert complete["eligible"] + sum(complete["excluded"].values()) == len(rows)
    assert len(ids) == len({*ids}) == complete["returned"] == min(body["k"], complete["eligible"])
    assert [hit.rank for hit in answer] == list(range(1, len(ids) + 1))
    for hit in answer:
        row = rows[hit.id]
        assert hit.id not in body.get("exclude", [])
        assert row.get("available") is not False
        assert filter_oracle.passes(body.get("filter") or {}, row, dates=("created_at",))
        assert hit.score >= body.get("min_score", -np.inf) - 1e-6
        assert (hit.propensity is not None) == bool(body.get("explore"))
        if "fields" in body:
            assert {*hit.item} <= {"id", *body["fields"]}
        if body.get("explain", True):
            total = sum(reason["share"] for reason in hit.reasons)
            assert total == pytest.approx(hit.score, abs=1e-4)
        else:
            assert hit.reasons == []
    again = index.recommend(**body)
    assert (again.hits, again.complete) == (answer.hits, complete)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(body=anything)
def test_whatever_arranges_a_list_leaves_its_members_and_scores(
    catalogues: dict[str, tuple[Index, Any]], name: str, body: dict[str, Any]
) -> None:
    index, rows = catalogues[name]
    # Caps, which a scenario may set too, are decided by pins first: these go only without caps.
    whole = {"at": NOW, **body, "k": len(rows)}
    plain = {n: v for n, v in whole.items() if n not in ("diversity", "explore")}
    if body.get("max_per") == {}:
        plain.pop("pin", None)
    scores = {hit.id: hit.score for hit in index.recommend(**plain)}
    arranged = {hit.id: hit.score for hit in index.recommend(**whole)}
    assert {*arranged} == {*scores}
    for item_id, score in arranged.items():
        assert score == pytest.approx(scores[item_id], abs=1e-5)
    if not plain.get("pin"):
        assert (np.diff(list(scores.values())) <= 1e-5).all()
