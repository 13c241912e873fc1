"""The direction in which an encoder tells Chinese from English, and vectors without it.

A multilingual encoder puts what is written in one language beside each other, whatever it is about:
a query finds hardly anything written in the other. Along one direction the languages differ; its
share is measured as Fisher's discriminant does (Fisher 1936), and taken away from every vector, as
Yang et al. 2021 ("A Simple and Effective Method To Eliminate the Self Language Bias in Multilingual
Representations") do with the directions that dominate each language.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask, Vectors

_RIDGE = 0.3  # of the mean variance, since a few hundred texts do not tell that of all directions
_MAX_SPREAD = 0.2  # of a language's texts, as a share of the distance between the languages


@dataclass(frozen=True, slots=True)
class LanguageAxis:
    """How far a vector lies towards Chinese, and what that adds to it.

    Attributes:
        weights: `(d,) float32`; their product with a vector is larger by 1 for Chinese texts than
            for English ones, on average.
        step: `(d,) float32`, from the mean of English texts to that of Chinese ones.
    """

    weights: NDArray[np.float32]
    step: NDArray[np.float32]

    def build_projection(self) -> NDArray[np.float64]:
        """Return the matrix `(d, d)` that takes the difference of languages out of row vectors."""
        eye = np.eye(len(self.step))
        return eye - np.outer(self.weights, self.step).astype(np.float64)


def fit_language_axis(raw: Vectors, is_chinese: Mask) -> LanguageAxis | None:
    """Return the axis between texts of two languages; None if the encoder hardly tells them apart.

    Args:
        raw: `(n, d) float32`, vectors of the texts.
        is_chinese: `(n,)`.
    """
    if is_chinese.all() or not is_chinese.any():
        return None
    vectors = raw.astype(np.float64)
    chinese, english = vectors[is_chinese], vectors[~is_chinese]
    step = chinese.mean(axis=0) - english.mean(axis=0)
    inner = np.concatenate([chinese - chinese.mean(axis=0), english - english.mean(axis=0)])
    covariance = inner.T @ inner / len(inner)
    ridge = _RIDGE * np.trace(covariance) / len(step)
    if not ridge:
        return None
    weights = np.linalg.solve(covariance + ridge * np.eye(len(step)), step)
    distance = float(weights @ step)
    if distance <= 0:
        return None
    weights /= distance
    if (inner @ weights).std() > _MAX_SPREAD:
        return None
    return LanguageAxis(weights.astype(np.float32), step.astype(np.float32))
