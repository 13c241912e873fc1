"""Rows to counts as scores: the most popular items, the recently popular, a user's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.evaluation.cases import Cases
from indexer.evaluation.peers.protocol import (
    ALL_EVENTS,
    NO_DECAY,
    POSITIVE_EVENTS,
    Params,
    Scores,
    TrainingData,
    collect_entries,
)


@dataclass(frozen=True, slots=True)
class PopularityModel:
    """Counts of the items, `(n,) float32`, the same for every user."""

    counts: Scores

    def score(self, cases: Cases, _: Params) -> Scores:
        """Return `(c, n)`."""
        return np.broadcast_to(self.counts, (len(cases), len(self.counts)))


@dataclass(frozen=True, slots=True)
class Popularity:
    """Most popular items; with half-lives, recently popular ones."""

    name: str = "popular"
    half_lives: tuple[float, ...] = (NO_DECAY,)

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Rows used, and the half-life of a row as a share of all rows."""
        return {"use": (POSITIVE_EVENTS, ALL_EVENTS), "half_life": self.half_lives}

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """None."""
        return {}

    def fit(self, training: TrainingData, params: Params) -> PopularityModel:
        """Count the rows of each item, with decay if rows have times."""
        rows = training.select_rows(params["use"])
        if np.isnan(training.log.at[rows]).any():
            weight = np.ones(len(rows))  # without times, no row is newer than another
        else:
            visible_rows = np.flatnonzero(training.row_mask)
            newer = len(visible_rows) - np.searchsorted(visible_rows, rows)
            weight = 0.5 ** (newer / len(visible_rows) / params["half_life"])
        counts = np.bincount(training.log.item[rows], weight, minlength=training.n_items)
        return PopularityModel(counts.astype(np.float32))


POPULAR = Popularity()
POPULAR_RECENT = Popularity("popular_recent", (0.1, 0.3, 0.03, 0.01, NO_DECAY))


@dataclass(frozen=True, slots=True)
class OwnItems:
    """A user's own past items by decayed count, then recently popular ones."""

    name: str = "own_items"

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """None."""
        return {}

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Decay of the history, weight of popularity."""
        return {"decay": (30.0, 10.0, 100.0, 300.0, NO_DECAY), "popular": (0.3, 0.0, 1.0)}

    def fit(self, training: TrainingData, _: Params) -> "OwnItemsModel":
        """Count recent popularity."""
        recent = POPULAR_RECENT.fit(training, {"use": ALL_EVENTS, "half_life": 0.1})
        return OwnItemsModel(recent.counts / max(float(recent.counts.max()), 1e-9))


@dataclass(frozen=True, slots=True)
class OwnItemsModel:
    """Recent popularity of the items, `(n,) float32`, at most 1."""

    popular: Scores

    def score(self, cases: Cases, params: Params) -> Scores:
        """Return `(c, n)`."""
        entries = collect_entries(cases, use=ALL_EVENTS, decay=params["decay"])
        own: Scores = entries.to_matrix(len(cases), len(self.popular)).toarray()
        return own + np.float32(params["popular"]) * self.popular
