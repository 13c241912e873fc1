"""Raw text vectors to meaning vectors: centred, partly whitened, unit length.

Raw cosines of BERT-like encoders crowd into a narrow band, since all vectors share a large mean
and a few dominant directions. Removing the mean and damping those directions spreads them (Mu &
Viswanath 2018, "All-but-the-Top"; Su et al. 2021, "Whitening Sentence Representations"). The
statistics are shrunk towards a background, so that a catalogue of three items does not centre to
nothing, and kept in the snapshot, so that live items land in the same space.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.errors import SnapshotError
from indexer.language.encoder import Encoder
from indexer.language.fingerprint import TUNED_SUFFIX

WHITENING_POWER = 0.3  # 0 only centres, 1 makes all directions equal; chosen on validation data
SIMILARITY_POWER = 1.0  # best of 0 to 1.5 at finding films of the same genres
_EIGENVALUE_FLOOR = 1e-2  # of the mean eigenvalue: below it is noise, not meaning
_MEAN_PRIOR_ITEMS = 50.0  # the background's mean weighs as much as this many catalogue items
_COVARIANCE_PRIOR_ITEMS = 1_000.0
_CHUNK_ROWS = 16_384
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Moments:
    """First and second moments of raw vectors; add up over chunks.

    Attributes:
        count: Number of vectors.
        total: `(d,) float64`, their sum.
        outer: `(d, d) float64`, sum of their outer products.
    """

    count: int
    total: NDArray[np.float64]
    outer: NDArray[np.float64]

    @classmethod
    def from_chunks(cls, chunks: Iterable[Vectors], dim: int) -> "Moments":
        """Sum up `(n, d)` chunks."""
        count, total, outer = 0, np.zeros(dim), np.zeros((dim, dim))
        for chunk in chunks:
            float_chunk = chunk.astype(np.float32)
            count += len(float_chunk)
            total += float_chunk.sum(axis=0, dtype=np.float64)
            outer += float_chunk.T @ float_chunk
        return cls(count, total, outer)

    @property
    def mean(self) -> NDArray[np.float64]:
        """`(d,) float64`."""
        return self.total / max(self.count, 1)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """`(d, d) float64`."""
        mean = self.mean
        return self.outer / max(self.count, 1) - np.outer(mean, mean)


@dataclass(frozen=True, slots=True)
class Background:
    """What raw vectors of an encoder look like on texts of all kinds.

    Attributes:
        item_mean: `(d,) float32`, mean raw vector of item texts.
        query_mean: `(d,) float32`, mean raw vector of short wishes and tags.
        covariance: `(d, d) float32`, of item texts.
    """

    item_mean: NDArray[np.float32]
    query_mean: NDArray[np.float32]
    covariance: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MeaningSpace:
    """The map from raw vectors of one encoder to meaning vectors of one snapshot.

    Attributes:
        item_mean: `(d,) float32`, subtracted from item vectors.
        query_mean: `(d,) float32`, subtracted from query vectors.
        projection: `(d, d) float32`, symmetric whitening matrix.
        similarity_projection: `(d, d) float32`, symmetric; gives the dominant directions, which say what kind
            of thing an item is, more than their raw weight again.
    """

    item_mean: NDArray[np.float32]
    query_mean: NDArray[np.float32]
    projection: NDArray[np.float32]
    similarity_projection: NDArray[np.float32]

    @property
    def dim(self) -> int:
        """Width of a meaning vector."""
        return int(self.projection.shape[1])

    def map_items(self, raw: Vectors) -> Vectors:
        """Map `(n, d)` raw item vectors to `(n, d) float32` of unit length."""
        return self._map(raw, self.item_mean)

    def map_stored_items(self, stored: NDArray[np.float16]) -> Vectors:
        """Map `(n, d)` stored raw item vectors, a chunk at a time, to what `items` gives."""
        return np.concatenate(
            [
                np.empty((0, self.dim), np.float32),
                *(self.map_items(chunk) for chunk in iter_chunks(stored)),
            ]
        )

    def map_queries(self, raw: Vectors) -> Vectors:
        """Map `(n, d)` raw query vectors to `(n, d) float32` of unit length."""
        return self._map(raw, self.query_mean)

    def map_similar(self, meaning: Vectors) -> Vectors:
        """Map `(n, d)` meaning vectors to request vectors for items of the same kind.

        For "like this one" the kind of thing counts, for "what next" whitening's finer directions
        do. The inner product of an item with its own image is 1.
        """
        mapped: Vectors = np.matmul(meaning, self.similarity_projection, dtype=np.float32)
        self_similarity = (mapped * meaning).sum(axis=1, keepdims=True)
        mapped /= np.maximum(self_similarity, _EPSILON)
        return mapped

    def _map(self, raw: Vectors, mean: NDArray[np.float32]) -> Vectors:
        centred: Vectors = raw.astype(np.float32) - mean
        rows: Vectors = np.matmul(centred, self.projection, dtype=np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.maximum(norms, _EPSILON)
        return rows

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        from safetensors.numpy import save_file

        save_file(
            {
                "item_mean": self.item_mean,
                "query_mean": self.query_mean,
                "projection": self.projection,
                "likeness": self.similarity_projection,
            },
            path,
        )

    @classmethod
    def load(cls, path: Path) -> "MeaningSpace":
        """Read what `save` wrote.

        Raises:
            SnapshotError: If the file is missing or damaged.
        """
        return cls(*_load_tensors(path, "item_mean", "query_mean", "projection", "likeness"))


def fit_meaning_space(
    item_moments: Moments, background: Background, *, power: float = WHITENING_POWER
) -> MeaningSpace:
    """Fit the space of a catalogue, shrunk towards the background by the catalogue's size."""
    dim = len(background.item_mean)
    if item_moments.count == 0:
        item_moments = Moments(0, np.zeros(dim), np.zeros((dim, dim)))
    mean_share = item_moments.count / (item_moments.count + _MEAN_PRIOR_ITEMS)
    covariance_share = item_moments.count / (item_moments.count + _COVARIANCE_PRIOR_ITEMS)
    mean = mean_share * item_moments.mean + (1 - mean_share) * background.item_mean
    covariance = (
        covariance_share * item_moments.covariance + (1 - covariance_share) * background.covariance
    )
    # A wish is phrased unlike an item, so means differ; what a catalogue is about shifts both.
    query_mean = background.query_mean + (mean - background.item_mean)
    return MeaningSpace(
        item_mean=mean.astype(np.float32),
        query_mean=query_mean.astype(np.float32),
        projection=_compute_matrix_power(covariance, -power / 2).astype(np.float32),
        similarity_projection=_compute_matrix_power(covariance, SIMILARITY_POWER / 2).astype(
            np.float32
        ),
    )


def iter_chunks(stored: NDArray[np.float16]) -> Iterator[Vectors]:
    """Yield stored vectors as float32, as many at a time as memory bears."""
    for start in range(0, len(stored), _CHUNK_ROWS):
        yield stored[start : start + _CHUNK_ROWS].astype(np.float32)


def build_identity_space(dim: int) -> MeaningSpace:
    """The space of ready-made vectors, which are only brought to unit length."""
    zeros = np.zeros(dim, np.float32)
    eye = np.eye(dim, dtype=np.float32)
    return MeaningSpace(zeros, zeros, eye, eye)


def load_background(encoder: Encoder) -> Background:
    """Return the background of an encoder: shipped for bundled ones, else measured on the spot.

    The measured one has the mean of a few hundred shipped texts and no preferred directions,
    since so few texts cannot say which directions dominate. A folder may bear a bundled name and
    hold another model, so a background of another width is not taken. Of a tuned encoder the means
    are measured, for tuning moves items and queries apart, and the directions are its model's.
    """
    name = encoder.fingerprint.name.removesuffix(TUNED_SUFFIX)
    shipped = resources.files("indexer.language") / "background" / f"{name}.safetensors"
    known: Background | None = None
    if shipped.is_file():
        with resources.as_file(shipped) as path:
            parts = _load_tensors(path, "item_mean", "query_mean", "covariance")
        if len(parts[0]) == encoder.fingerprint.dim:
            known = Background(*(part.astype(np.float32) for part in parts))
    if known is not None and name == encoder.fingerprint.name:
        return known
    measured = measure_background(encoder, **load_background_texts())
    return measured if known is None else replace(measured, covariance=known.covariance)


def load_background_texts() -> dict[str, list[str]]:
    """The shipped texts: `items` (descriptions of things) and `queries` (wishes and tags)."""
    path = resources.files("indexer.language") / "background" / "texts.json"
    texts: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return texts


def measure_background(encoder: Encoder, items: list[str], queries: list[str]) -> Background:
    """Measure a background on given texts; the covariance is spherical."""
    raw = encoder.encode_items(items)
    mean = raw.mean(axis=0)
    variance = float(((raw - mean) ** 2).sum(axis=1).mean()) / raw.shape[1]
    return Background(
        mean,
        encoder.encode_queries(queries).mean(axis=0),
        np.eye(raw.shape[1], dtype=np.float32) * np.float32(variance),
    )


def _compute_matrix_power(covariance: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return the symmetric matrix whose directions are scaled by their variance to a power."""
    values, directions = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + _EIGENVALUE_FLOOR * max(float(values.mean()), _EPSILON)
    scale = (values / values.mean()) ** power
    matrix: NDArray[np.float64] = (directions * scale) @ directions.T
    return matrix


def _load_tensors(path: Path, *names: str) -> list[NDArray[np.float32]]:
    """Return the named tensors: means `(d,)`, then matrices `(d, d)`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: dict[str, NDArray[np.float32]] = load_file(path)
        found = [tensors[name] for name in names]
    except KeyError as error:
        raise _build_read_error(path, f"it has no {error}") from error
    except (OSError, SafetensorError) as error:
        raise _build_read_error(path, error) from error
    dim = found[0].shape[-1] if found[0].ndim else 0
    if any(part.shape not in ((dim,), (dim, dim)) for part in found):
        raise _build_read_error(path, f"its shapes are {[part.shape for part in found]}")
    return found


def _build_read_error(path: Path, cause: object) -> SnapshotError:
    return SnapshotError(
        f"{path} cannot be read ({cause}); roll back with scripts/snapshots.py or rebuild"
    )
