"""The best rows by one or two columns against plain sorting."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.ann import AllowedRows
from indexer.ann.column_search import ColumnSearch
from indexer.arrays import Vectors


@st.composite
def cases(draw: st.DrawFn) -> tuple[Vectors, AllowedRows, int, int]:
    """Whole numbers, so that ties are frequent; a mask and dropped rows."""
    count = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 9_999)))
    dtype = draw(st.sampled_from([np.float32, np.float16]))
    vectors = rng.integers(-2, 3, (count, 3)).astype(dtype)
    share = draw(st.sampled_from([0.0, 0.05, 0.5, 1.1]))
    allowed = AllowedRows.from_mask(rng.random(count) < share)
    dropped = rng.choice(count, draw(st.integers(0, min(count, 6))), replace=False)
    return vectors, allowed.drop(dropped), draw(st.integers(0, 130)), draw(st.integers(0, 2))


@given(cases())
def test_the_best_rows_of_a_column_are_those_of_sorting_ties_by_row(case: Any) -> None:
    vectors, allowed, depth, column = case
    values = vectors[:, column].astype(np.float64)
    ordered = sorted(allowed.list_rows().tolist(), key=lambda row: (-values[row], row))
    search = ColumnSearch(vectors)
    for _ in range(2):  # the second time from memory
        rows, bound = search.find_in_column(column, depth, allowed)
        assert rows.tolist() == sorted(ordered[:depth])
        assert bound == (values[ordered[depth]] if depth < len(ordered) else -np.inf)


@given(cases(), st.lists(st.integers(-2, 2), min_size=3, max_size=3))
def test_a_query_of_few_numbers_ranks_as_its_products_do(case: Any, numbers: list[int]) -> None:
    vectors, allowed, depth, _ = case
    k = max(1, depth)
    query = np.array(numbers, np.float32)
    products = vectors.astype(np.float64) @ query.astype(np.float64)
    ordered = sorted(allowed.list_rows().tolist(), key=lambda row: (-products[row], row))[:k]
    for mask in (
        (allowed.to_mask(), None) if allowed.count == len(vectors) else (allowed.to_mask(),)
    ):
        found = ColumnSearch(vectors).search(query, k, mask)
        assert found.rows.tolist() == ordered
        assert found.scores.tolist() == pytest.approx([products[row] for row in ordered])


def test_more_columns_than_are_kept_are_read_anew() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.random((50, 20)).astype(np.float32)
    search = ColumnSearch(vectors)
    for column in [*range(20), *range(20)]:
        rows, _ = search.find_in_column(column, 5, AllowedRows.all_of(50))
        assert rows.tolist() == sorted(np.argsort(-vectors[:, column])[:5].tolist())
