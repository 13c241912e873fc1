"""Learned blocks and settings to scores of held-out cases, many at once.

The arithmetic is that of a served request; a test holds the two together.
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
from indexer.taste.matrices import Matrix, matrix_from_coordinates
from indexer.taste.neighbours import Neighbours
from indexer.taste.prior import compute_picked_prior_stats, compute_prior
from indexer.taste.settings import PROFILE_SHARE, RECENT_VECTORS, TasteSettings
from indexer.taste.text_block import TextBlock

HIDDEN_SCORE = np.float32(-1e6)
_TINY = np.float32(1e-9)

Scores = NDArray[np.float32]


@dataclass(slots=True)
class TasteBlocks:
    """What was fitted on a window.

    Attributes:
        meaning: `(n, d) float32`, unit length.
        neighbours: Unweighted, by half-life.
        text: Unweighted, by half-life.
        context_directions: Unweighted.
        pick_counts: Decayed counts by half-life.
        is_warm: `(n,) bool`, items with any event.
    """

    meaning: Scores
    neighbours: dict[float, Neighbours]
    text: dict[float, TextBlock]
    context_directions: ContextDirections
    pick_counts: dict[float, NDArray[np.float64]]
    is_warm: NDArray[np.bool_]

    def build_prior(self, settings: TasteSettings) -> Scores:
        """`(n,) float32`, unweighted."""
        counts = self.pick_counts[settings.prior_half_life]
        return compute_prior(counts, self.is_warm, cold_level=settings.cold_level)


@dataclass(slots=True)
class Scorer:
    """Scores of all items for the cases of one window; parts are kept between calls.

    Attributes:
        blocks: What was fitted.
        cases: The questions.
        repeats: Whether items of the history may come again.
    """

    blocks: TasteBlocks
    cases: HoldoutCases
    repeats: bool
    _part_cache: dict[tuple[object, ...], Scores] = field(default_factory=dict)

    def compute_ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
        """`(c,)`, 1 is best; ties count against the target."""
        scores = self.compute_scores(settings)
        found = scores[np.arange(len(self.cases)), self.cases.target]
        ranks: NDArray[np.int64] = (scores >= found[:, None]).sum(axis=1)
        return ranks

    def compute_scores(self, settings: TasteSettings) -> Scores:
        """`(c, n)`; what may not be recommended is hidden."""
        base = (settings.met_weight, settings.context_gain)
        near = (settings.taste_reach, settings.taste_half_life, *base)
        total = self._compute_part(
            ("meaning", settings.meaning_reach, settings.meaning_doubt, *base), settings
        )
        total = total * np.float32(settings.meaning_weight)
        if settings.neighbour_weight:
            part = self._compute_part(("neighbours", *near), settings)
            total += np.float32(settings.neighbour_weight) * part
        if settings.text_weight:
            total += np.float32(settings.text_weight) * self._compute_part(
                ("text", *near), settings
            )
        if settings.prior_weight:
            total += self._compute_prior_scores(settings)
        if settings.context_weight:
            total += np.float32(settings.context_weight) * self._compute_part(
                ("context",), settings
            )
        if settings.repeat_weight and self.repeats:
            part = self._compute_part(("repeat", settings.repeat_reach), settings)
            total += np.float32(settings.repeat_weight) * part
        if not self.repeats:
            total[self.cases.entry_case, self.cases.history.row] = HIDDEN_SCORE
        return total

    def _compute_part(self, key: tuple[object, ...], settings: TasteSettings) -> Scores:
        if key not in self._part_cache:
            for other in [old for old in self._part_cache if old[0] == key[0]][:-1]:
                del self._part_cache[other]
            self._part_cache[key] = _PART_SCORERS[str(key[0])](self, settings)
        return self._part_cache[key]

    def _compute_prior_scores(self, settings: TasteSettings) -> Scores:
        """`(n,)`, or `(c, n)` where users lean."""
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
        """`(c,)`, values of the history entries summed by case."""
        return np.bincount(self.cases.entry_case, values, minlength=len(self.cases)).astype(
            np.float64
        )

    def build_history_matrix(self, weights: Scores) -> Matrix:
        """`(c, n)`, entry weights summed by case and item."""
        shape = (len(self.cases), len(self.blocks.meaning))
        used = weights != 0
        case, row = self.cases.entry_case[used], self.cases.history.row[used]
        return matrix_from_coordinates(weights[used], case, row, shape)


def _score_meaning(scorer: Scorer, settings: TasteSettings) -> Scores:
    """Best of the whole profile and of each of the latest entries beside it."""
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
    dense: Scores = (
        history @ scorer.blocks.neighbours[settings.taste_half_life].to_matrix()
    ).toarray()
    return dense


def _score_text(scorer: Scorer, settings: TasteSettings) -> Scores:
    text = scorer.blocks.text[settings.taste_half_life]
    history = scorer.build_history_matrix(
        compute_entry_weights(scorer.cases.history, settings.taste_reach, settings)
    )
    scores: Scores = (history @ text.sources) @ text.targets.T
    return scores


def _score_repeats(scorer: Scorer, settings: TasteSettings) -> Scores:
    own: Scores = np.sqrt(
        scorer.build_history_matrix(
            compute_repeat_weights(scorer.cases.history, settings)
        ).toarray()
    )
    return own


def _score_context(scorer: Scorer, _: TasteSettings) -> Scores:
    known = scorer.blocks.context_directions.vectors
    padded = np.concatenate([known, np.zeros((1, known.shape[1]), np.float32)])
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
