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
    EVERY,
    FOREVER,
    POSITIVE,
    Entries,
    Ids,
    Knobs,
    Lesson,
    Scores,
    entries_of,
)
from indexer.taste import Matrix, from_coordinates

DENSE_ITEMS = 8_000  # the most met ones, that EASE inverts a matrix of
NEAREST = 200  # of each item that item-kNN keeps
_CHUNK = 512
_ASKED = {"decay": (10.0, 3.0, 30.0, 100.0, FOREVER), "aggregate": ("sum", "max")}


@dataclass(frozen=True, slots=True)
class ItemItem:
    """Weights from past items to candidates.

    Attributes:
        weights: `(n, n)` sparse, or `(d, d)` dense over `dense` items.
        dense: Items of a dense matrix, ascending; empty: all.
        n_items: Of the catalogue.
    """

    weights: Any
    dense: Ids
    n_items: int

    def scores(self, cases: Cases, knobs: Knobs) -> Scores:
        """Return `(c, n)`."""
        entries = entries_of(cases, use=knobs["use"], decay=knobs["decay"])
        known = self._known(entries)
        c = len(cases)
        if knobs["aggregate"] == "sum":
            history = known.matrix(c, self.weights.shape[0])
            found = history @ self.weights
            near: Scores = found if isinstance(found, np.ndarray) else found.toarray()
        else:
            near = self._best(known, c)
        total = self._spread(near)
        if knobs.get("own"):
            own: Scores = entries.matrix(c, self.n_items).toarray()
            top = np.maximum(total.max(axis=1, keepdims=True), np.float32(1e-9))
            total += np.float32(knobs["own"]) * top * own
        return total

    def _known(self, entries: Entries) -> Entries:
        if len(self.dense) == 0:
            return entries
        place = np.full(self.n_items, -1, np.int64)
        place[self.dense] = np.arange(len(self.dense))
        kept = place[entries.item] >= 0
        return Entries(entries.case[kept], place[entries.item[kept]], entries.weight[kept])

    def _best(self, entries: Entries, count: int) -> Scores:
        out = np.zeros((count, self.weights.shape[1]), np.float32)
        for case in range(count):
            first, last = np.searchsorted(entries.case, [case, case + 1])
            if first < last:
                rows, weight = entries.item[first:last], entries.weight[first:last]
                out[case] = _strongest(self.weights[rows], weight)
        return out

    def _spread(self, near: Scores) -> Scores:
        if len(self.dense) == 0:
            return near
        out = np.zeros((len(near), self.n_items), np.float32)
        out[:, self.dense] = near
        return out


def _strongest(rows: Any, weight: Scores) -> Scores:
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
    def fit_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """Events added to both popularities, neighbours kept."""
        return {
            "use": (POSITIVE, EVERY),
            "shrink": (20.0, 0.0, 5.0, 100.0),
            "nearest": (NEAREST, 50),
        }

    @property
    def ask_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """Reach of the history, sum or maximum over it."""
        return {**_ASKED, "own": (0.0, 1.0, 3.0) if self.repeats else (0.0,)}

    def fit(self, lesson: Lesson, knobs: Knobs) -> ItemItem:
        """Count in strips, so that a large catalogue fits."""
        met = lesson.users_by_items(knobs["use"]).tocsc()
        size = np.sqrt(np.asarray(met.sum(axis=0)).ravel() + knobs["shrink"])
        scaled = (met / np.maximum(size, 1e-9)).tocsc().astype(np.float32)
        strips = []
        for start in range(0, lesson.n_items, _CHUNK):
            strip = (scaled[:, start : start + _CHUNK].T @ scaled).tocsr()
            strips.append(_nearest(strip, start, knobs["nearest"]))
        return ItemItem(_stacked(strips), np.zeros(0, np.int64), lesson.n_items)


def _nearest(strip: Matrix, first: int, keep: int) -> Matrix:
    pairs = strip.tocoo()
    other = pairs.row + first != pairs.col
    row, col, value = pairs.row[other], pairs.col[other], pairs.data[other]
    order = np.lexsort((col, -value, row))
    row, col, value = row[order], col[order], value[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    near = place < keep
    return from_coordinates(value[near], row[near], col[near], strip.shape)


def _stacked(strips: list[Matrix]) -> Matrix:
    from scipy import sparse  # type: ignore[import-untyped]  # scipy ships no stubs

    return sparse.vstack(strips, format="csr")


@dataclass(frozen=True, slots=True)
class Ease:
    """EASE over the most met items."""

    repeats: bool
    name: str = "ease_decay"

    @property
    def fit_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """The ridge."""
        return {"use": (POSITIVE, EVERY), "ridge": (100.0, 20.0, 10.0, 500.0, 2000.0)}

    @property
    def ask_knobs(self) -> Mapping[str, tuple[Any, ...]]:
        """Reach of the history, sum or maximum over it."""
        return {**_ASKED, "own": (0.0, 1.0, 3.0) if self.repeats else (0.0,)}

    def fit(self, lesson: Lesson, knobs: Knobs) -> ItemItem:
        """Invert the regularised matrix of common users."""
        met = lesson.users_by_items(knobs["use"])
        counts = np.asarray(met.sum(axis=0)).ravel()
        order = np.lexsort((np.arange(len(counts)), -counts))[:DENSE_ITEMS]
        dense = np.sort(order[counts[order] > 0])
        part = met[:, dense]
        gram: Scores = np.asarray((part.T @ part).todense(), np.float32)
        gram[np.diag_indices(len(dense))] += np.float32(knobs["ridge"])
        inverse = np.linalg.inv(gram)
        weights: Scores = (-inverse / np.diag(inverse)).astype(np.float32)
        weights[np.diag_indices(len(dense))] = 0
        return ItemItem(weights, dense, lesson.n_items)
