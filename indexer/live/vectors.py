"""Raw vectors of items that a snapshot does not hold to full item vectors beside its own."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.index import Index
from indexer.metadata import Exists
from indexer.snapshot import PRIOR_SCALE

_SAMPLE_ROWS = 2_000
_RIDGE = 1e-3
_EPSILON = 1e-9


class LiveVectors:
    """Lays out meaning, taste and prior as the snapshot does.

    An item that replaces one of the snapshot keeps what was learned about it. A new one gets the
    taste block that the snapshot's own items suggest for its meaning, and the prior of an item that
    nobody has met.
    """

    def __init__(self, base: Index) -> None:
        self._base = base
        self._layout = base.manifest.layout

    def lay_out(
        self, raw: Vectors, items: Sequence[Mapping[str, Any]], rows: Sequence[int | None]
    ) -> Vectors:
        """Return `(m, d) float32` item vectors.

        Args:
            raw: `(m, r) float32`, of the snapshot's encoder.
            items: Their fields.
            rows: The row of the snapshot that each replaces; None: it is new.
        """
        layout = self._layout
        out = np.zeros((len(items), layout.dim), np.float32)
        known = [position for position, row in enumerate(rows) if row is not None]
        if known:
            out[known] = self._base.item_vectors(np.array([rows[p] for p in known], np.int64))
        out[:, : layout.meaning] = self._base.to_meaning_vectors(raw)
        new = [position for position, row in enumerate(rows) if row is None]
        if new and layout.taste:
            block = slice(layout.meaning, layout.meaning + layout.taste)
            out[new, block] = out[new, : layout.meaning] @ self._taste_from_meaning
        prior = layout.meaning + layout.taste
        if self._base.manifest.learned:
            out[new, prior] = self._cold_prior
        else:
            out[:, prior] = [self._compute_rated_prior(item.get("rating")) for item in items]
        return out

    def _compute_rated_prior(self, rating: Any) -> float:
        if not isinstance(rating, int | float) or self._mean_rating_share is None:
            return 0.0
        return PRIOR_SCALE * (self._scale_rating(float(rating)) - self._mean_rating_share)

    def _scale_rating(self, rating: float) -> float:
        low, high = self._base.manifest.rating_scale
        return (rating - low) / (high - low)

    @cached_property
    def _mean_rating_share(self) -> float | None:
        """The mean share of the scale that the build subtracted, read back from one rated row."""
        rated = np.flatnonzero(self._base.mask(Exists("rating")))
        for row in rated[:1].tolist():
            rating = self._base.items([row])[0]["rating"]
            gain = self._base.item_vectors(np.array([row]))[0, self._layout.meaning]
            return self._scale_rating(float(rating)) - float(gain) / PRIOR_SCALE
        return None

    @cached_property
    def _sample_vectors(self) -> Vectors:
        count = self._base.count
        rows = np.linspace(0, count - 1, min(count, _SAMPLE_ROWS)).astype(np.int64)
        return self._base.item_vectors(rows).astype(np.float32)

    @cached_property
    def _cold_prior(self) -> float:
        sample = self._sample_vectors[:, self._layout.meaning + self._layout.taste]
        return float(np.median(sample)) if len(sample) else 0.0

    @cached_property
    def _taste_from_meaning(self) -> NDArray[np.float32]:
        """`(meaning, taste) float32`: ridge regression over the snapshot's items."""
        width, taste = self._layout.meaning, self._layout.taste
        meaning = self._sample_vectors[:, :width].astype(np.float64)
        moments = meaning.T @ meaning
        moments[np.diag_indices(width)] += _RIDGE * np.trace(moments) / width + _EPSILON
        target = meaning.T @ self._sample_vectors[:, width : width + taste]
        return np.linalg.solve(moments, target).astype(np.float32)
