"""Events to the blocks of a taste model: what is fitted in closed form, before any weight."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from indexer.taste.cases import MAX_COMPARED_ITEMS
from indexer.taste.context_directions import ContextDirections
from indexer.taste.neighbours import Neighbours
from indexer.taste.prior import (
    PickedPriorStats,
    compute_picked_prior_stats,
    compute_prior,
    estimate_early_picks,
    lend_picks,
)
from indexer.taste.settings import TasteSettings
from indexer.taste.text_block import TextBlock, TextFactors, fit_text_block, fit_text_factors

Floats = NDArray[np.float32]


@dataclass(slots=True)
class TasteBlocks:
    """The blocks fitted on some events, not yet multiplied by learned weights.

    Attributes:
        meaning: `(n, d) float32`, unit length.
        neighbours: By half-life.
        context_directions: Of every context word.
        pick_counts: `(n,)` decayed counts from `count_picks`, by half-life.
        arrival_ages: `(n,) float32`, see `Events`.
    """

    meaning: Floats
    neighbours: dict[float, Neighbours]
    context_directions: ContextDirections
    pick_counts: dict[float, NDArray[np.float64]]
    arrival_ages: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    _priors: dict[float, tuple[Floats, PickedPriorStats]] = field(default_factory=dict)
    _text: dict[float, TextBlock] = field(default_factory=dict)
    _text_factors: dict[float, TextFactors] = field(default_factory=dict)

    def keeps_text_vectors(self, half_life: float) -> bool:
        """Return whether the text block of a half-life is, or may be, kept for all items."""
        return half_life in self._text or len(self.meaning) <= MAX_COMPARED_ITEMS

    def find_text_factors(self, half_life: float) -> TextFactors:
        """Return the factors of a text block, which take no memory to speak of."""
        if half_life not in self._text_factors:
            factors = fit_text_factors(self.neighbours[half_life], self.meaning)
            self._text_factors[half_life] = factors
        return self._text_factors[half_life]

    def find_text(self, half_life: float) -> TextBlock:
        """Return the text block of a half-life; it is fitted when it is first asked for."""
        if half_life not in self._text:
            self._text[half_life] = fit_text_block(self.neighbours[half_life], self.meaning)
        return self._text[half_life]

    def weigh_prior(self, settings: TasteSettings) -> tuple[Floats, PickedPriorStats]:
        """Return the prior `(n,) float32` times its weight, and its statistics over picks."""
        half_life = settings.prior_half_life
        if half_life not in self._priors:
            counts = self.pick_counts[half_life]
            prior = compute_prior(counts, lend_picks(counts, self.arrival_ages))
            self._priors[half_life] = prior, compute_picked_prior_stats(prior, counts)
        prior, stats = self._priors[half_life]
        weight = settings.prior_weight
        return prior * np.float32(weight), stats.scale_by(weight)

    def weigh_newness(self, settings: TasteSettings) -> tuple[Floats, float]:
        """Return which part of the weighed prior items have for being new, and that of an arrival.

        Returns:
            The part, `(n,) float32`, and what an item has that arrives now.
        """
        counts = self.pick_counts[settings.prior_half_life]
        prior, _ = self.weigh_prior(settings)
        weight = np.float32(settings.prior_weight)
        part = prior - weight * np.log1p(counts).astype(np.float32)
        part[lend_picks(counts, self.arrival_ages) == 0] = 0.0  # and not what rounding leaves
        arrival = weight * np.log1p(estimate_early_picks(counts, self.arrival_ages))
        return part, float(arrival)
