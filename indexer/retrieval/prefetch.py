"""Many requests to their answers, with the work that they have in common done once.

All texts are encoded together, and requests over the same items are searched by one call over all
their vectors. The answers are those of each request alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from indexer.ann import Found, best
from indexer.arrays import Mask, Vectors
from indexer.query import Catalogue

_MOST_ROWS = 2_048  # found for one vector; who wants more is searched alone
_MOST_SCORES = 1 << 24  # held at once
_FIRST = 16  # of what a vector found, that are likely to be shown
_SPARE = 64  # rows that may be missing, having been seen or excluded by one request


@dataclass(frozen=True, slots=True)
class Wanted:
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
class _Search:
    """What one vector found among the rows that any of the requests allows.

    Attributes:
        among: `(n,) bool`.
        is_all: Whether these are all rows there are.
    """

    found: Found
    among: Mask
    is_all: bool


@dataclass
class Shared:
    """A catalogue that remembers encoded texts and searches; all else it asks of the catalogue."""

    catalogue: Catalogue
    texts: dict[str, Vectors] = field(default_factory=dict)
    searches: dict[bytes, _Search] = field(default_factory=dict)
    known_ids: dict[int, str] = field(default_factory=dict)
    known_rows: dict[str, int | None] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """Answer everything else as the catalogue does."""
        return getattr(self.catalogue, name)

    @property
    def catalogue_face(self) -> Catalogue:
        """Itself, as what it stands for: what is not here is there."""
        return cast(Catalogue, self)

    def encode(self, texts: Sequence[str]) -> None:
        """Encode texts in one go."""
        new = list(dict.fromkeys(text for text in texts if text not in self.texts))
        if new:
            self.texts |= dict(zip(new, self.catalogue.query_vectors(new), strict=True))

    def query_vectors(self, texts: Sequence[str]) -> Vectors:
        """Return texts as `(m, d) float32`."""
        self.encode(texts)
        dim = self.catalogue.manifest.layout.dim
        return np.array([self.texts[text] for text in texts], np.float32).reshape(-1, dim)

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows."""
        new = [row for row in rows if row not in self.known_ids]
        if new:
            self.known_ids |= dict(zip(new, self.catalogue.ids(new), strict=True))
        return [self.known_ids[row] for row in rows]

    def know(self, ids: Iterable[str]) -> None:
        """Look up rows in one go; None stands for what is not there."""
        new = list(dict.fromkeys(item_id for item_id in ids if item_id not in self.known_rows))
        if new:
            found = self.catalogue.rows(new)
            self.known_rows |= {item_id: found.get(item_id) for item_id in new}

    def rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each known id, in the order asked."""
        self.know(ids)
        rows = {item_id: self.known_rows[item_id] for item_id in ids}
        return {item_id: row for item_id, row in rows.items() if row is not None}

    def search(self, wanted: Sequence[Wanted]) -> None:
        """Search all vectors that are wanted among the same items in one call."""
        groups: dict[str, list[Wanted]] = {}
        for want in wanted:
            groups.setdefault(want.among, []).append(want)
        for group in groups.values():
            allowed = np.logical_or.reduce([want.allowed for want in group])
            depth = max(want.k for want in group) + _SPARE
            if depth <= _MOST_ROWS:
                vectors = np.concatenate([want.vectors for want in group])
                self._search(np.unique(vectors, axis=0), depth, allowed)
        firsts = [search.found.rows[:_FIRST] for search in self.searches.values()]
        self.ids(np.unique(np.concatenate(firsts)).tolist() if firsts else [])

    def _search(self, vectors: Vectors, depth: int, allowed: Mask) -> None:
        count = int(np.count_nonzero(allowed))
        many = max(1, _MOST_SCORES // max(count, 1))
        for start in range(0, len(vectors), many):
            some = vectors[start : start + many]
            for vector, hits in zip(some, self._found(some, depth, allowed), strict=True):
                self.searches[vector.tobytes()] = _Search(hits, allowed, depth >= count)

    def _found(self, vectors: Vectors, depth: int, allowed: Mask) -> list[Found]:
        """One product of matrices where search is exact: it is what many searches are faster by."""
        if self.catalogue.manifest.index.get("search", "exact") != "exact":
            return self.catalogue.nearest(vectors, depth, allowed)
        rows = self.catalogue.in_id_order(np.flatnonzero(allowed))
        places = np.arange(len(rows))
        scores = self.catalogue.scores(vectors, rows)
        hits = [best(places, own, depth) for own in scores]
        return [Found(rows[found.rows], found.scores) for found in hits]

    def nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[Found]:
        """Find the allowed rows, among what was found already where that is enough."""
        known = [self._known(vector, k, allowed) for vector in vectors]
        found = [hits for hits in known if hits is not None]
        return found if len(found) == len(known) else self.catalogue.nearest(vectors, k, allowed)

    def _known(self, vector: Vectors, k: int, allowed: Mask) -> Found | None:
        search = self.searches.get(vector.tobytes())
        if search is None or np.any(allowed & ~search.among):
            return None
        passing = np.flatnonzero(allowed[search.found.rows])
        if len(passing) < k and not search.is_all:
            return None
        return Found(search.found.rows[passing[:k]], search.found.scores[passing[:k]])
