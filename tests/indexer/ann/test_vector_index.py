"""The vector index against numpy products, and its refusals."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.ann import VectorIndex, select_top
from indexer.arrays import Vectors
from indexer.errors import SnapshotError, VectorShapeError


def random_vectors(count: int, dim: int = 8, seed: int = 0) -> Vectors:
    rows: Vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows


def by_brute_force(vectors: Any, query: Any, k: int, allowed: Any = None) -> list[int]:
    scores = vectors.astype(np.float64) @ query.astype(np.float64)
    rows = range(len(vectors)) if allowed is None else np.flatnonzero(allowed).tolist()
    return sorted(rows, key=lambda row: (-scores[row], row))[:k]


@settings(max_examples=80)
@given(
    count=st.integers(1, 300),
    k=st.integers(1, 400),
    share=st.sampled_from([None, 0.0, 0.01, 0.3, 0.99]),
    seed=st.integers(0, 999),
)
def test_search_equals_brute_force(count: int, k: int, share: float | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, queries = random_vectors(count, seed=seed), random_vectors(3, seed=seed + 1)
    allowed = None if share is None else rng.random(count) < share
    for query, found in zip(
        queries, VectorIndex.build(vectors).search(queries, k, allowed), strict=True
    ):
        assert found.rows.tolist() == by_brute_force(vectors, query, k, allowed)
        np.testing.assert_allclose(found.scores, vectors[found.rows] @ query, atol=1e-5)


def test_the_score_is_the_inner_product_and_not_a_distance() -> None:
    vectors = np.array([[1, 0], [10, 0], [0.9, 0.1], [-20, 0]], np.float32)
    (found,) = VectorIndex.build(vectors).search(np.array([[1, 0]], np.float32), 4)
    assert found.rows.tolist() == [1, 0, 2, 3]  # by distance it would be 0, 2, 1, 3
    np.testing.assert_allclose(found.scores, [10, 1, 0.9, -20], rtol=1e-6)


def test_equal_scores_come_by_row_wherever_the_cut_falls() -> None:
    vectors = np.ones((1_000, 4), np.float32)
    vectors[500:] = 2
    index = VectorIndex.build(vectors)
    query = np.ones((1, 4), np.float32)
    for k in (1, 7, 499, 501, 1_000):
        expected = [*range(500, 1_000), *range(500)][:k]
        assert index.search(query, k)[0].rows.tolist() == expected
    odd = np.arange(1_000) % 2 == 1
    assert index.search(query, 3, odd)[0].rows.tolist() == [501, 503, 505]


def test_never_minus_one_and_never_a_row_twice() -> None:
    vectors = np.repeat(random_vectors(10), 10, axis=0)
    allowed = np.arange(100) < 37
    (found,) = VectorIndex.build(vectors).search(random_vectors(1, seed=3), 1_000, allowed)
    assert sorted(found.rows.tolist()) == list(range(37))


def test_no_allowed_row_and_no_row_at_all_give_nothing() -> None:
    index = VectorIndex.build(random_vectors(20))
    assert index.search(random_vectors(2), 5, np.zeros(20, np.bool_))[1].rows.size == 0
    empty = VectorIndex.build(np.empty((0, 8), np.float32))
    assert len(empty) == 0
    assert empty.search(random_vectors(1), 5)[0].rows.size == 0


@pytest.mark.parametrize(
    "queries",
    [
        np.zeros((2, 7), np.float32),
        np.zeros(8, np.float32),
        np.zeros((1, 8), np.float64),
        np.zeros((1, 2, 8), np.float32),
    ],
)
def test_queries_of_another_shape_are_refused_with_both_sizes(queries: Any) -> None:
    with pytest.raises(VectorShapeError) as caught:
        VectorIndex.build(random_vectors(5)).search(queries, 1)
    assert str(queries.shape) in str(caught.value)
    assert str(queries.dtype) in str(caught.value)
    assert "(n, 8) float32" in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_query_that_is_no_number_is_refused(bad: float) -> None:
    query = random_vectors(2)
    query[1, 3] = bad
    with pytest.raises(VectorShapeError, match="NaN or infinity"):
        VectorIndex.build(random_vectors(5)).search(query, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_refused_with_its_row(bad: float) -> None:
    vectors = random_vectors(70_000, 2)
    vectors[66_001, 1] = bad
    with pytest.raises(VectorShapeError, match=r"row 66001 "):
        VectorIndex.build(vectors)


def test_vectors_of_one_dimension_are_refused_with_their_shape() -> None:
    with pytest.raises(VectorShapeError, match=r"\(8,\)"):
        VectorIndex.build(np.zeros(8, np.float32))


def test_a_written_index_answers_as_before(tmp_path: Path) -> None:
    vectors = random_vectors(200)
    index = VectorIndex.build(vectors)
    index.save(tmp_path / "index.faiss")
    opened = VectorIndex.open(tmp_path / "index.faiss")
    assert (len(opened), opened.dim) == (200, 8)
    np.testing.assert_array_equal(opened.read_vectors([3, 199, 3]), vectors[[3, 199, 3]])
    queries = random_vectors(4, seed=2)
    for before, after in zip(index.search(queries, 9), opened.search(queries, 9), strict=True):
        assert before.rows.tolist() == after.rows.tolist()
    np.testing.assert_allclose(opened.compute_scores(queries), queries @ vectors.T, atol=1e-5)
    some = np.array([5, 2])
    np.testing.assert_allclose(
        opened.compute_scores(queries, some), queries @ vectors[some].T, atol=1e-5
    )


def test_an_index_of_distances_is_refused(tmp_path: Path) -> None:
    import faiss

    index: Any = faiss.IndexFlatL2(8)
    index.add(random_vectors(5))
    faiss.write_index(index, str(tmp_path / "index.faiss"))
    with pytest.raises(SnapshotError, match="inner product"):
        VectorIndex.open(tmp_path / "index.faiss")


@pytest.mark.parametrize("kept", [None, 0, 10, 60, 3_000])
def test_a_missing_or_truncated_index_file_is_refused_by_name(
    tmp_path: Path, kept: int | None
) -> None:
    path = tmp_path / "index.faiss"
    VectorIndex.build(random_vectors(200)).save(path)
    if kept is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SnapshotError, match=r"index\.faiss is missing or damaged"):
        VectorIndex.open(path)


def test_eight_threads_get_the_answers_of_one() -> None:
    index = VectorIndex.build(random_vectors(3_000))
    queries = random_vectors(64, seed=8)
    allowed = np.random.default_rng(1).random(3_000) < 0.5
    alone = [found.rows.tolist() for found in index.search(queries, 10, allowed)]
    wrong: list[int] = []

    def ask(offset: int) -> None:
        for place in range(64):
            row = (place + offset) % 64
            (found,) = index.search(queries[row : row + 1], 10, allowed)
            if found.rows.tolist() != alone[row]:
                wrong.append(row)

    threads = [threading.Thread(target=ask, args=(8 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50), st.integers(1, 60))
def test_best_sorts_by_score_and_then_by_row(scores: list[int], k: int) -> None:
    rows = np.random.default_rng(0).permutation(len(scores)).astype(np.int64)
    by_row = dict(zip(rows.tolist(), scores, strict=True))
    expected = sorted(by_row, key=lambda row: (-by_row[row], row))[:k]
    found = select_top(rows, np.array(scores, np.float32), k)
    assert found.rows.tolist() == expected


def test_a_large_batch_equals_one_query_at_a_time() -> None:
    """From 32 queries on, the library uses every core."""
    index = VectorIndex.build(random_vectors(500))
    queries = random_vectors(40, seed=5)
    together = index.search(queries, 7)
    for row, found in enumerate(together):
        (alone,) = index.search(queries[row : row + 1], 7)
        assert found.rows.tolist() == alone.rows.tolist()


def test_scores_that_differ_in_the_last_bits_only_are_equal() -> None:
    scores = np.array([0.5, 0.5 + 6e-8, 0.5 - 6e-8], np.float32)
    assert select_top(np.array([2, 1, 0]), scores, 3).rows.tolist() == [0, 1, 2]
