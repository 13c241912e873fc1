"""What stands for a catalogue, in worlds of known kinds."""

import numpy as np
import pytest

from indexer.build.representatives import REPRESENTATIVE_COUNT, choose_representatives


def kinds_of_items(*sizes: int, dim: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors `(n, d) float32` around one axis for each kind, and the kind of each."""
    rng = np.random.default_rng(3)
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(dim)[kinds] + 0.05 * rng.normal(size=(len(kinds), dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("f4"), kinds


def test_each_kind_is_shown_before_a_second_of_any_the_largest_first() -> None:
    meaning, kinds = kinds_of_items(400, 200, 100, 50, 25)
    chosen = choose_representatives(meaning.__getitem__, np.full(len(meaning), 0.5))
    assert kinds[chosen[:5]].tolist() == [0, 1, 2, 3, 4]
    assert len(chosen) == len(set(chosen.tolist())) == REPRESENTATIVE_COUNT


def test_of_equals_the_better_stands_for_its_kind() -> None:
    meaning = np.repeat(np.eye(2, 8, dtype="f4"), 10, axis=0)
    quality = np.zeros(20)
    quality[[7, 13]] = 1.0
    assert choose_representatives(meaning.__getitem__, quality)[:2].tolist() == [7, 13]


def test_where_nothing_is_left_to_stand_for_quality_decides() -> None:
    meaning = np.ones((5, 4), "f4") / 2
    quality = np.array([0.1, 0.9, 0.5, 0.7, 0.3])
    assert choose_representatives(meaning.__getitem__, quality).tolist() == [1, 3, 2, 4, 0]


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_any_size_is_served(count: int) -> None:
    meaning, _ = kinds_of_items(count)
    chosen = choose_representatives(meaning.__getitem__, np.zeros(count))
    assert len(chosen) == min(count, REPRESENTATIVE_COUNT)
    assert chosen.tolist() == choose_representatives(meaning.__getitem__, np.zeros(count)).tolist()
