"""Raw text vectors to meaning vectors: centred, partly whitened, of unit length.

Cosines between raw vectors of BERT-like encoders all lie in a narrow band, since the vectors share
a large mean and a few dominant directions. Subtracting the mean and damping those directions
spreads the cosines (Mu & Viswanath 2018, "All-but-the-Top"; Su et al. 2021, "Whitening Sentence
Representations"). Mean and covariance of the catalogue are shrunk towards a background, since those
of three items would be meaningless, and are stored in the snapshot, so that items added live get
vectors in the same space.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.errors import SnapshotError
from indexer.language.encoder_background import Background, MeasuredBackground
from indexer.language.tensor_file import load_tensors

WHITENING_POWER = 0.3  # 0 only centres, 1 whitens fully; chosen on validation data
SIMILARITY_POWER = 1.0  # best of 0 to 1.5 at finding films of the same genres
SPACE_FILE = "space.safetensors"  # of a snapshot
_EIGENVALUE_FLOOR = 1e-2  # share of the mean eigenvalue; directions with less variance are noise
_MEAN_PRIOR_ITEMS = 50.0  # the background's mean weighs as much as this many catalogue items
_COVARIANCE_PRIOR_ITEMS = 1_000.0
_CHUNK_ROWS = 16_384
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums from which mean and covariance of raw vectors follow.

    Attributes:
        count: Number of vectors.
        total: `(d,) float64`, sum of the vectors.
        outer: `(d, d) float64`, sum of their outer products with themselves.
    """

    count: int
    total: NDArray[np.float64]
    outer: NDArray[np.float64]

    @classmethod
    def from_chunks(cls, chunks: Iterable[Vectors], dim: int) -> "Moments":
        """Sum over `(n, d)` chunks of vectors."""
        count, total, outer = 0, np.zeros(dim), np.zeros((dim, dim))
        for chunk in chunks:
            float_chunk = chunk.astype(np.float32)
            count += len(float_chunk)
            total += float_chunk.sum(axis=0, dtype=np.float64)
            outer += float_chunk.T @ float_chunk
        return cls(count, total, outer)

    @property
    def mean(self) -> NDArray[np.float64]:
        """`(d,) float64`; zeros without vectors."""
        return self.total / max(self.count, 1)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """`(d, d) float64`; zeros without vectors."""
        mean = self.mean
        return self.outer / max(self.count, 1) - np.outer(mean, mean)


@dataclass(frozen=True, slots=True)
class MeaningSpace:
    """The affine map from raw vectors of one encoder to meaning vectors of one snapshot.

    Attributes:
        item_mean: `(d,) float32`, subtracted from item vectors.
        query_mean: `(d,) float32`, subtracted from query vectors.
        projection: `(d, d) float32`, for items: takes out the difference of languages, and whitens.
        query_projection: `(d, d) float32`, the same for queries.
        similarity_projection: `(d, d) float32`, symmetric. Applied to meaning vectors it weighs
            the dominant directions, which tell kinds of items apart, even more than raw vectors do.
        measured_background: What was measured of the encoder, stored for the next build; not read.
    """

    item_mean: NDArray[np.float32]
    query_mean: NDArray[np.float32]
    projection: NDArray[np.float32]
    query_projection: NDArray[np.float32]
    similarity_projection: NDArray[np.float32]
    measured_background: MeasuredBackground | None = None

    @property
    def dim(self) -> int:
        """Width of a meaning vector."""
        return int(self.projection.shape[1])

    def map_items(self, raw: Vectors) -> Vectors:
        """Map `(n, d)` raw item vectors to `(n, d) float32` of unit length."""
        return _map(raw, self.item_mean, self.projection)

    def map_stored_items(self, stored: NDArray[np.float16]) -> Vectors:
        """Map `(n, d)` stored raw item vectors as `map_items` does, a chunk at a time."""
        return np.concatenate(
            [
                np.empty((0, self.dim), np.float32),
                *(self.map_items(chunk) for chunk in iter_chunks(stored)),
            ]
        )

    def map_queries(self, raw: Vectors) -> Vectors:
        """Map `(n, d)` raw query vectors to `(n, d) float32` of unit length."""
        return _map(raw, self.query_mean, self.query_projection)

    def map_similar(self, meaning: Vectors) -> Vectors:
        """Map `(n, d)` meaning vectors of items to query vectors for items of the same kind.

        For "similar to this item" the dominant directions matter, for "what comes next" the finer
        ones that whitening brings out. The inner product of a vector with its own image is 1.
        """
        mapped: Vectors = np.matmul(meaning, self.similarity_projection, dtype=np.float32)
        self_similarity = (mapped * meaning).sum(axis=1, keepdims=True)
        mapped /= np.maximum(self_similarity, _EPSILON)
        return mapped

    def save(self, path: Path) -> None:
        """Write the space as one safetensors file."""
        from safetensors.numpy import save_file

        save_file(
            {
                "item_mean": self.item_mean,
                "query_mean": self.query_mean,
                "projection": self.projection,
                "query_projection": self.query_projection,
                "likeness": self.similarity_projection,
                **(self.measured_background.to_tensors() if self.measured_background else {}),
            },
            path,
        )

    @classmethod
    def load(cls, path: Path) -> "MeaningSpace":
        """Read what `save` wrote.

        Raises:
            SnapshotError: If the file is missing or damaged.
        """
        names = ("item_mean", "query_mean", "projection", "likeness")
        try:
            parts = load_tensors(path, *names, "query_projection")
        except SnapshotError:  # of an earlier release, or damaged: then this fails too
            parts = load_tensors(path, *names)
        item_mean, query_mean, projection, likeness, *others = parts
        query_projection = others[0] if others else projection
        return cls(item_mean, query_mean, projection, query_projection, likeness)


def fit_meaning_space(
    item_moments: Moments, background: Background, *, power: float = WHITENING_POWER
) -> MeaningSpace:
    """Fit the space of a catalogue.

    Args:
        item_moments: Of the raw vectors of all items; may be empty.
        background: Counts as 50 items for the mean and as 1,000 for the covariance.
        power: 0 only centres, 1 whitens fully.
    """
    dim = len(background.item_mean)
    if item_moments.count == 0:
        item_moments = Moments(0, np.zeros(dim), np.zeros((dim, dim)))
    mean_share = item_moments.count / (item_moments.count + _MEAN_PRIOR_ITEMS)
    covariance_share = item_moments.count / (item_moments.count + _COVARIANCE_PRIOR_ITEMS)
    mean = mean_share * item_moments.mean + (1 - mean_share) * background.item_mean
    covariance = (
        covariance_share * item_moments.covariance + (1 - covariance_share) * background.covariance
    )
    item_projection, query_projection = (
        np.eye(dim) if axis is None else axis.build_projection()
        for axis in (background.item_axis, background.query_axis)
    )
    covariance = item_projection.T @ covariance @ item_projection
    whitening = _compute_matrix_power(covariance, -power / 2)
    # Queries are phrased unlike items, so their means differ; the catalogue shifts both alike.
    query_mean = background.query_mean + (mean - background.item_mean)
    return MeaningSpace(
        item_mean=mean.astype(np.float32),
        query_mean=query_mean.astype(np.float32),
        projection=(item_projection @ whitening).astype(np.float32),
        query_projection=(query_projection @ whitening).astype(np.float32),
        similarity_projection=_compute_matrix_power(covariance, SIMILARITY_POWER / 2).astype(
            np.float32
        ),
        measured_background=background.measured,
    )


def iter_chunks(stored: NDArray[np.float16]) -> Iterator[Vectors]:
    """Yield `(n, d)` stored vectors as float32 chunks, so that they need not all be in memory."""
    for start in range(0, len(stored), _CHUNK_ROWS):
        yield stored[start : start + _CHUNK_ROWS].astype(np.float32)


def build_identity_space(dim: int) -> MeaningSpace:
    """Return the space of vectors that the catalogue itself brings: only scaled to unit length."""
    zeros = np.zeros(dim, np.float32)
    eye = np.eye(dim, dtype=np.float32)
    return MeaningSpace(zeros, zeros, eye, eye, eye)


def _map(raw: Vectors, mean: NDArray[np.float32], projection: NDArray[np.float32]) -> Vectors:
    centred: Vectors = raw.astype(np.float32) - mean
    rows: Vectors = np.matmul(centred, projection, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.maximum(norms, _EPSILON)
    return rows


def _compute_matrix_power(covariance: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return the power of a covariance after scaling its mean eigenvalue to 1, `(d, d) float64`.

    Eigenvalues are raised by a floor first, since the smallest ones are noise.
    """
    values, directions = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + _EIGENVALUE_FLOOR * max(float(values.mean()), _EPSILON)
    scale = (values / values.mean()) ** power
    matrix: NDArray[np.float64] = (directions * scale) @ directions.T
    return matrix
