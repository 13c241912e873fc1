"""The promises of API.md on random requests, against brute force from the raw rows."""

import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import Answer, Index, build_index
from tests.oracle import Expected, World, filter_oracle, write_rows
from tests.worlds import BRANDS, WORDS, Built

SAME = 2e-6  # a float32 product against a float64 one
ITEM_IDS = [f"i{number:04d}" for number in range(0, 300, 7)]

leaves = st.one_of(
    st.builds(lambda word: {"tags": word}, st.sampled_from(WORDS)),
    st.builds(
        lambda op, words: {"tags": {op: words}},
        st.sampled_from(["any", "all", "none"]),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
    ),
    st.builds(
        lambda op, number: {"pages": {op: number}},
        st.sampled_from(["gte", "gt", "lte", "lt"]),
        st.integers(0, 500),
    ),
    st.builds(lambda low: {"rating": {"gte": low, "lt": low + 2}}, st.integers(1, 5)),
    st.builds(lambda brand: {"brand": brand}, st.sampled_from(BRANDS)),
    st.builds(lambda there: {"brand": {"exists": there}}, st.booleans()),
    st.builds(lambda value: {"available": value}, st.booleans()),
)
filters = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda op, parts: {op: parts},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=5,
)
entries = st.one_of(
    st.sampled_from(ITEM_IDS),
    st.builds(
        lambda item, event: {"item_id": item, "event": event},
        st.sampled_from(ITEM_IDS),
        st.sampled_from(
            ["like", "dislike", "skip", "view", "purchase", "refund", "hide", "impression"]
        ),
    ),
    st.builds(
        lambda item, value: {"item_id": item, "event": "rating", "value": value},
        st.sampled_from(ITEM_IDS),
        st.sampled_from([1, 2.5, 5]),
    ),
    st.builds(lambda word: {"text": word}, st.sampled_from(["rain", "love story", "看喜剧"])),
)
bodies = st.fixed_dictionaries(
    {"k": st.integers(1, 400)},
    optional={
        "history": st.lists(entries, max_size=6),
        "interests": st.lists(st.sampled_from(WORDS), max_size=3, unique=True),
        "query": st.sampled_from(["jazz in the rain", "悬疑", "robot"]),
        "filter": filters,
        "exclude": st.lists(st.sampled_from([*ITEM_IDS, "nobody"]), max_size=5),
        "include_seen": st.booleans(),
        "scenario": st.sampled_from(["video", "music"]),
        "min_score": st.floats(-0.3, 0.6),
        "weights": st.fixed_dictionaries(
            {"meaning": st.sampled_from([0.5, 1, 2]), "prior": st.sampled_from([0, 1, 5])}
        ),
    },
)


def assert_is(answer: Answer, truth: Expected, k: int) -> None:
    """The answer has the right members, order, scores and counts."""
    assert answer.complete["eligible"] == truth.eligible
    assert answer.complete["excluded"] == truth.excluded
    assert answer.complete["returned"] == len(answer) == min(k, truth.eligible)
    found = [hit.id for hit in answer]
    assert len(set(found)) == len(found)
    assert set(found) <= set(truth.ids)
    for hit, right in zip(answer, truth.ids, strict=False):
        assert abs(hit.score - truth.scores[hit.id]) < SAME
        # The same item, unless the two are closer than a float32 can tell.
        assert hit.id == right or abs(truth.scores[hit.id] - truth.scores[right]) < SAME
    assert [hit.rank for hit in answer] == list(range(1, len(answer) + 1))


def away_from_the_edge(body: dict[str, Any], world: World) -> dict[str, Any]:
    """Move `min_score` into a gap between scores, so that rounding does not decide."""
    if "min_score" not in body:
        return body
    scores = np.sort(list(world.answer({**body, "min_score": None}).scores.values()))
    gaps = np.flatnonzero(np.diff(scores) > 1e-4)
    middles = np.append((scores[gaps] + scores[gaps + 1]) / 2, scores[-1] + 1)
    nearest = float(middles[np.abs(middles - body["min_score"]).argmin()])
    return {**body, "min_score": nearest}


@settings(max_examples=100)
@given(body=bodies)
def test_any_request_equals_brute_force(worded: Built, body: dict[str, Any]) -> None:
    body = away_from_the_edge(body, worded.world)
    assert_is(worded.index.recommend(**body), worded.world.answer(body), body["k"])


@settings(max_examples=40)
@given(body=bodies)
def test_no_answer_holds_what_it_may_not(worded: Built, body: dict[str, Any]) -> None:
    answer = worded.index.recommend(**{**body, "include_seen": False})
    met = {
        entry if isinstance(entry, str) else entry.get("item_id")
        for entry in body.get("history", [])
        if isinstance(entry, str) or entry.get("event") != "impression"
    }
    for hit in answer:
        assert hit.id not in met
        assert hit.id not in body.get("exclude", [])
        assert hit.item.get("available") is not False
        assert filter_oracle.passes(body.get("filter") or {}, hit.item, dates=())
        assert hit.score >= body.get("min_score", -np.inf) - 1e-6


@settings(max_examples=30)
@given(body=bodies)
def test_every_item_is_eligible_or_excluded_once(worded: Built, body: dict[str, Any]) -> None:
    complete = worded.index.recommend(**body).complete
    assert list(complete["excluded"]) == [
        "deleted", "unavailable", "requested", "seen", "filter", "min_score", "cap",
    ]  # fmt: skip
    assert complete["eligible"] + sum(complete["excluded"].values()) == len(worded.index)


@settings(max_examples=30)
@given(body=bodies)
def test_the_same_request_has_the_same_answer(worded: Built, body: dict[str, Any]) -> None:
    first, second = worded.index.recommend(**body), worded.index.recommend(**body)
    assert first.hits == second.hits
    assert first.complete == second.complete


@settings(max_examples=30)
@given(body=bodies, k=st.integers(1, 50))
def test_a_shorter_list_is_the_head_of_a_longer_one(
    worded: Built, body: dict[str, Any], k: int
) -> None:
    whole = worded.index.recommend(**{**body, "k": 400})
    head = worded.index.recommend(**{**body, "k": k})
    assert [hit.id for hit in head] == [hit.id for hit in whole][:k]


@settings(max_examples=60)
@given(body=bodies)
def test_shares_are_those_of_brute_force_and_sum_to_the_score(
    worded: Built, body: dict[str, Any]
) -> None:
    truth = worded.world.answer({**body, "min_score": None})
    for hit in worded.index.recommend(**{**body, "k": 10}):
        assert abs(sum(reason["share"] for reason in hit.reasons) - hit.score) < 1e-4
        magnitudes = [abs(reason["share"]) for reason in hit.reasons]
        assert magnitudes == sorted(magnitudes, reverse=True)
        by_kind: dict[str, float] = defaultdict(float)
        for reason in hit.reasons:
            by_kind[reason["kind"]] += reason["share"]
        right: dict[str, float] = defaultdict(float)
        for name, share in truth.shares(hit.id).items():
            kind = name.split(":")[0]
            right[{"item": "history", "text": "history"}.get(kind, kind)] += share
        for kind in {*by_kind, *right}:
            # Which request vector won is open where two are equally good.
            if len(body.get("history", [])) <= 1:
                assert abs(by_kind[kind] - right[kind]) < 1e-5


def test_the_requests_cover_all_sorts_of_answers(worded: Built) -> None:
    """The generators above are worth something only if their answers differ."""
    sizes: set[str] = set()

    @settings(max_examples=100)
    @given(body=bodies)
    def ask(body: dict[str, Any]) -> None:
        eligible = worded.index.recommend(**body).complete["eligible"]
        sizes.add("none" if not eligible else "few" if eligible < 10 else "many")

    ask()
    assert sizes == {"none", "few", "many"}


def test_more_than_there_is_gives_all_there_is(worded: Built) -> None:
    answer = worded.index.recommend(k=1000)
    assert len(answer) == worded.world.answer({}).eligible < 1000


def test_a_filter_that_nothing_passes_gives_an_empty_answer(worded: Built) -> None:
    answer = worded.index.recommend(query="rain", filter={"pages": {"gt": 10_000}})
    assert list(answer) == []
    assert answer.complete["eligible"] == 0


def test_each_exclusion_is_counted_at_its_first_reason(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "title": "a", "available": False, "n": 1, "vector": [1, 0]},
        {"id": "b", "title": "b", "n": 1, "vector": [1, 0]},
        {"id": "c", "title": "c", "n": 1, "vector": [1, 0]},
        {"id": "d", "title": "d", "n": 1, "vector": [1, 0]},
        {"id": "e", "title": "e", "n": 2, "vector": [0, 1]},
        {"id": "f", "title": "f", "n": 2, "vector": [1, 0]},
    ]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model="none")
    answer = Index.open(tmp_path / "x").recommend(
        history=["c", "b", "a"], exclude=["a", "b", "nobody"], filter={"n": 2}, min_score=0.5
    )
    assert [hit.id for hit in answer] == ["f"]
    assert answer.complete == {
        "returned": 1,
        "eligible": 1,
        "excluded": {
            "deleted": 0, "unavailable": 1, "requested": 1, "seen": 1,
            "filter": 1, "min_score": 1, "cap": 0,
        },
        "search": "exact",
    }  # fmt: skip
    assert answer.unknown_items == ("nobody",)


def test_equal_items_come_in_order_of_id(tmp_path: Path) -> None:
    ids = ["m10", "m9", "b", "É", "z", "A", "电影"]
    rows = [{"id": item_id, "title": "twin", "vector": [0.6, 0.8]} for item_id in ids]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model="none")
    index = Index.open(tmp_path / "x")
    assert [hit.id for hit in index.recommend()] == sorted(ids)
    assert [hit.id for hit in index.recommend(k=3)] == sorted(ids)[:3]
    assert [hit.id for hit in index.recommend(history=["b"])] == sorted({*ids} - {"b"})


def test_eight_threads_get_the_answers_of_one(worded: Built) -> None:
    bodies: list[dict[str, Any]] = [
        {"history": [item], "query": word, "k": 20} for item in ITEM_IDS[:6] for word in WORDS[:4]
    ]
    alone = [worded.index.recommend(**body).hits for body in bodies]
    wrong: list[Any] = []

    def ask() -> None:
        for body, right in zip(bodies, alone, strict=True):
            if worded.index.recommend(**body).hits != right:
                wrong.append(body)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """8,000 items with ready-made vectors, every tenth a copy of the one before."""
    rng = np.random.default_rng(5)
    root = tmp_path_factory.mktemp("large")
    count = 8_000
    vectors = rng.normal(size=(count, 16)).round(3)
    vectors[::10] = vectors[9::10]
    rows = [
        {
            "id": f"x{number}",
            "title": f"thing {number}",
            "tags": sorted(set(rng.choice(WORDS, 2).tolist())),
            "pages": int(rng.integers(1, 500)),
            "rating": float(rng.integers(2, 11)) / 2,
            "brand": str(rng.choice(BRANDS)),
            "available": bool(rng.random() < 0.9),
            "vector": vectors[number].tolist(),
        }
        for number in range(count)
    ]
    build_index(write_rows(root / "items.jsonl", rows), root / "index", model="none", index="flat")
    world = World(rows, {f"x{number}": vectors[number] for number in range(count)})
    index = Index.open(root / "index")
    world.take_representatives(index)
    return Built(index, world, root)


@pytest.mark.slow
def test_250_filtered_requests_on_8000_items_equal_brute_force(large: Built) -> None:
    rng = np.random.default_rng(9)
    leaves = [leaf for _ in range(5) for leaf in random_leaves(rng)]
    for _ in range(250):
        body = random_body(rng, leaves)
        assert_is(large.index.recommend(**body), large.world.answer(body), body["k"])


def random_leaves(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Conditions that between none and most of the items pass."""
    return [
        {"tags": {"any": rng.choice(WORDS, rng.integers(1, 4)).tolist()}},
        {"pages": {"lt": int(rng.integers(1, 500))}},
        {"rating": {"gte": float(rng.integers(2, 11)) / 2}},
        {"brand": {"none": [str(rng.choice(BRANDS))]}},
        {"not": {"tags": {"all": rng.choice(WORDS, 2).tolist()}}},
    ]


def random_body(rng: np.random.Generator, leaves: list[dict[str, Any]]) -> dict[str, Any]:
    some = [f"x{number}" for number in rng.integers(0, 8_000, 8)]
    chosen = [leaves[place] for place in rng.permutation(len(leaves))[: rng.integers(1, 4)]]
    return {
        "k": int(rng.choice([1, 10, 10, 100, 1_000])),
        "history": [{"item_id": item, "event": "like"} for item in some[: rng.integers(0, 5)]],
        "exclude": some[4 : 4 + rng.integers(0, 4)],
        "filter": {str(rng.choice(["and", "or"])): chosen},
    }
