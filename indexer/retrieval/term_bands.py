"""Rows with additive score terms to bands of nearly equal terms, each searched with an upper bound.

The index finds the largest inner products, but what is wanted is the largest product plus term. A
row of a band that was not found scores at most the last product found there plus the band's largest
term; a band is finished when this upper bound is below the worst score that is still wanted, as in
MaxScore (Turtle & Flood 1995) and WAND (Broder et al. 2003).
"""

from typing import Protocol

import numpy as np

from indexer.ann import TopRows
from indexer.arrays import Mask, Rows, Vectors

_MAX_BANDS = 8
_TIE_TOLERANCE = 2e-6  # scores closer than this may be ties, which ids decide


class VectorSearcher(Protocol):
    """Item vectors that can be searched."""

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        """Find the allowed rows with the highest inner product for each vector."""
        ...


class TermBand:
    """Rows with nearly equal score terms, and how far they have been searched.

    Args:
        allowed: `(n,) bool`, its rows.
        term_range: The smallest and the largest term among them.
        limit: How many of the best rows are wanted over all bands.
    """

    def __init__(self, allowed: Mask, term_range: tuple[float, float], limit: int) -> None:
        self._allowed = allowed
        self._count = int(np.count_nonzero(allowed))
        self._min_term, self._max_term = term_range
        self._depth = min(limit, self._count)
        self._product_bound = np.inf
        self._found_rows: Rows | None = None

    def search(self, source: VectorSearcher, vectors: Vectors) -> Rows:
        """Return the rows found so far, ascending."""
        if self._found_rows is None:
            results = source.find_nearest(vectors, self._depth, self._allowed)
            self._found_rows = np.unique(np.concatenate([top.rows for top in results]))
            self._product_bound = max(float(top.scores[-1]) for top in results)
        return self._found_rows

    def may_hide(self, threshold: float) -> bool:
        """Return whether a row that was not found could score `threshold` or more."""
        is_flat = self._min_term == self._max_term  # then its own order is that of the scores
        if self._depth == self._count or (is_flat and threshold > -np.inf):
            return False
        return self._product_bound + self._max_term >= threshold - _TIE_TOLERANCE

    def widen(self) -> None:
        """Let the next search go four times as deep."""
        self._depth = min(4 * self._depth, self._count)
        self._found_rows = None


def build_bands(terms: Vectors, allowed: Mask, limit: int) -> list[TermBand]:
    """Cut the allowed rows into at most `_MAX_BANDS` bands of equal width.

    Args:
        terms: `(n,) float32`, the additive term of each row.
        allowed: `(n,) bool`.
        limit: How many of the best rows are wanted over all bands.
    """
    allowed_terms = terms[allowed]
    if limit < 1 or not len(allowed_terms):
        return []
    low, high = float(allowed_terms.min()), float(allowed_terms.max())
    width = max((high - low) / _MAX_BANDS, _TIE_TOLERANCE)
    band_numbers = np.clip((terms - low) / width, 0, _MAX_BANDS - 1).astype(np.int8)
    bands = []
    for number in range(_MAX_BANDS):
        rows = allowed & (band_numbers == number)
        band_terms = terms[rows]
        if len(band_terms):
            term_range = (float(band_terms.min()), float(band_terms.max()))
            bands.append(TermBand(rows, term_range, limit))
    return bands
