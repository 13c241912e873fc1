"""Rows to item-item weights: shrunk cosine neighbours, and EASE; scores of decayed histories.

EASE: Steck 2019, "Embarrassingly shallow autoencoders for sparse data". An item's score is the sum
of the weights from the items of the history, or their maximum.
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
from indexer.taste import Matrix, build_matrix_from_coordinates

MAX_DENSE_ITEMS = 8_000  # most frequent items, of whose matrix EASE takes the inverse
MAX_NEIGHBOURS = 200  # neighbours of each item that item-kNN keeps
_STRIP_ITEMS = 512


@dataclass(frozen=True, slots=True)
class ItemItemModel:
    """Weights from past items to candidates.

    Attributes:
        weights: `(n, n)` sparse, or `(d, d)` dense over the `dense` items.
        dense: Positions of the items of a dense matrix, ascending; empty: all items.
        n_items: Number of items in the catalogue.
    """

    weights: Any
    dense: Positions
    n_items: int

    def score(self, cases: Cases, params: Params) -> Scores:
        """Return `(c, n)`, weighted sums or maxima; the history's own items are raised by `own`."""
        entries = collect_entries(cases, use=params["use"], decay=params["decay"])
        known = self._select_dense(entries)
        c = len(cases)
        if params["aggregate"] == "sum":
            history = known.to_matrix(c, self.weights.shape[0])
            product = history @ self.weights
            near: Scores = product if isinstance(product, np.ndarray) else product.toarray()
        else:
            near = self._score_by_maximum(known, c)
        total = self._expand_dense(near)
        if params.get("own"):
            own: Scores = entries.to_matrix(c, self.n_items).toarray()
            top = np.maximum(total.max(axis=1, keepdims=True), np.float32(1e-9))
            total += np.float32(params["own"]) * top * own
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
    """The largest weighted entry of each column, `(n,)`; a missing entry is zero."""
    if isinstance(rows, np.ndarray):
        best: Scores = (rows * weight[:, None]).max(axis=0)
        return best
    out = np.zeros(rows.shape[1], np.float32)
    np.maximum.at(out, rows.indices, rows.data * np.repeat(weight, np.diff(rows.indptr)))
    return out


def _build_score_grid(*, repeats: bool) -> Mapping[str, tuple[Any, ...]]:
    return {
        "decay": (10.0, 3.0, 30.0, 100.0, NO_DECAY),
        "aggregate": ("sum", "max"),
        "own": (0.0, 1.0, 3.0) if repeats else (0.0,),
    }


@dataclass(frozen=True, slots=True)
class ItemKnn:
    """Item-kNN: cosine between the sets of users of two items, shrunk for rare items."""

    repeats: bool
    name: str = "itemknn_decay"

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Rows used, events added to both popularities, neighbours kept."""
        return {
            "use": (POSITIVE_EVENTS, ALL_EVENTS),
            "shrink": (20.0, 0.0, 5.0, 100.0),
            "nearest": (MAX_NEIGHBOURS, 50),
        }

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Decay of the history, sum or maximum over it, weight of its own items."""
        return _build_score_grid(repeats=self.repeats)

    def fit(self, training: TrainingData, params: Params) -> ItemItemModel:
        """Compute the cosines in strips of items, so that a large catalogue fits in memory."""
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
    return build_matrix_from_coordinates(value[near], row[near], col[near], strip.shape)


def _stack(strips: list[Matrix]) -> Matrix:
    from scipy import sparse  # type: ignore[import-untyped]  # scipy ships no stubs

    return sparse.vstack(strips, format="csr")


@dataclass(frozen=True, slots=True)
class Ease:
    """EASE over the most frequent items."""

    repeats: bool
    name: str = "ease_decay"

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Rows used, ridge."""
        return {"use": (POSITIVE_EVENTS, ALL_EVENTS), "ridge": (100.0, 20.0, 10.0, 500.0, 2000.0)}

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Decay of the history, sum or maximum over it, weight of its own items."""
        return _build_score_grid(repeats=self.repeats)

    def fit(self, training: TrainingData, params: Params) -> ItemItemModel:
        """Compute the closed form from the inverse of the Gram matrix plus ridge."""
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
