"""The text-learned block against its normal equations and a planted relation."""

import numpy as np

from indexer.taste.neighbours import Neighbours
from indexer.taste.text_block import fit_text_block
from tests.indexer.taste.worlds import random_meaning


def neighbours_of(matrix: np.ndarray) -> Neighbours:
    rows, columns = np.nonzero(matrix)
    starts = np.searchsorted(rows, np.arange(len(matrix) + 1))
    values = matrix[rows, columns].astype(np.float32)
    return Neighbours(starts.astype(np.int64), columns.astype(np.int32), values)


def test_the_block_is_the_ridge_solution() -> None:
    rng = np.random.default_rng(0)
    meaning = random_meaning(30, dim=5)
    matrix = rng.random((30, 30)) * (rng.random((30, 30)) < 0.2)
    block = fit_text_block(neighbours_of(matrix), meaning, dim=5)
    wide = meaning.astype(np.float64)
    moments = wide.T @ wide
    inverse = np.linalg.inv(moments + 0.3 * np.trace(moments) / 5 * np.eye(5))
    expected = wide @ inverse @ wide.T @ matrix @ wide @ inverse @ wide.T
    np.testing.assert_allclose(block.sources @ block.targets.T, expected, atol=1e-5)
    norms = np.linalg.norm(block.targets, axis=1)
    np.testing.assert_allclose(np.quantile(norms, 0.95), 1, rtol=1e-4)


def test_an_item_without_interactions_takes_the_taste_of_its_text() -> None:
    # Whoever meets an item of group 0 goes on to group 1; the last item of group 1 is new.
    centre = np.eye(8, dtype=np.float32)[:3]
    meaning = np.repeat(centre, 10, axis=0) + 0.1 * random_meaning(30, dim=8)
    meaning /= np.linalg.norm(meaning, axis=1, keepdims=True)
    matrix = np.zeros((30, 30))
    matrix[:10, 10:19] = 0.2
    block = fit_text_block(neighbours_of(matrix), meaning.astype(np.float32), dim=4)
    scores = block.sources[0] @ block.targets.T
    assert scores[19] > scores[:10].max()
    assert scores[19] > scores[20:].max()


def test_without_neighbours_there_is_no_block() -> None:
    block = fit_text_block(neighbours_of(np.zeros((4, 4))), random_meaning(4))
    assert block.sources.shape == block.targets.shape == (4, 0)
