"""A catalogue to one that remembers its last search, for a query that is answered repeatedly."""

from dataclasses import dataclass
from typing import Any

from indexer.ann import AllowedRows, NearRows
from indexer.arrays import Vectors
from indexer.query import Catalogue


@dataclass(frozen=True, slots=True)
class _Search:
    """What was searched, and what was found."""

    vectors: Vectors
    depth: int
    allowed: AllowedRows
    each: int
    near: NearRows


class RememberedSearch:
    """A catalogue for one prepared query; all but the search is passed on.

    The same objects are looked for, not equal ones: vectors and allowed rows never change. Terms
    that are added to scores, such as those of trending items, are added after the search.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._last: _Search | None = None

    def __getattr__(self, name: str) -> Any:
        """Return what is not defined here from the catalogue."""
        return getattr(self._catalogue, name)

    def find_near(
        self, vectors: Vectors, depth: int, allowed: AllowedRows, *, each: int = 0
    ) -> NearRows:
        """Find the rows near any vector, from memory if the last search was the same."""
        last = self._last
        if (
            last is not None
            and last.vectors is vectors
            and last.allowed is allowed
            and (last.depth, last.each) == (depth, each)
        ):
            return last.near
        near = self._catalogue.find_near(vectors, depth, allowed, each=each)
        self._last = _Search(vectors, depth, allowed, each, near)
        return near
