"""Sizes and options to the index that is built, and the note when it is another one."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from indexer.ann.effort import find_least_effort
from indexer.ann.faiss_searcher import Effort, FaissSearcher
from indexer.ann.layout import Layout
from indexer.ann.plan import check_index_name, list_plans, plan_index
from indexer.ann.recall import (
    GroundTruth,
    QuerySet,
    compute_ground_truth,
    draw_query_sets,
    measure_recall,
)
from indexer.ann.top_rows import TopRows
from indexer.errors import CatalogError, VectorShapeError
from tests.indexer.ann.worlds import KINDS, LAYOUT, build, clustered, recall, requests


@pytest.mark.parametrize(
    ("wanted", "count", "factory"),
    [
        ("pq", 200_000, "Pad393,PQ131x4fs,Refine(SQfp16)"),
        ("flat", 5_000_000, "Flat"),
        ("hnsw", 10, "HNSW32_SQfp16"),
        ("ivf", 200_000, "Pad393,IVF1024,PQ131x4fs,Refine(SQfp16)"),
        ("ivf", 1_000_000, "Pad393,IVF2048,PQ131x4fs,Refine(SQfp16)"),
        ("ivf", 2_000, "Pad393,IVF32,PQ131x4fs,Refine(SQfp16)"),
        ("ivf", 999, "Flat"),
        ("IVF7,Flat", 5_000, "IVF7,Flat"),
    ],
)
def test_size_and_kind_decide_the_factory(wanted: str, count: int, factory: str) -> None:
    assert plan_index(wanted, count, Layout(meaning=384)).factory == factory


def test_the_prior_has_a_code_of_its_own() -> None:
    plan = plan_index("pq", 20_000, Layout(meaning=4, taste=4))
    assert plan.factory == "Pad18,PQ6x4fs,Refine(SQfp16)"
    assert plan.coded_columns == (0, 1, 2, 3, 4, 5, 6, 7, -1, 8, *[-1] * 8)


@pytest.mark.parametrize(
    ("count", "kinds"),
    [
        (0, ["flat"]), (999, ["flat"]), (2_000, ["flat", "pq"]), (20_000, ["pq"]),
        (60_000, ["pq", "ivf"]), (200_000, ["ivf"]), (1_000_000, ["ivf"]),
    ],
)  # fmt: skip
def test_auto_times_the_kinds_that_may_be_fastest(count: int, kinds: list[str]) -> None:
    assert [plan.kind for plan in list_plans("auto", count, Layout(meaning=384))] == kinds


def test_of_several_kinds_the_faster_one_is_kept_and_the_times_are_told(tmp_path: Path) -> None:
    index, facts = build(tmp_path, clustered(2_000), "auto")
    times = facts["request_ms"]
    assert set(times) == {"flat", "pq"}
    assert facts["kind"] == min(times, key=lambda kind: times[kind])
    assert len(index) == 2_000
    assert [file.name for file in tmp_path.iterdir() if "index" in file.name] == ["index.faiss"]


def test_too_few_rows_to_train_are_scanned_and_a_note_says_so(tmp_path: Path) -> None:
    index, facts = build(tmp_path, clustered(500), "ivf")
    assert facts["kind"] == "flat"
    assert facts["search"] == "exact"
    assert facts["note"] == "500 rows are too few to train ivf; they are scanned exactly"
    assert index.is_exact


def test_a_recall_out_of_reach_ends_in_a_flat_index_and_a_note_says_so(tmp_path: Path) -> None:
    index, facts = build(tmp_path, clustered(4_000), "PCA2,PQ2x4fs", min_recall=0.9999)
    assert (facts["kind"], facts["recall"], index.is_exact) == ("flat", 1.0, True)
    assert "PCA2,PQ2x4fs,Refine(SQfp16) reached recall 0." in facts["note"]
    assert "flat instead" in facts["note"]


def test_a_higher_recall_takes_more_effort(tmp_path: Path) -> None:
    vectors = clustered(12_000)
    low, high = (build(tmp_path, vectors, KINDS["pq"], min_recall=r)[1] for r in (0.5, 0.995))
    assert low["effort"]["k_factor"] < high["effort"]["k_factor"]
    assert low["min_recall"] == 0.5


def test_the_least_effort_of_a_plain_index_is_the_first_that_holds() -> None:
    measured: list[Effort] = []

    def recall(effort: Effort) -> float:
        measured.append(effort)
        return 1 - 1 / effort.k_factor

    assert find_least_effort(recall, 0, 0.94).k_factor == 20
    assert all(less.k_factor < more.k_factor for less, more in pairwise(measured))
    assert all(less.ef < more.ef for less, more in pairwise(measured))


def test_lists_are_left_out_as_long_as_the_recall_holds() -> None:
    def recall(effort: Effort) -> float:
        return (1 - 1 / effort.k_factor) * min(1.0, 0.7 + effort.nprobe / 64)

    found = find_least_effort(recall, 64, 0.94)
    assert (found.k_factor, found.nprobe) == (30, 24)  # with 16 of the 64 it is .92
    assert recall(found) >= 0.94


def test_what_is_known_to_hold_is_kept_and_what_no_longer_does_is_not() -> None:
    known = Effort(45.0, 1, 256)
    assert (
        find_least_effort(lambda effort: 1 - 1 / effort.k_factor, 0, 0.9, known_effort=known)
        == known
    )
    assert (
        find_least_effort(
            lambda effort: 1 - 1 / effort.k_factor, 0, 0.98, known_effort=known
        ).k_factor
        == 58.5
    )
    assert (
        find_least_effort(
            lambda effort: 1 - 1 / effort.k_factor, 0, 0.99, known_effort=known
        ).k_factor
        == 130
    )


def test_only_an_effort_that_was_measured_is_taken_even_if_a_greater_one_finds_less() -> None:
    measured: dict[Effort, float] = {}

    def recall(effort: Effort) -> float:
        measured[effort] = 0.9 if effort.k_factor == 20 else 0.8
        return measured[effort]

    assert measured[find_least_effort(recall, 64, 0.9)] == 0.9


@pytest.mark.parametrize("lists", [0, 1, 5, 512])
def test_a_recall_out_of_reach_takes_the_most_effort(lists: int) -> None:
    most = find_least_effort(lambda _: 0.5, lists, 0.9)
    assert (most.k_factor, most.nprobe, most.ef) == (300, max(1, lists), 1_536)


@pytest.mark.parametrize("name", ["hsnw", "", "IVF", "Flatt", "best"])
def test_a_name_that_is_no_index_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(CatalogError, match=r"unknown index .*auto, flat, hnsw, ivf or a FAISS"):
        check_index_name(name)


@pytest.mark.parametrize("name", ["auto", "flat", "hnsw", "ivf", *KINDS.values(), "OPQ8_64,PQ8"])
def test_kinds_and_factory_strings_are_taken(name: str) -> None:
    check_index_name(name)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("PQ7x4fs", r"cannot build 'PQ7x4fs.*2000 vectors of 32 numbers.*--index auto"),
        ("IDMap,Flat", r"cannot build 'IDMap,Flat"),
        ("PQ16x4fs,Refine(SQ8)", r"cannot be read in place; end it with Refine\(SQfp16\)"),
    ],
)
def test_a_factory_that_cannot_serve_is_refused_in_a_sentence(
    tmp_path: Path, factory: str, message: str
) -> None:
    with pytest.raises(CatalogError, match=message):
        build(tmp_path, clustered(2_000), factory)


def test_what_faiss_builds_but_cannot_search_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: Any) -> Any:
        raise RuntimeError("Error in search at index.cpp:1: Error: 'is_told' failed")

    monkeypatch.setattr(FaissSearcher, "_search", cannot)
    with pytest.raises(CatalogError, match=r"cannot search 'PQ16x4fs.*2000 vec.*'is_told' failed"):
        build(tmp_path, clustered(2_000), "PQ16x4fs,Refine(SQfp16)")


@pytest.mark.parametrize("factory", ["RQ2x4", "NSG16"])
def test_an_index_without_selectors_serves_masks_too(tmp_path: Path, factory: str) -> None:
    vectors = clustered(2_000)
    index, _ = build(tmp_path, vectors, factory)
    allowed = np.arange(2_000) % 2 == 0
    assert recall(index, vectors, requests(vectors, 40), allowed) >= 0.98


def test_a_vector_that_is_no_number_is_refused_with_its_row(tmp_path: Path) -> None:
    vectors = clustered(20_000)
    vectors[17_001, 3] = np.nan
    with pytest.raises(VectorShapeError, match=r"row 17001 "):
        build(tmp_path, vectors, "flat")


def test_requests_weigh_the_blocks_as_their_name_says() -> None:
    items = clustered(3_000)
    kinds = draw_query_sets(items, LAYOUT, rng=np.random.default_rng(0))
    assert sum(len(kind.vectors) // kind.vectors_per_query for kind in kinds) >= 1_000
    for kind in kinds[:-1]:
        meaning, _, prior = (float(part) for part in kind.name.split(","))
        norms = np.linalg.norm(kind.vectors[:, : LAYOUT.meaning], axis=1)
        np.testing.assert_allclose(norms, meaning, atol=1e-5)
        np.testing.assert_array_equal(kind.vectors[:, LAYOUT.meaning], prior)
    assert (kinds[-1].name, kinds[-1].vectors_per_query) == ("3 vectors", 3)


def test_the_truth_is_that_of_a_plain_scan_also_for_several_vectors() -> None:
    items = clustered(20_000)
    for truth in compute_ground_truth(
        items, draw_query_sets(items, LAYOUT, rng=np.random.default_rng(0))
    ):
        vectors, per_query = truth.query_set.vectors, truth.query_set.vectors_per_query
        for query in range(20):
            scores = (vectors[per_query * query : per_query * (query + 1)] @ items.T).max(axis=0)
            assert truth.kth_scores[query] == pytest.approx(np.sort(scores)[-10], abs=1e-5)


class HalfMissingIndex:
    """Finds five of the ten best rows and five of the worst."""

    def __init__(self, items: np.ndarray) -> None:
        self.items = items

    def search(self, queries: np.ndarray, k: int) -> list[TopRows]:
        top_rows = []
        for query in queries:
            scores = self.items @ query
            order = np.argsort(-scores)
            rows = np.concatenate([order[: k // 2], order[-k // 2 :]])
            top_rows.append(TopRows(rows, scores[rows]))
        return top_rows


def test_half_of_the_best_rows_is_a_recall_of_a_half() -> None:
    items = clustered(5_000)
    (truth, *_) = compute_ground_truth(
        items, draw_query_sets(items, LAYOUT, rng=np.random.default_rng(0))
    )
    assert measure_recall(HalfMissingIndex(items), items, truth) == 0.5  # type: ignore[arg-type]  # a stand-in


def test_a_row_of_equal_score_is_as_good_as_the_one_found_by_the_scan() -> None:
    items = np.repeat(clustered(100), 50, axis=0)
    query = items[:1]
    truth = GroundTruth(
        QuerySet("1", query), np.array([float((items @ query[0]).max())], np.float32)
    )

    class LastTiedRows(HalfMissingIndex):
        @override
        def search(self, queries: np.ndarray, k: int) -> list[TopRows]:
            return [TopRows(np.arange(40, 50), (items[40:50] @ queries[0]).astype(np.float32))]

    assert measure_recall(LastTiedRows(items), items, truth) == 1.0  # type: ignore[arg-type]  # a stand-in


def test_more_effort_never_visits_more_lists_than_there_are() -> None:
    known = Effort(10.0, 1, 32)
    more = find_least_effort(lambda effort: effort.k_factor / 20, 0, 0.6, known_effort=known)
    assert (more.k_factor, more.nprobe) == (13.0, 1)
