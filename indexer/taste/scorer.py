"""Fitted blocks and settings to the scores of hold-out cases, all cases of a window at once.

The arithmetic is that of a served request; a test checks that both give the same scores.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from indexer.taste.cases import HoldoutCases
from indexer.taste.context_directions import ContextDirections
from indexer.taste.history import (
    AFFINITY_SHRINKAGE,
    compute_entry_weights,
    compute_repeat_weights,
    compute_shrinkage_factor,
)
from indexer.taste.matrices import Matrix, build_matrix_from_coordinates
from indexer.taste.neighbours import Neighbours
from indexer.taste.prior import compute_picked_prior_stats, compute_prior
from indexer.taste.settings import PROFILE_SHARE, RECENT_VECTORS, TasteSettings
from indexer.taste.text_block import TextBlock

HIDDEN_SCORE = np.float32(-1e6)
_TINY = np.float32(1e-9)

Scores = NDArray[np.float32]


@dataclass(slots=True)
class TasteBlocks:
    """The blocks fitted on some events, not yet multiplied by learned weights.

    Attributes:
        meaning: `(n, d) float32`, unit length.
        neighbours: By half-life.
        text: By half-life.
        context_directions: Of every context word.
        pick_counts: `(n,)` decayed counts from `count_picks`, by half-life.
        is_warm: `(n,) bool`, whether the item has any event.
    """

    meaning: Scores
    neighbours: dict[float, Neighbours]
    text: dict[float, TextBlock]
    context_directions: ContextDirections
    pick_counts: dict[float, NDArray[np.float64]]
    is_warm: NDArray[np.bool_]

    def build_prior(self, settings: TasteSettings) -> Scores:
        """Return the prior `(n,) float32`, not yet multiplied by its weight."""
        counts = self.pick_counts[settings.prior_half_life]
        return compute_prior(counts, self.is_warm, cold_level=settings.cold_level)


@dataclass(slots=True)
class Scorer:
    """Scores all items for the cases of one window; keeps the latest parts of scores between calls.

    Attributes:
        blocks: Fitted on the events before the cases.
        cases: The hold-out cases.
        repeats: Whether items of the history may be recommended again.
    """

    blocks: TasteBlocks
    cases: HoldoutCases
    repeats: bool
    _part_cache: dict[tuple[object, ...], Scores] = field(default_factory=dict)

    def compute_ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
        """Return the rank of each target, `(c,)` from 1; ties count against it."""
        scores = self.compute_scores(settings)
        target_scores = scores[np.arange(len(self.cases)), self.cases.target]
        ranks: NDArray[np.int64] = (scores >= target_scores[:, None]).sum(axis=1)
        return ranks

    def compute_scores(self, settings: TasteSettings) -> Scores:
        """Return the scores `(c, n)`; items that may not be recommended have `HIDDEN_SCORE`."""
        base = (settings.met_weight, settings.context_gain)
        near = (settings.taste_reach, settings.taste_half_life, *base)
        meaning_key = ("meaning", settings.meaning_reach, settings.meaning_doubt, *base)
        total = self._weigh_part(settings.meaning_weight, meaning_key, settings)
        if settings.neighbour_weight:
            total += self._weigh_part(settings.neighbour_weight, ("neighbours", *near), settings)
        if settings.text_weight:
            total += self._weigh_part(settings.text_weight, ("text", *near), settings)
        if settings.prior_weight:
            total += self._compute_prior_scores(settings)
        if settings.context_weight:
            total += self._weigh_part(settings.context_weight, ("context",), settings)
        if settings.repeat_weight and self.repeats:
            repeat_key = ("repeat", settings.repeat_reach)
            total += self._weigh_part(settings.repeat_weight, repeat_key, settings)
        if not self.repeats:
            total[self.cases.entry_case, self.cases.history.row] = HIDDEN_SCORE
        return total

    def _weigh_part(
        self, weight: float, key: tuple[object, ...], settings: TasteSettings
    ) -> Scores:
        """Return a weight times a part of the scores.

        Args:
            weight: Of the part.
            key: Name of the part and the settings it depends on. The part is cached by it; of each
                name the last two are kept.
            settings: All settings.
        """
        if key not in self._part_cache:
            for other in [old for old in self._part_cache if old[0] == key[0]][:-1]:
                del self._part_cache[other]
            self._part_cache[key] = _PART_SCORERS[str(key[0])](self, settings)
        return np.float32(weight) * self._part_cache[key]

    def _compute_prior_scores(self, settings: TasteSettings) -> Scores:
        """Return weighted priors: `(n,)`, or `(c, n)` if their weight depends on the user."""
        prior = np.float32(settings.prior_weight) * self.blocks.build_prior(settings)
        if not settings.prior_lean:
            return prior
        history = self.cases.history
        picked_prior = compute_picked_prior_stats(
            prior, self.blocks.pick_counts[settings.prior_half_life]
        )
        weights = compute_entry_weights(history, settings.taste_reach, settings)
        popularity_affinity = self.sum_by_case(
            weights * picked_prior.compute_deviations(prior[history.row])
        )
        popularity_affinity /= self.sum_by_case(weights) + AFFINITY_SHRINKAGE
        scores: Scores = (1 + settings.prior_lean * popularity_affinity).astype(np.float32)[
            :, None
        ] * prior
        return scores

    def sum_by_case(self, values: Scores) -> NDArray[np.float64]:
        """Return the sums by case, `(c,)`, of values of the history entries, `(h,)`."""
        return np.bincount(self.cases.entry_case, values, minlength=len(self.cases)).astype(
            np.float64
        )

    def build_history_matrix(self, weights: Scores) -> Matrix:
        """Return the sparse sums by case and item, `(c, n)`, of entry weights `(h,)`."""
        shape = (len(self.cases), len(self.blocks.meaning))
        used = weights != 0
        case, row = self.cases.entry_case[used], self.cases.history.row[used]
        return build_matrix_from_coordinates(weights[used], case, row, shape)


def _score_meaning(scorer: Scorer, settings: TasteSettings) -> Scores:
    """Return the best similarity to the profile and to its mixes with each of the latest items."""
    meaning, cases = scorer.blocks.meaning, scorer.cases
    weights = compute_entry_weights(cases.history, settings.meaning_reach, settings)
    profiles = _normalize(scorer.build_history_matrix(weights) @ meaning)
    scores = profiles @ meaning.T
    used = np.flatnonzero(weights > 0)
    case = cases.entry_case[used]
    from_end = np.searchsorted(case, case, side="right") - 1 - np.arange(len(case))
    for position in range(RECENT_VECTORS):
        rows = used[from_end == position]
        at = cases.entry_case[rows]
        item = meaning[cases.history.row[rows]]
        vectors = _normalize(PROFILE_SHARE * profiles[at] + (1 - PROFILE_SHARE) * item)
        scores[at] = np.maximum(scores[at], vectors @ meaning.T)
    scores *= compute_shrinkage_factor(scorer.sum_by_case(weights), settings.meaning_doubt)[:, None]
    return scores


def _score_neighbours(scorer: Scorer, settings: TasteSettings) -> Scores:
    history = scorer.build_history_matrix(
        compute_entry_weights(scorer.cases.history, settings.taste_reach, settings)
    )
    neighbours = scorer.blocks.neighbours[settings.taste_half_life].to_matrix()
    scores: Scores = (history @ neighbours).toarray()
    return scores


def _score_text(scorer: Scorer, settings: TasteSettings) -> Scores:
    text = scorer.blocks.text[settings.taste_half_life]
    history = scorer.build_history_matrix(
        compute_entry_weights(scorer.cases.history, settings.taste_reach, settings)
    )
    scores: Scores = (history @ text.sources) @ text.targets.T
    return scores


def _score_repeats(scorer: Scorer, settings: TasteSettings) -> Scores:
    weights = compute_repeat_weights(scorer.cases.history, settings)
    scores: Scores = np.sqrt(scorer.build_history_matrix(weights).toarray())
    return scores


def _score_context(scorer: Scorer, _: TasteSettings) -> Scores:
    directions = scorer.blocks.context_directions.vectors
    # A row of zeros at the end, for the row -1 of words without a direction.
    padded = np.concatenate([directions, np.zeros((1, directions.shape[1]), np.float32)])
    scores: Scores = padded[scorer.cases.context_rows].sum(axis=1) @ scorer.blocks.meaning.T
    return scores


_PART_SCORERS = {
    "meaning": _score_meaning,
    "neighbours": _score_neighbours,
    "text": _score_text,
    "repeat": _score_repeats,
    "context": _score_context,
}


def _normalize(vectors: Scores) -> Scores:
    unit: Scores = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
    return unit
