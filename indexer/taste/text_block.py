"""Meaning vectors and neighbours to taste vectors, which items without any event get too.

The strengths of the neighbours, `B`, are regressed on pairs of meaning vectors: `B ≈ M W Mᵀ`, by
ridge regression in closed form. The singular vectors of `W` give every item a source and a target
vector (a bilinear cold-start model as in Park & Chu 2009, "Pairwise preference regression").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.taste.cases import MAX_COMPARED_ITEMS
from indexer.taste.matrices import Matrix
from indexer.taste.neighbours import Neighbours

BLOCK_DIM = 128
_RIDGE = 0.3  # times the mean eigenvalue of the second moments of the meaning vectors
_TINY = 1e-9
_MIN_STRENGTH = 1e-7  # of the largest singular value; smaller ones are rounding
_STRIP_WIDTH = 96  # columns whose rows stay in cache while a sparse matrix picks among them

Block = NDArray[np.float32]
Wide = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TextBlock:
    """The taste vectors of all items; the inner product of a source and a target is a score.

    Attributes:
        sources: `(n, d) float32`, of items in a history.
        targets: `(n, d) float32`, of candidates; the 95th percentile of their norms is 1.
    """

    sources: Block
    targets: Block


@dataclass(frozen=True, slots=True)
class TextFactors:
    """What meaning vectors are multiplied by, to give sources and targets of no certain length.

    Attributes:
        left: `(w, d) float32`, for sources.
        right: `(w, d) float32`, for targets.
    """

    left: Block
    right: Block


def fit_text_block(neighbours: Neighbours, meaning: Block, *, dim: int = BLOCK_DIM) -> TextBlock:
    """Fit by ridge regression, and split it by its first singular vectors.

    Args:
        neighbours: Without any, the vectors are `(n, 0)`.
        meaning: `(n, w) float32`.
        dim: Width of the vectors, lowered to `w` if it is larger.
    """
    factors = fit_text_factors(neighbours, meaning, dim=dim)
    if factors.left.shape[1] == 0:
        empty = np.zeros((len(meaning), 0), np.float32)
        return TextBlock(empty, empty)
    sources = meaning @ factors.left
    targets = meaning @ factors.right
    size = np.float32(max(float(np.quantile(np.linalg.norm(targets, axis=1), 0.95)), _TINY))
    sources *= size
    targets /= size
    return TextBlock(sources, targets)


def fit_text_factors(
    neighbours: Neighbours, meaning: Block, *, dim: int = BLOCK_DIM
) -> TextFactors:
    """Fit what `fit_text_block` multiplies the meaning vectors by; `(w, 0)` without neighbours."""
    width = meaning.shape[1]
    if len(neighbours.values) == 0 or width == 0:
        return TextFactors(np.zeros((width, 0), np.float32), np.zeros((width, 0), np.float32))
    moments = (meaning.T @ meaning).astype(np.float64)
    moments[np.diag_indices(width)] += _RIDGE * np.trace(moments) / width
    half = np.linalg.solve(moments, _correlate(neighbours, meaning).astype(np.float64))
    left, right = _split(np.linalg.solve(moments, half.T).T, min(dim, width))
    return TextFactors(left.astype(np.float32), right.astype(np.float32))


def _correlate(neighbours: Neighbours, meaning: Block) -> Block:
    """Return `Mᵀ B M`, `(w, w) float32`; in a large catalogue only from rows with neighbours."""
    matrix = neighbours.to_matrix()
    if len(meaning) > MAX_COMPARED_ITEMS:
        sources = np.flatnonzero(np.diff(neighbours.starts))
        matrix, own = matrix[sources], meaning[sources]
    else:
        own = meaning
    correlated: Block = own.T @ _multiply_in_strips(matrix, meaning)
    return correlated


def _split(weights: Wide, d: int) -> tuple[Wide, Wide]:
    """Return the factors `(w, d)` of the best approximation of `weights` `(w, w)` of rank `d`.

    They are the first singular vectors times the roots of their singular values. The right ones are
    eigenvectors of the product with the transpose, which takes a fifth of the time of a singular
    value decomposition; values that are lost to rounding by it are nothing beside the first.
    """
    squares, vectors = np.linalg.eigh(weights.T @ weights)
    right = vectors[:, ::-1][:, :d]
    strength = np.sqrt(np.maximum(squares[::-1][:d], 0))
    strength = np.maximum(strength, max(float(strength[0]), _TINY) * _MIN_STRENGTH)
    root = np.sqrt(strength)
    return weights @ right / root, right * root


def _multiply_in_strips(matrix: Matrix, vectors: Block) -> Block:
    """Return a sparse matrix `(n, n)` times vectors `(n, w)`, a few columns at a time."""
    product = np.empty((matrix.shape[0], vectors.shape[1]), np.float32)
    for start in range(0, vectors.shape[1], _STRIP_WIDTH):
        strip = slice(start, start + _STRIP_WIDTH)
        product[:, strip] = matrix @ np.ascontiguousarray(vectors[:, strip])
    return product
