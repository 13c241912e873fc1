"""Text vectors to the block vectors an index serves, and requests for them; for benchmarks."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann import Layout
from indexer.arrays import Vectors
from indexer.language import Background, MeaningSpace, Moments, fit_meaning_space

_CLUSTERS = 2_000
_CHUNK_ROWS = 16_384


def raw_vectors(file: str | None, rows: int, *, seed: int = 0) -> tuple[Vectors, str]:
    """Return up to `rows` unit vectors and where they come from: a file, or made up."""
    if file:
        raw = np.load(file, mmap_mode="r")[:rows].astype(np.float32)
        raw /= np.linalg.norm(raw, axis=1, keepdims=True)
        return raw, Path(file).name
    return synthetic(rows, seed=seed), "synthetic: clusters on a 48-dimensional subspace plus noise"


def synthetic(rows: int, *, dim: int = 384, seed: int = 0) -> Vectors:
    """Clustered unit vectors of low intrinsic dimension, as text vectors are."""
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(1).normal(size=(48, dim)).astype(np.float32) / 7
    centres = np.random.default_rng(2).normal(size=(_CLUSTERS, 48))
    out = np.empty((rows, dim), np.float32)
    for start in range(0, rows, _CHUNK_ROWS):
        count = min(_CHUNK_ROWS, rows - start)
        near = centres[rng.integers(0, len(centres), count)] + 0.7 * rng.normal(size=(count, 48))
        chunk = near.astype(np.float32) @ basis
        chunk += 0.25 * rng.normal(size=chunk.shape).astype(np.float32)
        out[start : start + count] = chunk / np.linalg.norm(chunk, axis=1, keepdims=True)
    return out


class ServedVectors:
    """Block vectors made when asked for, `(n, d) float32`: centred, whitened, with a prior."""

    def __init__(self, raw: NDArray[Any], space: MeaningSpace, layout: Layout) -> None:
        self._raw, self._space, self._layout = raw, space, layout
        rng = np.random.default_rng(3)
        rating = np.clip(rng.normal(0.6, 0.2, len(raw)), 0, 1) - 0.6
        self._prior = 0.1 * np.where(rng.random(len(raw)) < 0.3, 0, rating)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, d)`."""
        return len(self._raw), self._layout.dim

    def __getitem__(self, rows: Any) -> Vectors:
        """Return `(m, d)` of a slice or an array of rows."""
        chunk = self._raw[rows].astype(np.float32)
        out = np.zeros((len(chunk), self._layout.dim), np.float32)
        out[:, : self._layout.meaning] = self._space.map_items(chunk)
        out[:, self._layout.meaning] = self._prior[rows]
        return out


def served_in_place(raw: NDArray[Any]) -> tuple[ServedVectors, Layout]:
    """Fit the space that a build would, in chunks."""
    count, dim = raw.shape
    chunks = (raw[start : start + _CHUNK_ROWS] for start in range(0, count, _CHUNK_ROWS))
    moments = Moments.from_chunks(chunks, dim)
    mean = moments.mean.astype(np.float32)
    background = Background(mean, mean, moments.covariance.astype(np.float32))
    layout = Layout(meaning=dim)
    return ServedVectors(raw, fit_meaning_space(moments, background), layout), layout


def served(raw: Vectors) -> tuple[Vectors, Layout]:
    """The same, all in memory."""
    items, layout = served_in_place(raw)
    vectors = np.empty(items.shape, np.float32)
    for start in range(0, len(raw), _CHUNK_ROWS):
        vectors[start : start + _CHUNK_ROWS] = items[start : start + _CHUNK_ROWS]
    return vectors, layout
