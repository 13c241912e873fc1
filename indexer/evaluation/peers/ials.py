"""Rows to item factors by implicit ALS (library `implicit`); histories are folded in with decay.

Hu, Koren & Volinsky 2008, "Collaborative filtering for implicit feedback datasets".
"""

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

_ITERATIONS = 15


@dataclass(frozen=True, slots=True)
class Ials:
    """Implicit ALS; only the factors of items are kept."""

    name: str = "ials"

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Rows used, ridge, confidence added by an interaction, number of factors."""
        return {
            "use": (POSITIVE_EVENTS, ALL_EVENTS),
            "ridge": (1.0, 0.1, 10.0),
            "alpha": (3.0, 1.0, 10.0),
            "factors": (64, 128),
        }

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Decay of the history."""
        return {"decay": (10.0, 1.0, 3.0, 30.0, NO_DECAY)}

    def fit(self, training: TrainingData, params: Params) -> "AlsModel":
        """Factorise on one thread, so that the seed alone decides the result."""
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=params["factors"],
            regularization=params["ridge"],
            alpha=1 + params["alpha"],  # the library takes the whole confidence of a row
            iterations=_ITERATIONS,
            num_threads=1,
            random_state=training.seed,
        )
        model.fit(training.build_user_item_matrix(params["use"]), show_progress=False)
        return AlsModel(np.asarray(model.item_factors, np.float32))


@dataclass(frozen=True, slots=True)
class AlsModel:
    """Factors of the items, `(n, f) float32`."""

    items: Scores

    def score(self, cases: Cases, params: Params) -> Scores:
        """Return `(c, n)`: least-squares factors of each history times the items' factors."""
        entries = collect_entries(cases, use=params["use"], decay=params["decay"])
        width = self.items.shape[1]
        gram = self.items.T @ self.items + np.float32(params["ridge"]) * np.eye(width, dtype="f4")
        users = np.zeros((len(cases), width), np.float32)
        for case in range(len(cases)):
            first, last = np.searchsorted(entries.case, [case, case + 1])
            if first < last:
                history_factors = self.items[entries.item[first:last]]
                extra_confidence = np.float32(params["alpha"]) * entries.weight[first:last, None]
                users[case] = np.linalg.solve(
                    gram + history_factors.T @ (extra_confidence * history_factors),
                    ((1 + extra_confidence) * history_factors).sum(0),
                )
        return users @ self.items.T
