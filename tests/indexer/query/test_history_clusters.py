"""A history of several kinds of items is clustered by kind, and each cluster is searched."""

from pathlib import Path

import numpy as np

from indexer import Index, build_index
from indexer.arrays import Vectors
from indexer.query.history_clusters import MIN_LIKED, cluster_history
from indexer.query.inputs import QueryInput, Role
from tests.oracle import write_rows

KINDS = np.eye(6, dtype=np.float32)[:3]  # three directions, and three for what tells items apart


def item(kind: int, number: int) -> Vectors:
    vector = KINDS[kind] + 0.2 * np.eye(6, dtype=np.float32)[3 + number % 3]
    unit: Vectors = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit


def liked(name: str, weight: float = 1.0) -> QueryInput:
    return QueryInput(Role.PROFILE, weight, {"kind": "history", "item_id": name}, item_id=name)


def test_the_kinds_of_a_history_are_found_whatever_its_order() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        kinds = rng.permutation([0] * 6 + [1] * 5 + [2] * 4)
        inputs = [liked(str(n)) for n in range(len(kinds))]
        vectors = np.stack([item(kind, n) for n, kind in enumerate(kinds)])
        clusters = cluster_history(inputs, vectors, 3)
        positions = sorted(tuple(np.flatnonzero(own)) for own in clusters)
        assert positions == sorted(tuple(np.flatnonzero(kinds == kind)) for kind in range(3))


def test_what_is_short_small_disliked_or_not_wanted_is_no_cluster() -> None:
    kinds = [0] * 6 + [1] * 2 + [2] * 3
    vectors = np.stack([item(kind, n) for n, kind in enumerate(kinds)])
    inputs = [liked(str(n)) for n in range(len(kinds))]
    assert cluster_history(inputs, vectors, 0) == []
    assert cluster_history(inputs[: MIN_LIKED - 1], vectors[: MIN_LIKED - 1], 3) == []
    disliked = [liked(str(n), -1.0 if kind == 2 else 1.0) for n, kind in enumerate(kinds)]
    clusters = cluster_history(disliked, vectors, 2)
    assert [np.flatnonzero(own).tolist() for own in clusters] == [[0, 1, 2, 3, 4, 5]]
    same = np.stack([item(0, 0)] * 11)
    assert [int(own.sum()) for own in cluster_history(inputs, same, 3)] == [11]


def test_a_shop_shows_every_kind_of_a_basket_and_the_shares_still_sum(tmp_path: Path) -> None:
    rows = [
        {"id": f"{kind}-{number}", "title": f"{kind} {number}",
         "vector": (item(kind, number) + 0.01 * number * KINDS[(kind + 1) % 3]).tolist()}
        for kind in range(3)
        for number in range(12)
    ]  # fmt: skip
    build_index(write_rows(tmp_path / "items.jsonl", rows), tmp_path / "index", model="none")
    index = Index.open(tmp_path / "index")
    basket = [
        {"item_id": f"{kind}-{number}", "event": "purchase"}
        for kind in (0, 1, 2)
        for number in range(4)
    ]
    shown = {
        scenario: index.recommend(history=basket, scenario=scenario, k=6, include_seen=False)
        for scenario in ("default", "shop")
    }
    assert {hit.id[0] for hit in shown["shop"]} == {"0", "1", "2"}
    for answer in shown.values():
        for hit in answer:
            total = sum(reason["share"] for reason in hit.reasons)
            assert abs(total - hit.score) < 1e-4
