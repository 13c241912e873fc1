"""Many requests to their answers, with the work that they have in common done once.

All texts are encoded together, and requests over the same items are searched by one call over all
their vectors. The answers are those of each request alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from indexer.ann import TopRows, select_top
from indexer.arrays import Mask, Vectors
from indexer.query import Catalogue

_MAX_ROWS = 2_048  # found for one vector; who wants more is searched alone
_MAX_SCORES = 1 << 24  # held at once
_PREFETCHED_IDS = 16  # of what a vector found, that are likely to be shown
_SPARE_ROWS = 64  # rows that may be missing, having been seen or excluded by one request


@dataclass(frozen=True, slots=True)
class SearchTask:
    """What one request will search.

    Attributes:
        among: Requests of the same name allow nearly the same items.
        vectors: `(q, d) float32`.
        allowed: `(n,) bool`.
        k: How many.
    """

    among: str
    vectors: Vectors
    allowed: Mask
    k: int


@dataclass(frozen=True, slots=True)
class _SearchResult:
    """What one vector found among the rows that any of the requests allows.

    Attributes:
        searched_mask: `(n,) bool`.
        is_exhaustive: Whether these are all rows there are.
    """

    found: TopRows
    searched_mask: Mask
    is_exhaustive: bool


@dataclass
class CachedCatalogue:
    """A catalogue that remembers encoded texts and searches; all else it asks of the catalogue."""

    catalogue: Catalogue
    text_vectors: dict[str, Vectors] = field(default_factory=dict)
    results_by_vector: dict[bytes, _SearchResult] = field(default_factory=dict)
    ids_by_row: dict[int, str] = field(default_factory=dict)
    rows_by_id: dict[str, int | None] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """Answer everything else as the catalogue does."""
        return getattr(self.catalogue, name)

    @property
    def as_catalogue(self) -> Catalogue:
        """Itself, as what it stands for: what is not here is there."""
        return cast(Catalogue, self)

    def prefetch_texts(self, texts: Sequence[str]) -> None:
        """Encode texts in one go."""
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
        """Look up rows in one go; None stands for what is not there."""
        new = list(dict.fromkeys(item_id for item_id in ids if item_id not in self.rows_by_id))
        if new:
            found = self.catalogue.rows(new)
            self.rows_by_id |= {item_id: found.get(item_id) for item_id in new}

    def rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each known id, in the order asked."""
        self.prefetch_rows(ids)
        rows = {item_id: self.rows_by_id[item_id] for item_id in ids}
        return {item_id: row for item_id, row in rows.items() if row is not None}

    def prefetch_searches(self, tasks: Sequence[SearchTask]) -> None:
        """Search all vectors that are wanted among the same items in one call."""
        groups: dict[str, list[SearchTask]] = {}
        for task in tasks:
            groups.setdefault(task.among, []).append(task)
        for group in groups.values():
            allowed = np.logical_or.reduce([task.allowed for task in group])
            depth = max(task.k for task in group) + _SPARE_ROWS
            if depth <= _MAX_ROWS:
                vectors = np.concatenate([task.vectors for task in group])
                self._search(np.unique(vectors, axis=0), depth, allowed)
        firsts = [result.found.rows[:_PREFETCHED_IDS] for result in self.results_by_vector.values()]
        self.ids(np.unique(np.concatenate(firsts)).tolist() if firsts else [])

    def _search(self, vectors: Vectors, depth: int, allowed: Mask) -> None:
        count = int(np.count_nonzero(allowed))
        batch_size = max(1, _MAX_SCORES // max(count, 1))
        for start in range(0, len(vectors), batch_size):
            batch = vectors[start : start + batch_size]
            for vector, hits in zip(batch, self._search_rows(batch, depth, allowed), strict=True):
                self.results_by_vector[vector.tobytes()] = _SearchResult(
                    hits, allowed, depth >= count
                )

    def _search_rows(self, vectors: Vectors, depth: int, allowed: Mask) -> list[TopRows]:
        """One product of matrices where search is exact: it is what many searches are faster by."""
        if self.catalogue.manifest.index.get("search", "exact") != "exact":
            return self.catalogue.find_nearest(vectors, depth, allowed)
        rows = self.catalogue.sort_by_id(np.flatnonzero(allowed))
        positions = np.arange(len(rows))
        scores = self.catalogue.scores(vectors, rows)
        hits = [select_top(positions, own, depth) for own in scores]
        return [TopRows(rows[found.rows], found.scores) for found in hits]

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        """Find the allowed rows, among what was found already where that is enough."""
        known = [self._find_cached(vector, k, allowed) for vector in vectors]
        found = [hits for hits in known if hits is not None]
        return (
            found if len(found) == len(known) else self.catalogue.find_nearest(vectors, k, allowed)
        )

    def _find_cached(self, vector: Vectors, k: int, allowed: Mask) -> TopRows | None:
        result = self.results_by_vector.get(vector.tobytes())
        if result is None or np.any(allowed & ~result.searched_mask):
            return None
        passing = np.flatnonzero(allowed[result.found.rows])
        if len(passing) < k and not result.is_exhaustive:
            return None
        return TopRows(result.found.rows[passing[:k]], result.found.scores[passing[:k]])
