"""What the values of interactions are: scales, counts and amounts of usual data sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.value_meaning import ValueKind, infer_value_kind

RATING, COUNT, MONEY = ValueKind


def draw(values: list[float], counts: list[int]) -> list[float]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3, 4, 5], RATING),
        (draw([1, 2, 3, 4, 5], [60, 10, 8, 10, 12]), RATING),  # angry reviews
        (draw([0.5, 3.5, 4, 5], [1, 5, 9, 7]), RATING),
        ([0, 1, 1, 0], RATING),
        ([-1, 1, 1], RATING),
        ([-9.5, 3.25, 10], RATING),
        (draw([1, 5, 8, 10], [2, 5, 20, 9]), RATING),
        ([80, 60, 95, 100, 20], RATING),
        ([0.73, 0.12, 0.99], RATING),
        (draw([0, 1, 5, 7, 10], [60, 1, 5, 20, 14]), RATING),  # 0: read, not rated
        ([55.5, 72, 91.5], RATING),
        (list(range(20, 61)), COUNT),  # plays, which fit no usual scale
        ([20.5, 41, 60], COUNT),  # hours
        ([11, 14, 12], COUNT),
        ([1, 3, 2, 1, 60, 1, 5, 20], COUNT),
        ([1, 2, 1, 5_000], COUNT),
        (draw([1, 2, 3, 8], [80, 15, 4, 1]), COUNT),  # quantities in a basket
        ([273.0, 87.5, 14.9, 0.5, 1.2, 300.1], COUNT),  # hours played
        ([13_883, 11_690, 3], COUNT),  # how often an artist was heard
        ([19.99, 5.25, 249.0, 12.5], MONEY),
    ],
)
def test_usual_values_are_what_they_are(values: list[float], kind: ValueKind) -> None:
    assert infer_value_kind(np.array(values, np.float64))[0] is kind


@given(st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=50))
def test_any_numbers_are_something_whatever_their_order(values: list[float]) -> None:
    found = infer_value_kind(np.array(values))
    assert found == infer_value_kind(np.array(sorted(values)))
    assert found[1]
