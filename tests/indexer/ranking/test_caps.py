"""Caps against a plain walk down the ranking."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.metadata.row_values import RowValues
from indexer.query.eligibility import ORDER, Eligible
from indexer.ranking.caps import Cap, apply_caps, compute_kept_mask, find_contested_rows


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, list[list[list[int]]], list[int], list[int], list[bool]]:
    """Values of each row in one or two fields, the caps, a ranking, and what is allowed."""
    count = draw(st.integers(0, 25))
    most_values = draw(st.integers(1, 2))
    row = st.lists(st.integers(0, 4), max_size=most_values)
    fields = draw(st.lists(st.lists(row, min_size=count, max_size=count), min_size=1, max_size=2))
    caps = draw(st.lists(st.integers(1, 4), min_size=len(fields), max_size=len(fields)))
    order = draw(st.permutations(range(count)))
    allowed = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return count, fields, caps, order, allowed


def caps_of(fields: list[list[list[int]]], most: list[int]) -> list[Cap]:
    caps = []
    for values_by_row, limit in zip(fields, most, strict=True):
        pairs = [(row, value) for row, values in enumerate(values_by_row) for value in values]
        rows = np.array([row for row, _ in pairs], np.int64)
        keys = np.array([value for _, value in pairs], np.uint64)
        caps.append(Cap(RowValues(rows, keys), limit))
    return caps


def walk(order: list[int], fields: list[list[list[int]]], most: list[int]) -> list[int]:
    used: dict[tuple[int, int], int] = {}
    kept = []
    for row in order:
        wanted = {(f, value) for f, values in enumerate(fields) for value in values[row]}
        if all(used.get(key, 0) < most[key[0]] for key in wanted):
            kept.append(row)
            used.update({key: used.get(key, 0) + 1 for key in wanted})
    return kept


@given(cases())
def test_caps_keep_what_a_walk_down_the_ranking_keeps(case: Any) -> None:
    _, fields, most, order, _ = case
    kept = compute_kept_mask(np.array(order, np.int64), caps_of(fields, most))
    assert np.array(order, np.int64)[kept].tolist() == walk(order, fields, most)


@given(cases(), st.integers(0, 3))
def test_eligible_rows_are_narrowed_and_the_dropped_ones_counted(case: Any, head: int) -> None:
    count, fields, most, order, allowed = case
    first = [row for row in order if row % 5 == 0][:head]
    eligible = Eligible.from_mask(np.array(allowed, np.bool_), dict.fromkeys(ORDER, 0))
    caps = caps_of(fields, most)
    contested = find_contested_rows(eligible, caps, np.array(first, np.int64)).tolist()
    ranked = [*first, *sorted(contested, key=order.index)]
    found = apply_caps(eligible, caps, np.array(ranked, np.int64))
    walked = [*first, *(row for row in order if row not in first and allowed[row])]
    right = {row for row in walk(walked, fields, most) if allowed[row]}
    assert set(found.rows.list_rows().tolist()) == right
    assert found.excluded["cap"] == sum(allowed) - len(right)
    assert eligible.rows.to_mask().tolist() == allowed
    assert found.rows.total == count
