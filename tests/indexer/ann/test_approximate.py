"""Approximate indexes behave as the exact one does, and reach the recall in their facts."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.ann import VectorIndex
from indexer.ann.faiss_library import load_faiss
from indexer.arrays import Vectors
from indexer.errors import SnapshotError
from tests.indexer.ann.worlds import KINDS, LAYOUT, build, clustered, recall, requests

COUNT = 12_000
ROWS = np.arange(COUNT)


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return clustered(COUNT)


@pytest.fixture(scope="module", params=[*KINDS.values()], ids=[*KINDS])
def index_and_facts(
    request: pytest.FixtureRequest, vectors: Vectors, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    return build(tmp_path_factory.mktemp("ann"), vectors, request.param)


@pytest.fixture(scope="module")
def index(index_and_facts: Any) -> VectorIndex:
    opened: VectorIndex = index_and_facts[0]
    return opened


def test_the_recall_in_the_facts_is_that_of_other_requests(
    index_and_facts: Any, vectors: Vectors
) -> None:
    index, facts = index_and_facts
    everything = np.ones(COUNT, np.bool_)
    assert "note" not in facts
    assert min(facts["recall_by_weights"].values()) >= 0.99
    assert facts["recall_by_weights"].keys() == {"1,1,1", "1,0,0", "1,1,3", "1,1,10", "3 vectors"}
    measured = recall(index, vectors, requests(vectors, 300), everything)
    assert measured >= 0.98
    assert facts["recall"] == pytest.approx(measured, abs=0.015)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.01, 0.001])
def test_under_a_filter_nothing_is_short_forbidden_or_twice(
    index: VectorIndex, vectors: Vectors, share: float
) -> None:
    allowed = np.random.default_rng(1).random(COUNT) < share
    queries = requests(vectors, 60)
    for k in (1, 10, 200):
        for found in index.search(queries, k, allowed):
            assert len(found.rows) == min(k, np.count_nonzero(allowed))
            assert len(set(found.rows.tolist())) == len(found.rows)
            assert allowed[found.rows].all()
            assert (np.diff(found.scores) <= 1e-6).all()
    assert recall(index, vectors, queries, allowed) >= 0.99


@pytest.mark.parametrize("share", [0.5, 0.2, 0.05])
def test_allowed_rows_that_are_the_farthest_of_all_are_found(
    index: VectorIndex, vectors: Vectors, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter on one brand while the request is about another, on the approximate path itself."""
    monkeypatch.setattr(index, "_gather_share", 0.0)  # its measure depends on the machine
    queries = requests(vectors, 12)
    for query in queries:
        scores = vectors @ query
        allowed = scores <= np.quantile(scores, share)
        assert recall(index, vectors, query[None], allowed) >= 0.9
        assert len(index.search(query[None], 50, allowed)[0].rows) == 50


def test_asking_for_all_rows_gives_all_rows_in_order(index: VectorIndex, vectors: Vectors) -> None:
    (found,) = index.search(requests(vectors, 1), COUNT + 5)
    assert sorted(found.rows.tolist()) == ROWS.tolist()
    assert (np.diff(np.round(found.scores, 6)) <= 0).all()


def test_scores_are_products_with_the_stored_vectors(index: VectorIndex, vectors: Vectors) -> None:
    queries = requests(vectors, 20)
    for query, found in zip(queries, index.search(queries, 10), strict=True):
        stored = index.read_vectors(found.rows)
        assert stored.dtype == np.float32
        np.testing.assert_allclose(stored, vectors[found.rows], atol=1e-3)
        np.testing.assert_allclose(found.scores, stored @ query, atol=1e-5)
        np.testing.assert_allclose(
            index.compute_scores(query[None], found.rows)[0], found.scores, atol=1e-5
        )


def test_a_request_of_the_prior_alone_is_exact_and_its_ties_are_by_row(
    index: VectorIndex, vectors: Vectors
) -> None:
    query = np.zeros((1, LAYOUT.dim), np.float32)
    query[0, LAYOUT.meaning] = 1
    prior = vectors[:, LAYOUT.meaning].astype(np.float16).astype(np.float32)
    (found,) = index.search(query, 100)
    expected = np.lexsort((ROWS, -np.round(prior, 6)))[:100]
    assert found.rows.tolist() == expected.tolist()
    (found,) = index.search(np.zeros((1, LAYOUT.dim), np.float32), 5, ROWS >= 7)
    assert found.rows.tolist() == [7, 8, 9, 10, 11]


def test_a_search_leaves_the_shared_index_as_it_was(index: VectorIndex, vectors: Vectors) -> None:
    def state() -> list[Any]:
        faiss = load_faiss()
        top = faiss.downcast_index(index._searcher.index)
        parts = [top, faiss.downcast_index(getattr(top, "base_index", top))]
        return [getattr(part, name, None) for part in parts for name in ("nprobe", "k_factor")] + [
            part.hnsw.efSearch for part in parts if hasattr(part, "hnsw")
        ]

    before = state()
    index.search(requests(vectors, 3), 10, ROWS % 2 == 0)
    assert state() == before


def test_eight_threads_under_eight_filters_get_the_answers_of_one(
    index: VectorIndex, vectors: Vectors
) -> None:
    queries = requests(vectors, 24)
    masks = [ROWS % (2 + number) == 0 for number in range(8)]
    alone = [[found.rows.tolist() for found in _each(index, queries, allowed)] for allowed in masks]
    wrong: list[int] = []

    def ask(number: int) -> None:
        again = [found.rows.tolist() for found in _each(index, queries, masks[number])]
        if again != alone[number]:
            wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def _each(index: VectorIndex, queries: Vectors, allowed: Any) -> Any:
    return [index.search(query[None], 10, allowed)[0] for query in queries]


def test_many_equal_vectors_come_by_row(tmp_path: Path) -> None:
    vectors = clustered(8_000)
    vectors[3_000:6_000] = vectors[3_000]
    index, _ = build(tmp_path, vectors, KINDS["pq"])
    query = vectors[3_000:3_001].copy()
    assert index.search(query, 10)[0].rows.tolist() == [*range(3_000, 3_010)]
    odd = np.arange(8_000) % 2 == 1
    assert index.search(query, 4, odd)[0].rows.tolist() == [3_001, 3_003, 3_005, 3_007]


def test_the_vectors_are_read_from_the_file_and_not_copied(index: VectorIndex) -> None:
    view = index._vectors
    assert not view.flags.owndata
    assert not view.flags.writeable


def test_an_index_of_distances_is_refused_whatever_it_is(tmp_path: Path) -> None:
    faiss = load_faiss()
    rows = clustered(2_000)
    for index in (
        faiss.IndexHNSWFlat(LAYOUT.dim, 8),  # whose default is L2
        faiss.index_factory(LAYOUT.dim, "PQ16x4fs,Refine(SQfp16)"),
        faiss.index_factory(LAYOUT.dim, "IVF8,PQ16x4fs,Refine(SQfp16)"),
    ):
        index.train(rows)
        index.add(rows)
        faiss.write_index(index, str(tmp_path / "index.faiss"))
        with pytest.raises(SnapshotError, match="does not use the inner product"):
            VectorIndex.open(tmp_path / "index.faiss")


def test_an_index_without_readable_vectors_is_refused_with_the_remedy(tmp_path: Path) -> None:
    faiss = load_faiss()
    index = faiss.index_factory(LAYOUT.dim, "PQ16x4fs", faiss.METRIC_INNER_PRODUCT)
    index.train(clustered(2_000))
    index.add(clustered(2_000))
    faiss.write_index(index, str(tmp_path / "index.faiss"))
    with pytest.raises(SnapshotError, match=r"IndexPQFastScan.*Refine\(SQfp16\)"):
        VectorIndex.open(tmp_path / "index.faiss")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_approximate_index_is_refused_by_name(tmp_path: Path, part: float) -> None:
    build(tmp_path, clustered(2_000), KINDS["pq"])
    path = tmp_path / "index.faiss"
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(SnapshotError, match=r"index\.faiss is missing or damaged"):
        VectorIndex.open(path)
