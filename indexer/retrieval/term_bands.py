"""Rows with different gains to bands of about the same gain, each searched as far as it must be.

An unseen row of a band scores at most the last inner product found there plus the band's largest
gain, so a band is done when that is below the worst score that is still wanted.
"""

from typing import Protocol

import numpy as np

from indexer.ann import TopRows
from indexer.arrays import Mask, Rows, Vectors

_MAX_BANDS = 8
_TIE_TOLERANCE = 2e-6  # scores closer than this may be ties, which ids decide


class VectorSearcher(Protocol):
    """Where rows are searched."""

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        """Find the allowed rows with the highest inner product for each vector."""
        ...


class TermBand:
    """Rows that gain about the same, and how far they have been searched.

    Args:
        allowed: `(n,) bool`, its rows.
        gains: The smallest and the largest of them.
        want: How many of the best are wanted over all bands.
    """

    def __init__(self, allowed: Mask, gains: tuple[float, float], limit: int) -> None:
        self._allowed = allowed
        self._count = int(np.count_nonzero(allowed))
        self._min_gain, self._max_gain = gains
        self._depth = min(limit, self._count)
        self._product_bound = np.inf
        self._found: Rows | None = None

    def search(self, source: VectorSearcher, vectors: Vectors) -> Rows:
        """Return the rows found so far, ascending."""
        if self._found is None:
            hits = source.find_nearest(vectors, self._depth, self._allowed)
            self._found = np.unique(np.concatenate([found.rows for found in hits]))
            self._product_bound = max(float(found.scores[-1]) for found in hits)
        return self._found

    def may_hide(self, threshold: float) -> bool:
        """Return whether a row that was not found could score `threshold` or more."""
        if self._depth == self._count or (self._min_gain == self._max_gain and threshold > -np.inf):
            return False
        return self._product_bound + self._max_gain >= threshold - _TIE_TOLERANCE

    def widen(self) -> None:
        """Search four times as far."""
        self._depth = min(4 * self._depth, self._count)
        self._found = None


def build_bands(gains: Vectors, allowed: Mask, limit: int) -> list[TermBand]:
    """Cut the allowed rows into bands by what they gain, `(n,) float32`."""
    allowed_gains = gains[allowed]
    if limit < 1 or not len(allowed_gains):
        return []
    low, high = float(allowed_gains.min()), float(allowed_gains.max())
    width = max((high - low) / _MAX_BANDS, _TIE_TOLERANCE)
    band_numbers = np.clip((gains - low) / width, 0, _MAX_BANDS - 1)
    band_numbers = band_numbers.astype(np.int8)
    bands = []
    for number in range(_MAX_BANDS):
        rows = allowed & (band_numbers == number)
        band_gains = gains[rows]
        if len(band_gains):
            bands.append(TermBand(rows, (float(band_gains.min()), float(band_gains.max())), limit))
    return bands
