"""Additive score terms to their sums by row, against sums one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.ann import AllowedRows
from indexer.query.term_totals import TermTotals

COUNT = 12
TERMS = st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(-8, 8)), max_size=40)


@given(
    terms=TERMS,
    dropped=st.sets(st.integers(0, COUNT - 1)),
    is_sorted=st.booleans(),
    has_catalogue=st.booleans(),
)
def test_terms_of_a_row_are_summed_in_any_order(
    *, terms: list[tuple[int, int]], dropped: set[int], is_sorted: bool, has_catalogue: bool
) -> None:
    terms = sorted(terms) if is_sorted else terms
    own: dict[int, int] = {}
    for row, value in terms:
        own[row] = own.get(row, 0) + value
    catalogue_sums = np.arange(COUNT, dtype=np.float32) if has_catalogue else None
    totals = TermTotals.sum_by_row(
        np.array([row for row, _ in terms], np.int64),
        np.array([value for _, value in terms], np.float32),
    ).add_catalogue_sums(catalogue_sums)
    everywhere = [own.get(row, 0) + has_catalogue * row for row in range(COUNT)]
    assert totals.lookup(np.arange(COUNT)).tolist() == everywhere
    assert totals.catalogue_sums is catalogue_sums
    allowed = AllowedRows.all_of(COUNT).drop(np.array(sorted(dropped), np.int64))
    rows, sums = totals.select(allowed)
    kept = [(row, value) for row, value in sorted(own.items()) if row not in dropped]
    assert list(zip(rows.tolist(), sums.tolist(), strict=True)) == kept
