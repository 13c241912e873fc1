"""Item-item peers: cosine neighbours with shrinkage, and EASE, both with decayed histories.

EASE: Steck 2019, "Embarrassingly shallow autoencoders for sparse data". The best of the history's
items may count instead of their sum.
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
    HistoryEntries,
    Params,
    Positions,
    Scores,
    TrainingData,
    collect_entries,
)
from indexer.taste import Matrix, matrix_from_coordinates

MAX_DENSE_ITEMS = 8_000  # the most met ones, that EASE inverts a matrix of
MAX_NEIGHBOURS = 200  # of each item that item-kNN keeps
_STRIP_ITEMS = 512
_SCORE_GRID = {"decay": (10.0, 3.0, 30.0, 100.0, NO_DECAY), "aggregate": ("sum", "max")}


@dataclass(frozen=True, slots=True)
class ItemItemModel:
    """Weights from past items to candidates.

    Attributes:
        weights: `(n, n)` sparse, or `(d, d)` dense over `dense` items.
        dense: Items of a dense matrix, ascending; empty: all.
        n_items: Of the catalogue.
    """

    weights: Any
    dense: Positions
    n_items: int

    def score(self, cases: Cases, knobs: Params) -> Scores:
        """Return `(c, n)`."""
        entries = collect_entries(cases, use=knobs["use"], decay=knobs["decay"])
        known = self._select_dense(entries)
        c = len(cases)
        if knobs["aggregate"] == "sum":
            history = known.to_matrix(c, self.weights.shape[0])
            found = history @ self.weights
            near: Scores = found if isinstance(found, np.ndarray) else found.toarray()
        else:
            near = self._score_by_maximum(known, c)
        total = self._expand_dense(near)
        if knobs.get("own"):
            own: Scores = entries.to_matrix(c, self.n_items).toarray()
            top = np.maximum(total.max(axis=1, keepdims=True), np.float32(1e-9))
            total += np.float32(knobs["own"]) * top * own
        return total

    def _select_dense(self, entries: HistoryEntries) -> HistoryEntries:
        if len(self.dense) == 0:
            return entries
        position = np.full(self.n_items, -1, np.int64)
        position[self.dense] = np.arange(len(self.dense))
        kept = position[entries.item] >= 0
        return HistoryEntries(
            entries.case[kept], position[entries.item[kept]], entries.weight[kept]
        )

    def _score_by_maximum(self, entries: HistoryEntries, count: int) -> Scores:
        out = np.zeros((count, self.weights.shape[1]), np.float32)
        for case in range(count):
            first, last = np.searchsorted(entries.case, [case, case + 1])
            if first < last:
                rows, weight = entries.item[first:last], entries.weight[first:last]
                out[case] = _max_weighted(self.weights[rows], weight)
        return out

    def _expand_dense(self, near: Scores) -> Scores:
        if len(self.dense) == 0:
            return near
        out = np.zeros((len(near), self.n_items), np.float32)
        out[:, self.dense] = near
        return out


def _max_weighted(rows: Any, weight: Scores) -> Scores:
    """The largest weighted entry of each column, `(n,)`; nothing counts as zero."""
    if isinstance(rows, np.ndarray):
        best: Scores = (rows * weight[:, None]).max(axis=0)
        return best
    out = np.zeros(rows.shape[1], np.float32)
    np.maximum.at(out, rows.indices, rows.data * np.repeat(weight, np.diff(rows.indptr)))
    return out


@dataclass(frozen=True, slots=True)
class ItemKnn:
    """Cosine of the users of two items, shrunk."""

    repeats: bool
    name: str = "itemknn_decay"

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Events added to both popularities, neighbours kept."""
        return {
            "use": (POSITIVE_EVENTS, ALL_EVENTS),
            "shrink": (20.0, 0.0, 5.0, 100.0),
            "nearest": (MAX_NEIGHBOURS, 50),
        }

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Reach of the history, sum or maximum over it."""
        return {**_SCORE_GRID, "own": (0.0, 1.0, 3.0) if self.repeats else (0.0,)}

    def fit(self, training: TrainingData, params: Params) -> ItemItemModel:
        """Count in strips, so that a large catalogue fits."""
        matrix = training.build_user_item_matrix(params["use"]).tocsc()
        size = np.sqrt(np.asarray(matrix.sum(axis=0)).ravel() + params["shrink"])
        scaled = (matrix / np.maximum(size, 1e-9)).tocsc().astype(np.float32)
        strips = []
        for start in range(0, training.n_items, _STRIP_ITEMS):
            strip = (scaled[:, start : start + _STRIP_ITEMS].T @ scaled).tocsr()
            strips.append(_keep_nearest(strip, start, params["nearest"]))
        return ItemItemModel(_stack(strips), np.zeros(0, np.int64), training.n_items)


def _keep_nearest(strip: Matrix, first: int, keep: int) -> Matrix:
    pairs = strip.tocoo()
    other = pairs.row + first != pairs.col
    row, col, value = pairs.row[other], pairs.col[other], pairs.data[other]
    order = np.lexsort((col, -value, row))
    row, col, value = row[order], col[order], value[order]
    position = np.arange(len(row)) - np.searchsorted(row, row)
    near = position < keep
    return matrix_from_coordinates(value[near], row[near], col[near], strip.shape)


def _stack(strips: list[Matrix]) -> Matrix:
    from scipy import sparse  # type: ignore[import-untyped]  # scipy ships no stubs

    return sparse.vstack(strips, format="csr")


@dataclass(frozen=True, slots=True)
class Ease:
    """EASE over the most met items."""

    repeats: bool
    name: str = "ease_decay"

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """The ridge."""
        return {"use": (POSITIVE_EVENTS, ALL_EVENTS), "ridge": (100.0, 20.0, 10.0, 500.0, 2000.0)}

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Reach of the history, sum or maximum over it."""
        return {**_SCORE_GRID, "own": (0.0, 1.0, 3.0) if self.repeats else (0.0,)}

    def fit(self, training: TrainingData, params: Params) -> ItemItemModel:
        """Invert the regularised matrix of common users."""
        matrix = training.build_user_item_matrix(params["use"])
        counts = np.asarray(matrix.sum(axis=0)).ravel()
        order = np.lexsort((np.arange(len(counts)), -counts))[:MAX_DENSE_ITEMS]
        dense = np.sort(order[counts[order] > 0])
        part = matrix[:, dense]
        gram: Scores = np.asarray((part.T @ part).todense(), np.float32)
        gram[np.diag_indices(len(dense))] += np.float32(params["ridge"])
        inverse = np.linalg.inv(gram)
        weights: Scores = (-inverse / np.diag(inverse)).astype(np.float32)
        weights[np.diag_indices(len(dense))] = 0
        return ItemItemModel(weights, dense, training.n_items)
