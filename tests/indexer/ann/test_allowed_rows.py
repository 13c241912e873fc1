"""Allowed rows against Python sets."""

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.ann import AllowedRows, contain_rows

TOTAL = st.one_of(st.integers(0, 8), st.integers(40, 200))


@st.composite
def changed_rows(draw: st.DrawFn) -> tuple[AllowedRows, set[int]]:
    """Rows after some changes, and the same changes of a set."""
    total = draw(TOTAL)
    allowed, expected = AllowedRows.all_of(total), set(range(total))
    masks = st.integers(0, 9_999).map(lambda seed: np.random.default_rng(seed).random(total))
    share = st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.1])
    for _ in range(draw(st.integers(0, 5))):
        match draw(st.sampled_from(["drop", "drop", "intersect", "take first"])):
            case "drop":
                rows = draw(st.lists(st.integers(0, total - 1), max_size=8)) if total else []
                allowed = allowed.drop(np.array(rows, np.int64))
                expected -= set(rows)
            case "intersect":
                mask = draw(masks)[: allowed.total] < draw(share)
                allowed = allowed.intersect(mask)
                expected &= set(np.flatnonzero(mask).tolist())
            case _:
                total = draw(st.integers(0, total))
                allowed = allowed.take_first(total)
                expected = {row for row in expected if row < total}
    return allowed, expected


@given(changed_rows())
def test_every_view_of_allowed_rows_is_the_set(case: tuple[AllowedRows, set[int]]) -> None:
    allowed, expected = case
    assert allowed.list_rows().tolist() == sorted(expected)
    assert np.flatnonzero(allowed.to_mask()).tolist() == sorted(expected)
    assert len(allowed.to_mask()) == allowed.total
    assert allowed.count == len(expected)
    everything = np.arange(allowed.total)
    assert allowed.contain(everything).tolist() == [row in expected for row in everything]
    assert allowed.contain(everything[::-1][None]).shape == (1, allowed.total)
    many = np.tile(everything[::-1], (30, 1))  # of so many rows others are looked up
    assert allowed.contain(many).tolist() == [[row in expected for row in own] for own in many]
    some = everything[:: 1 + allowed.count % 3]
    assert allowed.contain_ascending(some).tolist() == [row in expected for row in some]
    mask_rows = everything if allowed.mask is None else np.flatnonzero(allowed.mask)
    assert allowed.mask_count == len(mask_rows)
    assert set(allowed.dropped.tolist()) == set(mask_rows.tolist()) - expected
    assert (np.diff(allowed.dropped) > 0).all()


@given(changed_rows(), st.integers(0, 999))
def test_a_change_leaves_the_rows_it_came_from_as_they_were(
    case: tuple[AllowedRows, set[int]], seed: int
) -> None:
    allowed, expected = case
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(allowed.total) < 0.3)
    changes: list[Callable[[], AllowedRows]] = [
        lambda: allowed.drop(rows),
        lambda: allowed.intersect(rng.random(allowed.total) < 0.5),
        lambda: allowed.take_first(allowed.total // 2),
    ]
    for change in changes:
        change()
        allowed.to_mask()[:] = False
        assert allowed.list_rows().tolist() == sorted(expected)


@given(st.sets(st.integers(0, 50)), st.lists(st.integers(-3, 60)))
def test_rows_are_contained_if_they_are_in_the_list(ascending: set[int], rows: list[int]) -> None:
    found = contain_rows(np.array(sorted(ascending), np.int64), np.array(rows, np.int64))
    assert found.tolist() == [row in ascending for row in rows]
