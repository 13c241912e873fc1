"""Text peers: the mean of the history's vectors, as they are or whitened, and blended with EASE."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.evaluation.cases import Cases
from indexer.evaluation.peers.item_item import Ease
from indexer.evaluation.peers.popularity import POPULAR_RECENT
from indexer.evaluation.peers.protocol import (
    EVERY,
    FOREVER,
    POSITIVE,
    Fitted,
    Knobs,
    Lesson,
    Scores,
    entries_of,
)

RAW = -1.0  # power of whitening: not even centred
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Near:
    """`(n, d) float32`, of unit length."""

    vectors: Scores

    def scores(self, cases: Cases, knobs: Knobs) -> Scores:
        """Return `(c, n)`, cosines with the mean of the history."""
        entries = entries_of(cases, use=knobs["use"], decay=knobs.get("decay", FOREVER))
        mean = entries.matrix(len(cases), len(self.vectors)) @ self.vectors
        return unit(mean) @ self.vectors.T


@dataclass(frozen=True, slots=True)
class Text:
    """The mean of a history's vectors; whitened with decay unless it is raw."""

    name: str = "text_tuned"
    powers: tuple[float, ...] = (0.5, 0.0, 1.0)
    decays: tuple[float, ...] = (10.0, 1.0, 3.0, 30.0, FOREVER)

    @property
    def fit_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """How far variances are made equal: 0 is centring, 1 is whitening."""
        return {"power": self.powers}

    @property
    def ask_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """Reach of the history."""
        return {"use": (POSITIVE, EVERY), "decay": self.decays}

    def fit(self, lesson: Lesson, knobs: Knobs) -> Near:
        """Take the catalogue's own statistics; no row of the log is read."""
        if knobs["power"] == RAW:
            return Near(lesson.vectors)
        vectors = lesson.vectors - lesson.vectors.mean(axis=0)
        variance, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64) / len(vectors))
        floor = max(float(variance.max()) * 1e-6, _TINY)
        scale = np.maximum(variance, floor) ** (-knobs["power"] / 2)
        return Near(unit(vectors @ (axes * scale).astype(np.float32)))


TEXT_MEAN = Text("text_mean", (RAW,), (FOREVER,))
TEXT_TUNED = Text()


@dataclass(frozen=True, slots=True)
class TextEase:
    """Text, EASE and popularity, each made of mean 0 and variance 1 over the catalogue.

    Attributes:
        text: The tuned knobs of the text peer.
        ease: Those of EASE.
        popular: Those of recent popularity.
    """

    text: Knobs
    ease: Knobs
    popular: Knobs
    repeats: bool
    name: str = "text_ease"

    @property
    def fit_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """None of its own."""
        return {}

    @property
    def ask_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """Weights against EASE."""
        return {"text": (1.0, 0.3, 3.0), "popular": (0.3, 0.0, 1.0)}

    def fit(self, lesson: Lesson, _: Knobs) -> "Blended":
        """Fit the parts as they were tuned."""
        return Blended(
            (TEXT_TUNED.fit(lesson, self.text), self.text),
            (Ease(self.repeats).fit(lesson, self.ease), self.ease),
            (POPULAR_RECENT.fit(lesson, self.popular), self.popular),
        )


Tuned = tuple[Fitted, Knobs]


@dataclass(frozen=True, slots=True)
class Blended:
    """Fitted parts with their knobs."""

    text: Tuned
    ease: Tuned
    popular: Tuned

    def scores(self, cases: Cases, knobs: Knobs) -> Scores:
        """Return `(c, n)`."""
        text, ease, popular = (
            _standard(part.scores(cases, own)) for part, own in (self.text, self.ease, self.popular)
        )
        weighted = np.float32(knobs["text"]) * text + np.float32(knobs["popular"]) * popular
        total: Scores = ease + weighted
        return total


def _standard(scores: Scores) -> Scores:
    spread = scores.std(axis=1, keepdims=True)
    standard: Scores = (scores - scores.mean(axis=1, keepdims=True)) / np.maximum(spread, _TINY)
    return standard.astype(np.float32)


def unit(vectors: Scores) -> Scores:
    """Scale each row to length 1; one of length 0 stays."""
    scaled: Scores = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
    return scaled.astype(np.float32)
