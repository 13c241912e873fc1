"""Raw vectors of live items to item vectors with all blocks of a snapshot's layout."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.index import Index
from indexer.metadata import Exists
from indexer.snapshot import PRIOR_SCALE

_SAMPLE_ROWS = 2_000  # of the snapshot, from which the taste block is estimated
_RIDGE = 1e-3  # of the mean diagonal of the Gram matrix
_EPSILON = 1e-9


class LiveVectors:
    """Builds the meaning, taste and prior blocks of live items.

    An item that replaces one of the snapshot keeps its taste and prior blocks. A new item gets the
    taste block that ridge regression on the snapshot's items predicts from its meaning, and the
    prior of what arrives.
    """

    def __init__(self, base: Index) -> None:
        self._base = base
        self._layout = base.manifest.layout

    def build(
        self, raw: Vectors, items: Sequence[Mapping[str, Any]], rows: Sequence[int | None]
    ) -> Vectors:
        """Return `(m, d) float32` item vectors.

        Args:
            raw: `(m, r) float32`, as the snapshot's encoder gives them.
            items: The fields of the m items.
            rows: The row of the snapshot that each item replaces; None for a new item.
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
        taste = self._base.taste
        if taste is not None and taste.has_prior:
            out[new, layout.prior_column] = taste.arrival_prior
            if layout.prior_part:
                out[new, layout.part_column] = taste.arrival_prior
        else:
            rated = [self._compute_rated_prior(item.get("rating")) for item in items]
            out[:, layout.prior_column] = rated
            if layout.prior_part:
                out[:, layout.prior_column] += out[:, layout.part_column]
        return out

    def _compute_rated_prior(self, rating: Any) -> float:
        """The prior of an item without interactions: its rating against the catalogue's mean."""
        if not isinstance(rating, int | float) or self._mean_rating_share is None:
            return 0.0
        return PRIOR_SCALE * (self._scale_rating(float(rating)) - self._mean_rating_share)

    def _scale_rating(self, rating: float) -> float:
        low, high = self._base.manifest.rating_scale
        return (rating - low) / (high - low)

    @cached_property
    def _mean_rating_share(self) -> float | None:
        """The mean rating on a scale from 0 to 1, recovered from the prior of one rated row."""
        rated = np.flatnonzero(self._base.mask(Exists("rating")))
        for row in rated[:1].tolist():
            rating = self._base.items([row])[0]["rating"]
            vector, layout = self._base.item_vectors(np.array([row]))[0], self._layout
            prior = float(vector[layout.prior_column])
            if layout.prior_part:
                prior -= float(vector[layout.part_column])
            return self._scale_rating(float(rating)) - prior / PRIOR_SCALE
        return None

    @cached_property
    def _sample_vectors(self) -> Vectors:
        count = self._base.count
        rows = np.linspace(0, count - 1, min(count, _SAMPLE_ROWS)).astype(np.int64)
        return self._base.item_vectors(rows).astype(np.float32)

    @cached_property
    def _taste_from_meaning(self) -> NDArray[np.float32]:
        """`(meaning, taste) float32`, fitted by ridge regression to a sample of the snapshot."""
        width, taste = self._layout.meaning, self._layout.taste
        meaning = self._sample_vectors[:, :width].astype(np.float64)
        gram = meaning.T @ meaning
        gram[np.diag_indices(width)] += _RIDGE * np.trace(gram) / width + _EPSILON
        target = meaning.T @ self._sample_vectors[:, width : width + taste]
        return np.linalg.solve(gram, target).astype(np.float32)
