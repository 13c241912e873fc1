"""Implicit ALS through the library `implicit`; a history is folded in with decayed confidence.

Hu, Koren & Volinsky 2008, "Collaborative filtering for implicit feedback datasets".
"""

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

_ITERATIONS = 15


@dataclass(frozen=True, slots=True)
class Ials:
    """Factors of users and items."""

    name: str = "ials"

    @property
    def fit_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """Width, ridge, and how much more a meeting counts than none."""
        return {
            "use": (POSITIVE, EVERY),
            "ridge": (1.0, 0.1, 10.0),
            "alpha": (3.0, 1.0, 10.0),
            "factors": (64, 128),
        }

    @property
    def ask_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """Reach of the history."""
        return {"decay": (10.0, 1.0, 3.0, 30.0, FOREVER)}

    def fit(self, lesson: Lesson, knobs: Knobs) -> "Factors":
        """Alternate; one thread, so that a seed decides everything."""
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=knobs["factors"],
            regularization=knobs["ridge"],
            alpha=1 + knobs["alpha"],  # the library takes the whole confidence of a meeting
            iterations=_ITERATIONS,
            num_threads=1,
            random_state=lesson.seed,
        )
        model.fit(lesson.users_by_items(knobs["use"]), show_progress=False)
        return Factors(np.asarray(model.item_factors, np.float32))


@dataclass(frozen=True, slots=True)
class Factors:
    """`(n, f) float32`."""

    items: Scores

    def scores(self, cases: Cases, knobs: Knobs) -> Scores:
        """Return `(c, n)`."""
        entries = entries_of(cases, use=knobs["use"], decay=knobs["decay"])
        width = self.items.shape[1]
        gram = self.items.T @ self.items + np.float32(knobs["ridge"]) * np.eye(width, dtype="f4")
        users = np.zeros((len(cases), width), np.float32)
        for case in range(len(cases)):
            first, last = np.searchsorted(entries.case, [case, case + 1])
            if first < last:
                met = self.items[entries.item[first:last]]
                more = np.float32(knobs["alpha"]) * entries.weight[first:last, None]
                users[case] = np.linalg.solve(
                    gram + met.T @ (more * met), ((1 + more) * met).sum(0)
                )
        return users @ self.items.T
