"""Raw vectors, ratings and what was learned to item vectors, laid out when asked for."""

import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.ann import Layout
from indexer.arrays import Vectors
from indexer.language import MeaningSpace
from indexer.taste import TasteModel

_PART_ROWS = 4_096
PRIOR_SCALE = 0.1  # the best rated item gains this much over the worst, at most


@dataclass(frozen=True, slots=True)
class CatalogueStats:
    """What one pass over the items tells of the catalogue.

    Attributes:
        rating_scale: Lowest and highest possible rating.
        language: "zh" or "en".
        ratings: `(n,) float32`, NaN where there is none.
        ids: By row.
    """

    rating_scale: tuple[float, float]
    language: str
    ratings: NDArray[np.float32]
    ids: list[str]

    @property
    def rating_prior(self) -> NDArray[np.float32]:
        """`(n,) float32`: how much better rated than the average item; 0 without a rating."""
        low, high = self.rating_scale
        share = (self.ratings - low) / (high - low)
        known = ~np.isnan(share)
        centred = np.where(known, share - (share[known].mean() if known.any() else 0), 0)
        return (PRIOR_SCALE * centred).astype(np.float32)


def _release_pages(raw: NDArray[np.float16]) -> None:
    """Unmap what was read of a file: the system still caches it, but it is no memory of ours."""
    mapping = getattr(raw, "_mmap", None)  # numpy has no other name for it
    if isinstance(mapping, mmap.mmap) and getattr(raw, "mode", "c") != "c":
        mapping.madvise(mmap.MADV_DONTNEED)


class BlockVectors:
    """Item vectors laid out when asked for, `(n, layout.dim) float32`: meaning, taste, prior, 0."""

    def __init__(
        self,
        raw: NDArray[np.float16],
        space: MeaningSpace,
        layout: Layout,
        stats: CatalogueStats,
        taste: TasteModel | None,
    ) -> None:
        self._raw, self._space, self._layout, self._taste = raw, space, layout, taste
        learned = taste is not None and taste.prior.any()
        self._prior = taste.prior if taste is not None and learned else stats.rating_prior

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, layout.dim)`."""
        return len(self._raw), self._layout.dim

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Vectors:
        row_numbers = np.arange(*rows.indices(len(self._raw))) if isinstance(rows, slice) else rows
        out = np.zeros((len(row_numbers), self._layout.dim), np.float32)
        # In parts, since what is mapped passes through several arrays of its size.
        for start in range(0, len(row_numbers), _PART_ROWS):
            part = slice(start, start + _PART_ROWS)
            self._lay_out(row_numbers[part], out[part])
        _release_pages(self._raw)
        return out

    def _lay_out(self, rows: NDArray[np.int64], out: Vectors) -> None:
        meaning, taste = self._layout.meaning, self._layout.meaning + self._layout.taste
        out[:, :meaning] = self._space.map_items(self._raw[rows].astype(np.float32))
        if self._taste is not None:
            out[:, meaning:taste] = self._taste.targets[rows]
        out[:, taste] = self._prior[rows]
