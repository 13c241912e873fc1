"""Meaning and neighbours to a taste block that items without any interaction have too.

The neighbours are regressed on pairs of meaning vectors, `B ≈ M W Mᵀ`, in closed form; the singular
vectors of `W` give every item, cold ones included, a source and a target vector (the bilinear
cold-start models of Park & Chu 2009, "Pairwise preference regression").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.neighbours import Neighbours

BLOCK_DIM = 128
_RIDGE = 0.3  # of the mean eigenvalue of the meaning vectors' second moments
_TINY = 1e-9

Block = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TextBlock:
    """The learned block.

    Attributes:
        sources: `(n, d) float32`, of items in a history.
        targets: `(n, d) float32`, of candidates; the 95th percentile of their norms is 1.
    """

    sources: Block
    targets: Block


def fit_text_block(neighbours: Neighbours, meaning: Block, *, dim: int = BLOCK_DIM) -> TextBlock:
    """Fit; without neighbours or meaning the block is `(n, 0)`."""
    n, width = meaning.shape
    if len(neighbours.values) == 0 or width == 0:
        return TextBlock(np.zeros((n, 0), np.float32), np.zeros((n, 0), np.float32))
    followed = neighbours.to_matrix() @ meaning
    moments = (meaning.T @ meaning).astype(np.float64)
    moments[np.diag_indices(width)] += _RIDGE * np.trace(moments) / width
    half = np.linalg.solve(moments, (meaning.T @ followed).astype(np.float64))
    left, strength, right = np.linalg.svd(np.linalg.solve(moments, half.T).T)
    d = min(dim, width)
    root = np.sqrt(strength[:d])
    sources = meaning @ (left[:, :d] * root).astype(np.float32)
    targets = meaning @ (right[:d].T * root).astype(np.float32)
    size = max(float(np.quantile(np.linalg.norm(targets, axis=1), 0.95)), _TINY)
    return TextBlock((sources * size).astype(np.float32), (targets / size).astype(np.float32))
