"""How much is asked before a release, by hand."""

import pytest

from indexer.release.holdout import count_most_cases


@pytest.mark.parametrize(
    ("n_items", "cases"), [(0, 1_000), (1_000_000, 1_000), (2_000_000, 500), (50_000_000, 300)]
)
def test_fewer_cases_are_asked_of_a_huge_catalogue(n_items: int, cases: int) -> None:
    assert count_most_cases(n_items, is_tuned=True) == cases
    assert count_most_cases(n_items, is_tuned=False) == 300
