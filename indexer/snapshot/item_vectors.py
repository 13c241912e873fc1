"""Raw vectors, ratings and a taste model to item vectors, computed when they are read.

An item vector has three blocks, whose widths are the snapshot's `Layout`: the meaning vector, the
taste model's target vector, and one number that is added to the item's score (the prior). Beside it
is the part of that number which has a reason of its own.
"""

import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.ann import Layout
from indexer.arrays import Vectors
from indexer.language import MeaningSpace
from indexer.taste import TasteModel

_PART_ROWS = 4_096
PRIOR_SCALE = 0.1  # score that the best rated item gains over the worst rated, at most


@dataclass(frozen=True, slots=True)
class CatalogueStats:
    """Facts that a build collects in one pass over the items.

    Attributes:
        rating_scale: Lowest and highest possible rating.
        language: "zh" or "en", the language of most titles.
        ratings: `(n,) float32` by row, NaN where an item has no rating.
        ids: `n` item ids by row.
    """

    rating_scale: tuple[float, float]
    language: str
    ratings: NDArray[np.float32]
    ids: list[str]

    @property
    def rating_prior(self) -> NDArray[np.float32]:
        """`(n,) float32`, what an item's score gains by its rating; 0 on average or unrated.

        The rating's share of the scale, minus the mean share, times `PRIOR_SCALE`.
        """
        low, high = self.rating_scale
        share = (self.ratings - low) / (high - low)
        known = ~np.isnan(share)
        centred = np.where(known, share - (share[known].mean() if known.any() else 0), 0)
        return (PRIOR_SCALE * centred).astype(np.float32)


@dataclass(frozen=True, slots=True)
class ItemPrior:
    """What is added to the score of every item.

    Attributes:
        total: `(n,) float32`.
        part: `(n,) float32`, of it what has a reason of its own: in a learned model, that an item
            arrived lately; else that it represents the catalogue, which counts only where nothing
            is known of the user.
    """

    total: NDArray[np.float32]
    part: NDArray[np.float32]


class BlockVectors:
    """Item vectors `(n, layout.dim) float32`, computed from raw vectors when rows are read."""

    def __init__(
        self,
        raw: NDArray[np.float16],
        space: MeaningSpace,
        layout: Layout,
        prior: ItemPrior,
        taste: TasteModel | None,
    ) -> None:
        """Prepare item vectors over `raw`, `(n, r) float16`, usually memory-mapped."""
        self._raw, self._space, self._layout, self._taste = raw, space, layout, taste
        self._prior = prior

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, layout.dim)`."""
        return len(self._raw), self._layout.dim

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Vectors:
        row_numbers = np.arange(*rows.indices(len(self._raw))) if isinstance(rows, slice) else rows
        out = np.zeros((len(row_numbers), self._layout.dim), np.float32)
        # In parts, since the mapping to meaning needs several arrays of the size of its input.
        for start in range(0, len(row_numbers), _PART_ROWS):
            part = slice(start, start + _PART_ROWS)
            self._fill_blocks(row_numbers[part], out[part])
        _release_pages(self._raw)
        return out

    def _fill_blocks(self, rows: NDArray[np.int64], out: Vectors) -> None:
        meaning_end = self._layout.meaning
        taste_end = meaning_end + self._layout.taste
        out[:, :meaning_end] = self._space.map_items(self._raw[rows].astype(np.float32))
        if self._taste is not None:
            out[:, meaning_end:taste_end] = self._taste.targets[rows]
        out[:, taste_end] = self._prior.total[rows]
        if self._layout.prior_part:
            out[:, self._layout.part_column] = self._prior.part[rows]


def _release_pages(raw: NDArray[np.float16]) -> None:
    """Unmap the pages that were read of a file.

    The system still caches them, but they no longer count as memory of this process.
    """
    mapping = getattr(raw, "_mmap", None)  # numpy has no public name for it
    if isinstance(mapping, mmap.mmap) and getattr(raw, "mode", "c") != "c":
        mapping.madvise(mmap.MADV_DONTNEED)
