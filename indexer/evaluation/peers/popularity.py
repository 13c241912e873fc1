"""Counts as recommenders: the most popular, the most popular of late, a user's own items."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.evaluation.cases import Cases
from indexer.evaluation.peers.protocol import (
    EVERY,
    FOREVER,
    POSITIVE,
    Knobs,
    Lesson,
    Scores,
    entries_of,
)


@dataclass(frozen=True, slots=True)
class Counted:
    """`(n,)` counts, the same for everybody."""

    counts: Scores

    def scores(self, cases: Cases, _: Knobs) -> Scores:
        """Return `(c, n)`."""
        return np.broadcast_to(self.counts, (len(cases), len(self.counts)))


@dataclass(frozen=True, slots=True)
class Popular:
    """Most popular; with half-lives, most popular of late."""

    name: str = "popular"
    half_lives: tuple[float, ...] = (FOREVER,)

    @property
    def fit_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """A half-life is a share of all rows."""
        return {"use": (POSITIVE, EVERY), "half_life": self.half_lives}

    @property
    def ask_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """None."""
        return {}

    def fit(self, lesson: Lesson, knobs: Knobs) -> Counted:
        """Count."""
        rows = lesson.used(knobs["use"])
        if np.isnan(lesson.log.at[rows]).any():
            weight = np.ones(len(rows))  # without times, no row is newer than another's
        else:
            everything = np.flatnonzero(lesson.rows)
            newer = len(everything) - np.searchsorted(everything, rows)
            weight = 0.5 ** (newer / len(everything) / knobs["half_life"])
        counts = np.bincount(lesson.log.item[rows], weight, minlength=lesson.n_items)
        return Counted(counts.astype(np.float32))


POPULAR = Popular()
POPULAR_RECENT = Popular("popular_recent", (0.1, 0.3, 0.03, 0.01, FOREVER))


@dataclass(frozen=True, slots=True)
class OwnItems:
    """A user's own past items by decayed count, then what is popular."""

    name: str = "own_items"

    @property
    def fit_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """None."""
        return {}

    @property
    def ask_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """Reach of the history, weight of popularity."""
        return {"decay": (30.0, 10.0, 100.0, 300.0, FOREVER), "popular": (0.3, 0.0, 1.0)}

    def fit(self, lesson: Lesson, _: Knobs) -> "OwnCounted":
        """Count what is popular."""
        recent = POPULAR_RECENT.fit(lesson, {"use": EVERY, "half_life": 0.1})
        return OwnCounted(recent.counts / max(float(recent.counts.max()), 1e-9))


@dataclass(frozen=True, slots=True)
class OwnCounted:
    """`(n,)` popularity, at most 1."""

    popular: Scores

    def scores(self, cases: Cases, knobs: Knobs) -> Scores:
        """Return `(c, n)`."""
        entries = entries_of(cases, use=EVERY, decay=knobs["decay"])
        own: Scores = entries.matrix(len(cases), len(self.popular)).toarray()
        return own + np.float32(knobs["popular"]) * self.popular
