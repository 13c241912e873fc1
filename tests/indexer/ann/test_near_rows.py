"""The rows near any of several query vectors, in each kind of index, against brute force."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.ann import AllowedRows, NearRows, VectorIndex
from indexer.ann.near_rows import find_kth_largest, select_distinct_best
from indexer.arrays import Vectors
from tests.indexer.ann.worlds import KINDS, LAYOUT, build, clustered, requests

COUNT = 8_000
DEPTH = 20
ATOL = 1e-5  # of products of float32 vectors
MIN_RECALL = 0.98
# Effort is measured for the first ranks; behind forty dropped rows an index finds a little less.
MIN_RECALL_BEHIND_DROPPED = 0.96
# The best of each vector are chosen by the scores of codes; 4-bit codes find 0.885 of them.
MIN_RECALL_BY_CODES = 0.88


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return clustered(COUNT)


@pytest.fixture(scope="module", params=["flat", *KINDS])
def index(
    request: pytest.FixtureRequest, vectors: Vectors, tmp_path_factory: pytest.TempPathFactory
) -> VectorIndex:
    if request.param == "flat":
        return VectorIndex.build(vectors)
    return build(tmp_path_factory.mktemp("near"), vectors, KINDS[request.param])[0]


def list_requests(vectors: Vectors) -> list[Vectors]:
    """Requests of one to five query vectors each."""
    queries = requests(vectors, 60)
    return np.split(queries, np.cumsum([1 + place % 5 for place in range(20)])[:-1])


def compute_products(index: VectorIndex, queries: Vectors) -> NDArray[np.float64]:
    """Products with the vectors as the index stores them, `(q, n) float64`."""
    stored = index.read_vectors(np.arange(len(index)))
    products: NDArray[np.float64] = queries.astype(np.float64) @ stored.astype(np.float64).T
    return products


def allow(vectors: Vectors, share: float, queries: Vectors, *, drops: int) -> AllowedRows:
    """A random share of the rows, less those with the best products, as a user has seen them."""
    rng = np.random.default_rng(int(100 * share))
    allowed = AllowedRows.from_mask(rng.random(len(vectors)) < share)
    return allowed.drop(np.argsort(-(queries @ vectors.T).max(axis=0))[:drops])


def require_true(near: NearRows, products: NDArray[np.float64], allowed: AllowedRows) -> None:
    """Rows are allowed, distinct and ascending, with their products."""
    assert (np.diff(near.rows) > 0).all()
    assert allowed.contain(near.rows).all()
    np.testing.assert_allclose(near.products, products[:, near.rows], atol=ATOL * 10)


@pytest.mark.parametrize("share", [1.1, 0.9, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("drops", [0, 40])
def test_the_rows_near_any_vector_are_found(
    index: VectorIndex, vectors: Vectors, share: float, drops: int
) -> None:
    found_count = wanted_count = 0
    for queries in list_requests(vectors):
        allowed = allow(vectors, share, queries, drops=drops)
        near = index.find_near(queries, DEPTH, allowed)
        products = compute_products(index, queries)
        require_true(near, products, allowed)
        best = products.max(axis=0)
        rows = allowed.list_rows()
        depth = min(DEPTH, len(rows))
        assert len(near.rows) >= depth
        least = np.sort(best[rows])[-depth]
        # Rows that tie with the last are as good.
        found = min(depth, int(np.count_nonzero(best[near.rows] >= least - ATOL)))
        found_count, wanted_count = found_count + found, wanted_count + depth
        others = np.setdiff1d(rows, near.rows)
        if index.is_exact:
            assert found == depth
            assert best[others].max(initial=-np.inf) <= near.bound + ATOL
        assert near.bound > -np.inf or not len(others)
    least_recall = MIN_RECALL_BEHIND_DROPPED if drops else MIN_RECALL
    assert found_count >= least_recall * wanted_count


@pytest.mark.parametrize("share", [1.1, 0.5])
def test_the_best_half_of_what_is_wanted_of_each_vector_is_among_them(
    index: VectorIndex, vectors: Vectors, share: float
) -> None:
    found_count = wanted_count = 0
    for queries in list_requests(vectors):
        allowed = allow(vectors, share, queries, drops=5)
        near = index.find_near(queries, DEPTH, allowed, each=20)
        products = compute_products(index, queries)
        require_true(near, products, allowed)
        rows = allowed.list_rows()
        for own in products:
            least = np.sort(own[rows])[-10]
            found_count += min(10, int(np.count_nonzero(own[near.rows] >= least - ATOL)))
            wanted_count += 10
    assert found_count >= (1 if index.is_exact else MIN_RECALL_BY_CODES) * wanted_count


def test_a_request_for_what_is_popular_is_exact(index: VectorIndex, vectors: Vectors) -> None:
    query = np.zeros((1, index.dim), np.float32)
    query[0, 30] = 2.0
    products = compute_products(index, query)
    for share, drops in ((1.1, 0), (0.5, 40), (0.1, 3)):
        allowed = allow(vectors, share, query, drops=drops)
        near = index.find_near(query, DEPTH, allowed)
        require_true(near, products, allowed)
        rows = allowed.list_rows()
        least = np.sort(products[0, rows])[-DEPTH]
        assert np.count_nonzero(products[0, near.rows] >= least - ATOL) >= DEPTH
        others = np.setdiff1d(rows, near.rows)
        assert products[0, others].max(initial=-np.inf) <= near.bound + ATOL


@pytest.mark.parametrize("depth", [0, 1, 7, 500, 10 * COUNT])
def test_any_depth_is_answered(index: VectorIndex, vectors: Vectors, depth: int) -> None:
    queries = requests(vectors, 3)
    allowed = allow(vectors, 0.5, queries, drops=10)
    near = index.find_near(queries, depth, allowed)
    require_true(near, compute_products(index, queries), allowed)
    assert len(near.rows) >= min(depth, allowed.count)
    nothing = AllowedRows.from_mask(np.zeros(COUNT, np.bool_))
    assert not len(index.find_near(queries, depth, nothing).rows)


@given(st.integers(0, 9_999), st.integers(1, 4), st.integers(1, 40), st.integers(0, 6))
def test_the_distinct_best_are_the_rows_with_the_highest_of_their_scores(
    seed: int, q: int, limit: int, each: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(30)[:15] for _ in range(q)])
    scores = -np.sort(-rng.random((q, 15)).astype(np.float32), axis=1)
    usable = rng.random((q, 15)) < 0.7
    best: dict[int, float] = {}
    for place in zip(*np.nonzero(usable), strict=True):
        row = int(rows[place])
        best[row] = max(best.get(row, 0.0), float(scores[place]))
    expected = set(sorted(best, key=lambda row: -best[row])[:limit])
    for own_rows, own_usable in zip(rows, usable, strict=True):
        expected |= set(own_rows[own_usable][:each].tolist())
    found = select_distinct_best(scores, rows, usable, limit, each=each)
    assert found.tolist() == sorted(expected)


@given(st.lists(st.integers(-5, 5)), st.integers(-1, 12))
def test_the_kth_largest_counts_ties(values: list[int], k: int) -> None:
    ordered = sorted(values, reverse=True)
    expected = ordered[k - 1] if 0 < k <= len(values) else -np.inf
    assert find_kth_largest(np.array(values, np.float32), k) == expected


def test_a_column_in_which_all_items_are_alike_costs_no_effort(tmp_path: Path) -> None:
    alike = clustered(COUNT)
    alike[:, LAYOUT.meaning] = 0.25
    index, _ = build(tmp_path, alike, KINDS["pq"])
    queries = requests(alike, 3)[:1]
    allowed = AllowedRows.all_of(COUNT)
    usual = index.find_near(queries, DEPTH, allowed)
    queries[:, LAYOUT.meaning] = 10
    weighty = index.find_near(queries, DEPTH, allowed)
    assert len(weighty.rows) == len(usual.rows) < COUNT // 4
    products = queries @ index.read_vectors(np.arange(COUNT)).T
    best = np.argsort(-products[0])[:DEPTH]
    assert np.isin(best, weighty.rows).mean() >= MIN_RECALL
