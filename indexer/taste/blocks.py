"""Events to the blocks of a taste model: what is fitted in closed form, before any weight."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from indexer.taste.cases import MAX_COMPARED_ITEMS
from indexer.taste.context_directions import ContextDirections
from indexer.taste.neighbours import Neighbours
from indexer.taste.prior import PickedPriorStats, compute_picked_prior_stats, compute_prior
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
        is_warm: `(n,) bool`, whether the item has any event.
    """

    meaning: Floats
    neighbours: dict[float, Neighbours]
    context_directions: ContextDirections
    pick_counts: dict[float, NDArray[np.float64]]
    is_warm: NDArray[np.bool_]
    _priors: dict[tuple[float, float], tuple[Floats, PickedPriorStats]] = field(
        default_factory=dict
    )
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
        key = settings.prior_half_life, settings.cold_level
        if key not in self._priors:
            counts = self.pick_counts[settings.prior_half_life]
            prior = compute_prior(counts, self.is_warm, cold_level=settings.cold_level)
            self._priors[key] = prior, compute_picked_prior_stats(prior, counts)
        prior, stats = self._priors[key]
        weight = settings.prior_weight
        return prior * np.float32(weight), stats.scale_by(weight)
