"""Eligible rows and candidates against plain sorting."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.ann import AllowedRows, NearRows, TopRows, VectorIndex
from indexer.arrays import Mask, Rows, Vectors
from indexer.query.eligibility import ORDER, Eligible
from indexer.query.term_totals import TermTotals
from indexer.retrieval.search import apply_min_score, find_candidates, retrieve, score_rows


class Source:
    """A vector index as the `VectorSource` that retrieval searches."""

    def __init__(self, vectors: Vectors) -> None:
        self.all = vectors
        self.index = VectorIndex.build(vectors)

    def sort_by_id(self, rows: Rows) -> Rows:
        return rows

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        return self.index.compute_scores(vectors, rows)

    def find_near(
        self, vectors: Vectors, depth: int, allowed: AllowedRows, *, each: int = 0
    ) -> NearRows:
        return self.index.find_near(vectors, depth, allowed, each=each)

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        return self.index.search(vectors, k, allowed)


@pytest.fixture(autouse=True, params=["all rows scored", "searched"])
def search_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small catalogues are scored as a whole; here they are searched as large ones are, too."""
    if request.param == "searched":
        monkeypatch.setattr("indexer.ann.vector_index._SMALL_COUNT", 0)
        monkeypatch.setattr("indexer.ann.vector_index.GATHER_SHARE", 0.0)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Source, Vectors, Eligible, int, dict[int, float]]:
    """Grid vectors, so that ties are frequent and products are exact."""
    count = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 9_999)))
    vectors = rng.integers(-2, 3, (count, 4)).astype(np.float32)
    queries = rng.integers(-2, 3, (draw(st.integers(1, 4)), 4)).astype(np.float32)
    allowed = rng.random(count) < draw(st.sampled_from([0.0, 0.04, 0.5, 1.0]))
    special = rng.choice(count, min(count, draw(st.integers(0, 5))), replace=False)
    totals = {int(row): float(rng.integers(-4, 5)) for row in special}
    limit = draw(st.integers(1, 70))
    eligible = Eligible.from_mask(allowed, dict.fromkeys(ORDER, 0))
    return Source(vectors), queries, eligible, limit, totals


@given(cases())
def test_candidates_are_the_true_top_with_their_terms(case: Any) -> None:
    source, queries, eligible, limit, totals = case
    products = source.all @ queries.T
    score = {row: products[row].max() + totals.get(row, 0) for row in range(len(source.all))}
    rows = eligible.rows.list_rows().tolist()
    expected = sorted(rows, key=lambda row: (-score[row], row))[:limit]
    found = retrieve(source, queries, eligible, limit, TermTotals(totals))
    assert found.rows.tolist() == expected
    assert found.scores.tolist() == [score[row] for row in expected]
    assert len(found.rows) == min(limit, eligible.count)
    for row, winner in zip(found.rows, found.winners, strict=True):
        assert products[row, winner] == products[row].max()


@st.composite
def large_cases(draw: st.DrawFn) -> tuple[Source, Vectors, Eligible, int, dict[int, float]]:
    """Three hundred rows on a grid, of which few, many or all have terms of either sign."""
    count = 300
    rng = np.random.default_rng(draw(st.integers(0, 99_999)))
    vectors = rng.integers(-3, 4, (count, 6)).astype(np.float32)
    queries = rng.integers(-3, 4, (draw(st.integers(1, 5)), 6)).astype(np.float32)
    allowed = AllowedRows.from_mask(rng.random(count) < draw(st.sampled_from([0.1, 0.6, 1.1])))
    seen = rng.choice(count, draw(st.sampled_from([0, 3, 15])), replace=False)
    term_count = draw(st.sampled_from([1, 20, 150, 300]))
    low, high = draw(st.sampled_from([(-8, 9), (-40, 0), (1, 40), (-60, 61)]))
    special = rng.choice(count, term_count, replace=False).tolist()
    totals = {row: float(rng.integers(low, high)) for row in special}
    eligible = Eligible(allowed.drop(seen), dict.fromkeys(ORDER, 0))
    return Source(vectors), queries, eligible, draw(st.integers(1, 60)), totals


@given(large_cases())
def test_whatever_the_terms_lift_or_push_down_the_top_is_the_true_one(case: Any) -> None:
    source, queries, eligible, limit, totals = case
    products = (source.all.astype(np.float64) @ queries.T).max(axis=1)
    score = {row: product + totals.get(row, 0.0) for row, product in enumerate(products.tolist())}
    rows = eligible.rows.list_rows().tolist()
    expected = sorted(rows, key=lambda row: (-score[row], row))[:limit]
    found = retrieve(source, queries, eligible, limit, TermTotals(totals))
    assert found.rows.tolist() == expected
    assert found.scores.tolist() == [score[row] for row in expected]


@given(large_cases(), st.integers(0, 12))
def test_candidates_hold_the_best_by_product_and_what_terms_lift_among_them(
    case: Any, each: int
) -> None:
    source, queries, eligible, depth, totals = case
    products = source.all.astype(np.float64) @ queries.T
    best_product = products.max(axis=1)
    score = best_product.copy()
    for row, term in totals.items():
        score[row] += term
    rows = eligible.rows.list_rows()
    near = find_candidates(source, queries, eligible, depth, TermTotals(totals), each=each)
    assert set(near.rows.tolist()) <= set(rows.tolist())
    assert (np.diff(near.rows) > 0).all()
    np.testing.assert_array_equal(near.products, products[near.rows].T)
    wanted = min(depth, len(rows))
    rankings = [(best_product, wanted), *((own, min(each, wanted)) for own in products.T)]
    for ranking, count in rankings:
        if count:
            least = np.sort(ranking[rows])[-count]
            assert np.count_nonzero(ranking[near.rows] >= least) >= count
    others = np.setdiff1d(rows, near.rows)
    assert best_product[others].max(initial=-np.inf) <= near.bound or not len(others)
    lifted = np.intersect1d(others, list(totals))
    if len(lifted):
        assert score[lifted].max() <= np.sort(score[near.rows])[-wanted]


@given(cases(), st.integers(-10, 10))
def test_a_minimum_score_keeps_what_reaches_it_and_counts_the_others(case: Any, least: int) -> None:
    source, queries, eligible, _, totals = case
    products = (source.all @ queries.T).max(axis=1)
    score = [product + totals.get(row, 0) for row, product in enumerate(products)]
    narrowed = apply_min_score(source, queries, eligible, least, TermTotals(totals))
    enough = eligible.rows.to_mask() & (np.array(score) >= least)
    assert narrowed.rows.to_mask().tolist() == enough.tolist()
    assert narrowed.excluded["min_score"] == eligible.count - narrowed.count


@given(st.integers(0, 40), st.integers(0, 999), st.sets(st.sampled_from(ORDER)))
def test_a_row_is_counted_once_at_its_first_reason(count: int, seed: int, used: set[str]) -> None:
    rng = np.random.default_rng(seed)
    exclusions = {reason: rng.random(count) < 0.4 for reason in used}
    eligible = Eligible(AllowedRows.all_of(count), dict.fromkeys(ORDER, 0))
    for reason in ORDER:
        if reason in used:
            by_mask = eligible.rows.intersect(~exclusions[reason])
            by_rows = eligible.rows.drop(np.flatnonzero(exclusions[reason]))
            eligible = eligible.exclude(reason, by_mask if rng.random() < 0.5 else by_rows)
    counts = dict.fromkeys(ORDER, 0)
    for row in range(count):
        first = next(
            (reason for reason in ORDER if reason in exclusions and exclusions[reason][row]), None
        )
        assert eligible.rows.to_mask()[row] == (first is None)
        if first:
            counts[first] += 1
    assert eligible.excluded == counts
    assert [*eligible.excluded] == [*ORDER]


def test_a_term_can_lift_a_row_from_the_end_to_the_front() -> None:
    source = Source(np.array([[3, 0], [2, 0], [1, 0], [-9, 0]], np.float32))
    query = np.array([[1, 0]], np.float32)
    eligible = Eligible.from_mask(np.ones(4, np.bool_), {})
    found = retrieve(source, query, eligible, 2, TermTotals({3: 20.0}))
    assert found.rows.tolist() == [3, 0]
    assert found.scores.tolist() == [11.0, 3.0]


def test_a_term_of_an_excluded_row_does_not_bring_it_back() -> None:
    source = Source(np.array([[3, 0], [2, 0]], np.float32))
    eligible = Eligible.from_mask(np.array([False, True]), {})
    found = retrieve(source, np.array([[1, 0]], np.float32), eligible, 5, TermTotals({0: 99.0}))
    assert found.rows.tolist() == [1]


def test_scoring_no_rows_gives_no_candidates() -> None:
    source = Source(np.ones((3, 2), np.float32))
    query = np.ones((1, 2), np.float32)
    found = score_rows(source, query, np.empty(0, np.int64), 5, TermTotals())
    assert found.rows.size == 0
    eligible = Eligible.from_mask(np.zeros(3, np.bool_), dict.fromkeys(ORDER, 0))
    assert apply_min_score(source, query, eligible, 0.0, TermTotals()).count == 0


def test_the_winner_is_the_query_vector_with_the_best_product() -> None:
    source = Source(np.array([[1, 0], [0, 1]], np.float32))
    queries = np.array([[0.2, 1], [1, 0.1]], np.float32)
    found = score_rows(source, queries, np.array([0, 1]), 2, TermTotals())
    assert dict(zip(found.rows.tolist(), found.winners.tolist(), strict=True)) == {0: 1, 1: 0}
    assert found.scores.tolist() == pytest.approx([1, 1])
