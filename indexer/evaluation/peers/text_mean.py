"""Item vectors to cosines with a history's mean, as they are or whitened, or blended with EASE.

Whitening: Su et al. 2021, "Whitening sentence representations for better semantics and faster
retrieval"; here with a power between centring (0) and full whitening (1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.evaluation.cases import Cases
from indexer.evaluation.peers.item_item import Ease
from indexer.evaluation.peers.popularity import POPULAR_RECENT
from indexer.evaluation.peers.protocol import (
    ALL_EVENTS,
    NO_DECAY,
    POSITIVE_EVENTS,
    Params,
    PeerModel,
    Scores,
    TrainingData,
    collect_entries,
)

RAW_POWER = -1.0  # value of `power` that leaves vectors as they are, not even centred
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class TextModel:
    """Mapped vectors of the items, `(n, d) float32`, unit length."""

    vectors: Scores

    def score(self, cases: Cases, params: Params) -> Scores:
        """Return `(c, n)`, cosines with the weighted mean of the history."""
        entries = collect_entries(cases, use=params["use"], decay=params.get("decay", NO_DECAY))
        mean = entries.to_matrix(len(cases), len(self.vectors)) @ self.vectors
        return normalise_rows(mean) @ self.vectors.T


@dataclass(frozen=True, slots=True)
class TextMean:
    """The mean of a history's vectors, by default whitened and with decay."""

    name: str = "text_tuned"
    powers: tuple[float, ...] = (0.5, 0.0, 1.0)
    decays: tuple[float, ...] = (10.0, 1.0, 3.0, 30.0, NO_DECAY)

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """How far variances are made equal: 0 is centring, 1 is whitening."""
        return {"power": self.powers}

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Entries used, and decay of the history."""
        return {"use": (POSITIVE_EVENTS, ALL_EVENTS), "decay": self.decays}

    def fit(self, training: TrainingData, params: Params) -> TextModel:
        """Whiten by the catalogue's own statistics; no row of the log is read."""
        if params["power"] == RAW_POWER:
            return TextModel(training.vectors)
        vectors = training.vectors - training.vectors.mean(axis=0)
        variance, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64) / len(vectors))
        floor = max(float(variance.max()) * 1e-6, _EPSILON)
        scale = np.maximum(variance, floor) ** (-params["power"] / 2)
        return TextModel(normalise_rows(vectors @ (axes * scale).astype(np.float32)))


TEXT_MEAN = TextMean("text_mean", (RAW_POWER,), (NO_DECAY,))
TEXT_TUNED = TextMean()


@dataclass(frozen=True, slots=True)
class TextEase:
    """A weighted sum of text, EASE and popularity, each standardised over the catalogue.

    Attributes:
        text: Tuned parameters of the text peer.
        ease: Tuned parameters of EASE.
        popular: Tuned parameters of recent popularity.
        repeats: Whether items of the history may be the answer.
    """

    text: Params
    ease: Params
    popular: Params
    repeats: bool
    name: str = "text_ease"

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """None of its own."""
        return {}

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Weights of text and popularity, against 1 for EASE."""
        return {"text": (1.0, 0.3, 3.0), "popular": (0.3, 0.0, 1.0)}

    def fit(self, training: TrainingData, _: Params) -> "TextEaseModel":
        """Fit the parts with the parameters that each was tuned to alone."""
        return TextEaseModel(
            (TEXT_TUNED.fit(training, self.text), self.text),
            (Ease(self.repeats).fit(training, self.ease), self.ease),
            (POPULAR_RECENT.fit(training, self.popular), self.popular),
        )


ModelWithParams = tuple[PeerModel, Params]


@dataclass(frozen=True, slots=True)
class TextEaseModel:
    """Fitted parts with their parameters."""

    text: ModelWithParams
    ease: ModelWithParams
    popular: ModelWithParams

    def score(self, cases: Cases, params: Params) -> Scores:
        """Return `(c, n)`."""
        text, ease, popular = (
            _standardise(part.score(cases, part_params))
            for part, part_params in (self.text, self.ease, self.popular)
        )
        weighted = np.float32(params["text"]) * text + np.float32(params["popular"]) * popular
        total: Scores = ease + weighted
        return total


def _standardise(scores: Scores) -> Scores:
    spread = scores.std(axis=1, keepdims=True)
    standard: Scores = (scores - scores.mean(axis=1, keepdims=True)) / np.maximum(spread, _EPSILON)
    return standard.astype(np.float32)


def normalise_rows(vectors: Scores) -> Scores:
    """Scale each row to length 1; one of length 0 stays."""
    scaled: Scores = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _EPSILON)
    return scaled.astype(np.float32)
