"""An encoder to the mean and covariance of its vectors over texts on many subjects.

Those of a bundled model are shipped. Those of others are measured, which takes seconds, and stored
with the meaning space of the snapshot, so that the next build with the same encoder need not.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.errors import SnapshotError
from indexer.language.encoder import Encoder
from indexer.language.fingerprint import TUNED_SUFFIX
from indexer.language.item_text import is_chinese
from indexer.language.language_axis import LanguageAxis, fit_language_axis
from indexer.language.tensor_file import load_tensors

_DIGEST_CHARS = 16
_AXIS_TENSORS = ("item_language", "item_step", "query_language", "query_step")


@dataclass(frozen=True, slots=True)
class BackgroundTexts:
    """Texts on many subjects in English and Chinese.

    Attributes:
        items: Descriptions.
        queries: Short queries and tags.
        pairs: The same words in English and in Chinese.
    """

    items: list[str]
    queries: list[str]
    pairs: list[list[str]]


@dataclass(frozen=True, slots=True)
class MeasuredBackground:
    """What was measured of an encoder; of so few texts only the mean variance can be known.

    Attributes:
        item_mean: `(d,) float32`, mean raw vector of item texts.
        query_mean: `(d,) float32`, mean raw vector of short queries and tags.
        variance: Mean variance of a number of an item's raw vector.
        item_axis: Between the languages of item texts; None: the encoder does not tell them apart.
        query_axis: Between those of queries.
    """

    item_mean: NDArray[np.float32]
    query_mean: NDArray[np.float32]
    variance: float
    item_axis: LanguageAxis | None = None
    query_axis: LanguageAxis | None = None

    def to_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return it as tensors `(d,)`, whose names tell which texts were encoded."""
        variances = np.full(len(self.item_mean), self.variance, np.float32)
        parts = (
            self.item_mean,
            self.query_mean,
            variances,
            *_list_axis_parts(self.item_axis, len(variances)),
            *_list_axis_parts(self.query_axis, len(variances)),
        )
        return dict(zip(_list_tensor_names(), parts, strict=True))

    @classmethod
    def read(cls, path: Path) -> "MeasuredBackground | None":
        """Read it from the file of a meaning space; None if it is not there or of other texts."""
        try:
            item_mean, query_mean, variances, *axes = load_tensors(path, *_list_tensor_names())
        except SnapshotError:
            return None
        return cls(
            item_mean,
            query_mean,
            float(variances[0]),
            _build_axis(axes[0], axes[1]),
            _build_axis(axes[2], axes[3]),
        )


@dataclass(frozen=True, slots=True)
class Background:
    """Mean and covariance of an encoder's raw vectors over texts on many subjects.

    Attributes:
        item_mean: `(d,) float32`, mean raw vector of item texts.
        query_mean: `(d,) float32`, mean raw vector of short queries and tags.
        covariance: `(d, d) float32`, of the raw vectors of item texts.
        measured: What of it was measured; None if it is a shipped one.
        item_axis: Between the languages of item texts; None: the encoder does not tell them apart.
        query_axis: Between those of queries.
    """

    item_mean: NDArray[np.float32]
    query_mean: NDArray[np.float32]
    covariance: NDArray[np.float32]
    measured: MeasuredBackground | None = None
    item_axis: LanguageAxis | None = None
    query_axis: LanguageAxis | None = None


def _list_tensor_names() -> list[str]:
    digest = hashlib.sha256(_read_texts()).hexdigest()[:_DIGEST_CHARS]
    parts = ("items", "queries", "variance", *_AXIS_TENSORS)
    return [f"background_{part}_{digest}" for part in parts]


def _list_axis_parts(axis: LanguageAxis | None, dim: int) -> tuple[NDArray[np.float32], ...]:
    """Return an axis as two tensors `(d,)`; of none they are zero."""
    if axis is None:
        return np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    return axis.weights, axis.step


def _build_axis(weights: NDArray[np.floating], step: NDArray[np.floating]) -> LanguageAxis | None:
    if not weights.any():
        return None
    return LanguageAxis(weights.astype(np.float32), step.astype(np.float32))


def load_background(encoder: Encoder, measured: MeasuredBackground | None = None) -> Background:
    """Return the background of an encoder: a shipped file for bundled models, else measured.

    A measured background has the means of a few hundred shipped texts and a spherical covariance,
    since so few texts cannot tell which directions dominate. A shipped file of another dimension is
    not used: a directory may be named like a bundled model and hold another one. For a tuned
    encoder the means are measured, since tuning moves items and queries apart, and the covariance
    is that of its base model.

    Args:
        encoder: It is not asked for a shipped background.
        measured: What an earlier build measured of it, if known.
    """
    dim = encoder.fingerprint.dim
    name = encoder.fingerprint.name.removesuffix(TUNED_SUFFIX)
    shipped = resources.files("indexer.language") / "background" / f"{name}.safetensors"
    known: Background | None = None
    if shipped.is_file():
        with resources.as_file(shipped) as path:
            parts = load_tensors(path, "item_mean", "query_mean", "covariance", *_AXIS_TENSORS)
        if len(parts[0]) == dim:
            item_mean, query_mean, covariance = (part.astype(np.float32) for part in parts[:3])
            known = Background(
                item_mean,
                query_mean,
                covariance,
                item_axis=_build_axis(parts[3], parts[4]),
                query_axis=_build_axis(parts[5], parts[6]),
            )
    if known is not None and name == encoder.fingerprint.name:
        return known
    if measured is None or len(measured.item_mean) != dim:
        background = measure_background(encoder, load_background_texts())
    else:
        background = build_background(measured)
    return background if known is None else replace(background, covariance=known.covariance)


def load_background_texts() -> BackgroundTexts:
    """Return the shipped texts."""
    return BackgroundTexts(**json.loads(_read_texts()))


def _read_texts() -> bytes:
    return (resources.files("indexer.language") / "background" / "texts.json").read_bytes()


def measure_background(encoder: Encoder, texts: BackgroundTexts) -> Background:
    """Encode texts and return their means, with the mean variance as a spherical covariance."""
    raw = encoder.encode_items(texts.items)
    mean = raw.mean(axis=0)
    variance = float(((raw - mean) ** 2).sum(axis=1).mean()) / raw.shape[1]
    query_mean = encoder.encode_queries(texts.queries).mean(axis=0)
    item_axis, query_axis = measure_language_axes(encoder, texts, raw)
    return build_background(MeasuredBackground(mean, query_mean, variance, item_axis, query_axis))


def measure_language_axes(
    encoder: Encoder, texts: BackgroundTexts, raw: Vectors
) -> tuple[LanguageAxis | None, LanguageAxis | None]:
    """Return the axes between the languages of item texts and of queries.

    Args:
        encoder: Encodes the pairs, which say the same in both languages.
        texts: What is encoded.
        raw: `(n, d) float32`, raw vectors of the item texts.
    """
    words = [word for pair in texts.pairs for word in pair]
    return (
        fit_language_axis(raw, np.array([is_chinese(text) for text in texts.items], np.bool_)),
        fit_language_axis(
            encoder.encode_queries(words) if words else np.zeros((0, raw.shape[1]), np.float32),
            np.array([is_chinese(word) for word in words], np.bool_),
        ),
    )


def build_background(measured: MeasuredBackground) -> Background:
    """Return the background of which only means and the mean variance are known."""
    spherical = np.eye(len(measured.item_mean), dtype=np.float32) * np.float32(measured.variance)
    return Background(
        measured.item_mean,
        measured.query_mean,
        spherical,
        measured,
        measured.item_axis,
        measured.query_axis,
    )
