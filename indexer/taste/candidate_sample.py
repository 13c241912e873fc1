"""Items to a weighted sample of them, and what is above a target in it to the target's rank. Pure.

A rank among a million items needs a million scores for each case and each setting that is tried. A
rank among some of them, each counted as one, makes every method look better and may even change
which of two is the better one (Krichene & Rendle 2020, "On sampled metrics for item
recommendation"). So the items that can be near the top are compared for certain, and only the
others are sampled, each standing for as many as were not drawn (Horvitz & Thompson 1952): the mean
of the estimated rank over all draws is the exact rank.

The mean of what is computed from it, such as NDCG, is not: it counts most what is first, and an
item above the target that is not compared for certain is missed by most draws. Only if all that
comes before the target is compared for certain is the rank exact. What settings put first must
therefore be so compared before they are believed, and what is reported of them be ranked among all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.taste.matrices import Matrix

DRAWN_SHARE = 1 / 8  # of a sample; the other items in it are chosen

ABSENT = -1


@dataclass(frozen=True, slots=True)
class CandidateSample:
    """The `s` items that targets are compared with, in place of all `n`.

    Attributes:
        rows: `(s,) int64`, those compared for certain first, then those drawn from all others.
        certain_count: How many are compared for certain; each stands for itself.
        drawn_weight: How many items each of the drawn ones stands for, at least 1.
        columns: `(n,) int32`, position of each item in `rows`, or `ABSENT`.
        meaning: `(s, d) float32`, meaning vectors of the rows.
        span: The same rows where they are neighbours; a slice is many times as fast.
    """

    rows: Rows
    certain_count: int
    drawn_weight: float
    columns: NDArray[np.int32]
    meaning: Vectors
    span: slice | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def summarise(self) -> dict[str, float]:
        """Return how many items targets are compared with, for `report.json`."""
        return {
            "items": len(self),
            "of": len(self.columns),
            "for_certain": self.certain_count,
            "drawn": len(self) - self.certain_count,
            "each_drawn_stands_for": round(self.drawn_weight, 2),
        }

    @property
    def places(self) -> Rows | slice:
        """What takes the items of the sample from an array of all."""
        return self.rows if self.span is None else self.span

    def select_columns(self, matrix: Matrix) -> Matrix:
        """Return the columns `(c, s)` of a sparse matrix `(c, n)`."""
        return matrix[:, self.places]

    def estimate_ranks(self, is_above: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the estimated rank of each case's target, `(c,)` from 1.

        Args:
            is_above: `(c, s)`, whether an item scores as high as the target; the target itself
                does, and is compared for certain.
        """
        certain = np.count_nonzero(is_above[:, : self.certain_count], axis=1)
        drawn = np.count_nonzero(is_above[:, self.certain_count :], axis=1)
        ranks: NDArray[np.int64] = certain + np.rint(drawn * self.drawn_weight).astype(np.int64)
        return ranks


def draw_sample(
    meaning: Vectors, required: Rows, preferred: Rows, *, size: int, rng: np.random.Generator
) -> CandidateSample:
    """Take the first items for certain, and draw from the others.

    Args:
        meaning: `(n, d) float32`, of all items.
        required: Rows that are compared for certain, however many they are.
        preferred: More of them, the most important first, as far as there is room; rows may come
            several times.
        size: Items of the sample; it is larger only if too many are required.
        rng: Of the random draw.
    """
    drawn_count = max(1, int(size * DRAWN_SHARE))
    required = _drop_repeated(required)
    chosen = _drop_repeated(np.concatenate([required, preferred]))
    chosen = chosen[: max(len(required), size - drawn_count)]
    is_other = np.ones(len(meaning), bool)
    is_other[chosen] = False
    others = np.flatnonzero(is_other)
    drawn_count = min(max(drawn_count, size - len(chosen)), len(others))
    drawn = np.sort(rng.choice(others, drawn_count, replace=False))
    rows = np.concatenate([chosen, drawn])
    columns = np.full(len(meaning), ABSENT, np.int32)
    columns[rows] = np.arange(len(rows))
    weight = len(others) / drawn_count if drawn_count else 1.0
    return CandidateSample(rows, len(chosen), weight, columns, meaning[rows])


def alternate(one: Rows, other: Rows) -> Rows:
    """Return both rows in turn, each in its order; when one ends the other goes on."""
    places = np.concatenate([2 * np.arange(len(one)), 2 * np.arange(len(other)) + 1])
    mixed: Rows = np.concatenate([one, other])[np.argsort(places, kind="stable")]
    return mixed


def _drop_repeated(rows: Rows) -> Rows:
    """Return the rows in their order, each at its first place only."""
    _, first = np.unique(rows, return_index=True)
    return rows[np.sort(first)]
