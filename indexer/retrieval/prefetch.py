"""A catalogue and a batch of requests to a catalogue that has their texts and searches ready.

All texts are encoded in one call. Where search is exact, requests over nearly the same items are
searched by one matrix product over all their vectors; an approximate search takes hardly longer for
each request alone. Each request is then answered as it would be alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from indexer.ann import AllowedRows, NearRows, TopRows, select_top
from indexer.arrays import Mask, Vectors
from indexer.query import Catalogue

_MAX_ROWS = 2_048  # kept for one vector; a request that wants more is searched alone
_MAX_SCORES = 1 << 24  # of one matrix product, in memory at once
_PREFETCHED_IDS = 16  # of the first rows of each result, the likeliest to be shown
_SPARE_ROWS = 64  # searched beyond `limit`: a request may have seen or excluded some of them


@dataclass(frozen=True, slots=True)
class SearchTask:
    """The search that one request will make.

    Attributes:
        group: Tasks of the same group allow nearly the same items.
        vectors: `(q, d) float32` query vectors.
        allowed: The rows that may be found.
        limit: How many rows.
    """

    group: str
    vectors: Vectors
    allowed: AllowedRows
    limit: int


@dataclass(frozen=True, slots=True)
class _SearchResult:
    """The best rows for one vector, among all rows that any task of its group allows.

    Attributes:
        searched_mask: `(n,) bool`, the rows that were searched.
    """

    top: TopRows
    searched_mask: Mask


@dataclass
class CachedCatalogue:
    """A catalogue that remembers encoded texts, searches, ids and rows; the rest is passed on.

    Mypy lets any attribute pass here, because of `__getattr__`.
    """

    catalogue: Catalogue
    text_vectors: dict[str, Vectors] = field(default_factory=dict)
    results_by_vector: dict[bytes, _SearchResult] = field(default_factory=dict)
    ids_by_row: dict[int, str] = field(default_factory=dict)
    rows_by_id: dict[str, int | None] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """Return what is not defined here from the catalogue."""
        return getattr(self.catalogue, name)

    @property
    def as_catalogue(self) -> Catalogue:
        """This object, typed as the catalogue whose other methods `__getattr__` passes on."""
        return cast(Catalogue, self)

    def prefetch_texts(self, texts: Sequence[str]) -> None:
        """Encode, in one call, the texts that are not remembered yet."""
        new = list(dict.fromkeys(text for text in texts if text not in self.text_vectors))
        if new:
            self.text_vectors |= dict(zip(new, self.catalogue.encode_queries(new), strict=True))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return texts as `(m, d) float32`."""
        self.prefetch_texts(texts)
        dim = self.catalogue.manifest.layout.dim
        return np.array([self.text_vectors[text] for text in texts], np.float32).reshape(-1, dim)

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows."""
        new = [row for row in rows if row not in self.ids_by_row]
        if new:
            self.ids_by_row |= dict(zip(new, self.catalogue.ids(new), strict=True))
        return [self.ids_by_row[row] for row in rows]

    def prefetch_rows(self, ids: Iterable[str]) -> None:
        """Look up, in one call, the rows of ids; unknown ids are remembered as None."""
        new = list(dict.fromkeys(item_id for item_id in ids if item_id not in self.rows_by_id))
        if new:
            found = self.catalogue.rows(new)
            self.rows_by_id |= {item_id: found.get(item_id) for item_id in new}

    def rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each known id, in the order of `ids`."""
        self.prefetch_rows(ids)
        rows = {item_id: self.rows_by_id[item_id] for item_id in ids}
        return {item_id: row for item_id, row in rows.items() if row is not None}

    def prefetch_searches(self, tasks: Sequence[SearchTask]) -> None:
        """Search the vectors of each group of tasks in one call, where search is exact."""
        if self.catalogue.manifest.index.get("search", "exact") != "exact":
            return
        groups: dict[str, list[SearchTask]] = {}
        for task in tasks:
            groups.setdefault(task.group, []).append(task)
        for group in groups.values():
            allowed = np.logical_or.reduce([task.allowed.to_mask() for task in group])
            depth = max(task.limit for task in group) + _SPARE_ROWS
            if depth <= _MAX_ROWS:
                vectors = np.concatenate([task.vectors for task in group])
                self._search(np.unique(vectors, axis=0), depth, allowed)
        firsts = [result.top.rows[:_PREFETCHED_IDS] for result in self.results_by_vector.values()]
        self.ids(np.unique(np.concatenate(firsts)).tolist() if firsts else [])

    def _search(self, vectors: Vectors, depth: int, allowed: Mask) -> None:
        count = int(np.count_nonzero(allowed))
        batch_size = max(1, _MAX_SCORES // max(count, 1))
        for start in range(0, len(vectors), batch_size):
            batch = vectors[start : start + batch_size]
            for vector, top in zip(batch, self._search_batch(batch, depth, allowed), strict=True):
                self.results_by_vector[vector.tobytes()] = _SearchResult(top, allowed)

    def _search_batch(self, vectors: Vectors, depth: int, allowed: Mask) -> list[TopRows]:
        rows = self.catalogue.sort_by_id(np.flatnonzero(allowed))
        positions = np.arange(len(rows))
        scores = self.catalogue.scores(vectors, rows)
        tops = [select_top(positions, row_scores, depth) for row_scores in scores]
        return [TopRows(rows[top.rows], top.scores) for top in tops]

    def find_near(
        self, vectors: Vectors, depth: int, allowed: AllowedRows, *, each: int = 0
    ) -> NearRows:
        """Find the rows near any vector, from remembered searches if these suffice for all."""
        results = [self.results_by_vector.get(vector.tobytes()) for vector in vectors]
        mask = allowed.to_mask() if all(results) else None
        tops = [_take_allowed(result, max(depth, each), mask) for result in results]
        complete = [top for top in tops if top is not None]
        if len(complete) < len(tops):
            return self.catalogue.find_near(vectors, depth, allowed, each=each)
        rows = np.unique(np.concatenate([top.rows for top in complete]))
        bound = -np.inf
        if len(rows) < allowed.count:
            bound = max(float(top.scores[-1]) for top in complete)
        return NearRows(rows, self.catalogue.scores(vectors, rows), bound)


def _take_allowed(result: _SearchResult | None, k: int, allowed: Mask | None) -> TopRows | None:
    """Return the `k` nearest allowed rows; None if the remembered search does not cover them."""
    if result is None or allowed is None or np.any(allowed & ~result.searched_mask):
        return None
    passing = np.flatnonzero(allowed[result.top.rows])
    if len(passing) < k:
        return None
    return TopRows(result.top.rows[passing[:k]], result.top.scores[passing[:k]])
