"""Learned blocks and settings to scores of held-out cases, many at once.

The arithmetic is that of a served request; a test holds the two together.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from indexer.taste.cases import Cases
from indexer.taste.context_directions import Circumstances
from indexer.taste.history import LEAN_DOUBT, certainty, entry_weights, repeat_weights
from indexer.taste.matrices import Matrix, from_coordinates
from indexer.taste.neighbours import Neighbours
from indexer.taste.prior import prior_of, usual_of
from indexer.taste.settings import PROFILE_SHARE, RECENT_VECTORS, TasteSettings
from indexer.taste.text_block import TextTaste

HIDDEN = np.float32(-1e6)
_TINY = np.float32(1e-9)

Scores = NDArray[np.float32]


@dataclass(slots=True)
class Blocks:
    """What was fitted on a window.

    Attributes:
        meaning: `(n, d) float32`, unit length.
        neighbours: Unweighted, by half-life.
        text: Unweighted, by half-life.
        circumstances: Unweighted.
        picks: Decayed counts by half-life.
        warm: `(n,) bool`, items with any event.
    """

    meaning: Scores
    neighbours: dict[float, Neighbours]
    text: dict[float, TextTaste]
    circumstances: Circumstances
    picks: dict[float, NDArray[np.float64]]
    warm: NDArray[np.bool_]

    def prior(self, settings: TasteSettings) -> Scores:
        """`(n,) float32`, unweighted."""
        counts = self.picks[settings.prior_half_life]
        return prior_of(counts, self.warm, cold_level=settings.cold_level)


@dataclass(slots=True)
class Scorer:
    """Scores of all items for the cases of one window; parts are kept between calls.

    Attributes:
        blocks: What was fitted.
        cases: The questions.
        repeats: Whether items of the history may come again.
    """

    blocks: Blocks
    cases: Cases
    repeats: bool
    _parts: dict[tuple[object, ...], Scores] = field(default_factory=dict)

    def ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
        """`(c,)`, 1 is best; ties count against the target."""
        scores = self.scores(settings)
        found = scores[np.arange(len(self.cases)), self.cases.target]
        ranks: NDArray[np.int64] = (scores >= found[:, None]).sum(axis=1)
        return ranks

    def scores(self, settings: TasteSettings) -> Scores:
        """`(c, n)`; what may not be recommended is hidden."""
        base = (settings.met_weight, settings.context_gain)
        near = (settings.taste_reach, settings.taste_half_life, *base)
        total = self._part(
            ("meaning", settings.meaning_reach, settings.meaning_doubt, *base), settings
        )
        total = total * np.float32(settings.meaning_weight)
        if settings.neighbour_weight:
            part = self._part(("neighbours", *near), settings)
            total += np.float32(settings.neighbour_weight) * part
        if settings.text_weight:
            total += np.float32(settings.text_weight) * self._part(("text", *near), settings)
        if settings.prior_weight:
            total += self._prior_scores(settings)
        if settings.context_weight:
            total += np.float32(settings.context_weight) * self._part(("context",), settings)
        if settings.repeat_weight and self.repeats:
            part = self._part(("repeat", settings.repeat_reach), settings)
            total += np.float32(settings.repeat_weight) * part
        if not self.repeats:
            total[self.cases.case, self.cases.past.row] = HIDDEN
        return total

    def _part(self, key: tuple[object, ...], settings: TasteSettings) -> Scores:
        if key not in self._parts:
            for other in [old for old in self._parts if old[0] == key[0]][:-1]:
                del self._parts[other]
            self._parts[key] = _PARTS[str(key[0])](self, settings)
        return self._parts[key]

    def _prior_scores(self, settings: TasteSettings) -> Scores:
        """`(n,)`, or `(c, n)` where users lean."""
        prior = np.float32(settings.prior_weight) * self.blocks.prior(settings)
        if not settings.prior_lean:
            return prior
        past = self.cases.past
        usual = usual_of(prior, self.blocks.picks[settings.prior_half_life])
        weights = entry_weights(past, settings.taste_reach, settings)
        lean = self.per_case(weights * usual.deviations(prior[past.row]))
        lean /= self.per_case(weights) + LEAN_DOUBT
        scores: Scores = (1 + settings.prior_lean * lean).astype(np.float32)[:, None] * prior
        return scores

    def per_case(self, values: Scores) -> NDArray[np.float64]:
        """`(c,)`, values of the history entries summed by case."""
        return np.bincount(self.cases.case, values, minlength=len(self.cases)).astype(np.float64)

    def by_entry(self, weights: Scores) -> Matrix:
        """`(c, n)`, entry weights summed by case and item."""
        shape = (len(self.cases), len(self.blocks.meaning))
        used = weights != 0
        case, row = self.cases.case[used], self.cases.past.row[used]
        return from_coordinates(weights[used], case, row, shape)


def _meaning_scores(scorer: Scorer, settings: TasteSettings) -> Scores:
    """Best of the whole profile and of each of the latest entries beside it."""
    meaning, cases = scorer.blocks.meaning, scorer.cases
    weights = entry_weights(cases.past, settings.meaning_reach, settings)
    whole = _unit(scorer.by_entry(weights) @ meaning)
    scores = whole @ meaning.T
    used = np.flatnonzero(weights > 0)
    case = cases.case[used]
    from_end = np.searchsorted(case, case, side="right") - 1 - np.arange(len(case))
    for place in range(RECENT_VECTORS):
        rows = used[from_end == place]
        at = cases.case[rows]
        item = meaning[cases.past.row[rows]]
        vectors = _unit(PROFILE_SHARE * whole[at] + (1 - PROFILE_SHARE) * item)
        scores[at] = np.maximum(scores[at], vectors @ meaning.T)
    scores *= certainty(scorer.per_case(weights), settings.meaning_doubt)[:, None]
    return scores


def _neighbour_scores(scorer: Scorer, settings: TasteSettings) -> Scores:
    history = scorer.by_entry(entry_weights(scorer.cases.past, settings.taste_reach, settings))
    dense: Scores = (
        history @ scorer.blocks.neighbours[settings.taste_half_life].matrix()
    ).toarray()
    return dense


def _text_scores(scorer: Scorer, settings: TasteSettings) -> Scores:
    text = scorer.blocks.text[settings.taste_half_life]
    history = scorer.by_entry(entry_weights(scorer.cases.past, settings.taste_reach, settings))
    scores: Scores = (history @ text.sources) @ text.targets.T
    return scores


def _repeat_scores(scorer: Scorer, settings: TasteSettings) -> Scores:
    own: Scores = np.sqrt(scorer.by_entry(repeat_weights(scorer.cases.past, settings)).toarray())
    return own


def _context_scores(scorer: Scorer, _: TasteSettings) -> Scores:
    known = scorer.blocks.circumstances.vectors
    padded = np.concatenate([known, np.zeros((1, known.shape[1]), np.float32)])
    scores: Scores = padded[scorer.cases.now].sum(axis=1) @ scorer.blocks.meaning.T
    return scores


_PARTS = {
    "meaning": _meaning_scores,
    "neighbours": _neighbour_scores,
    "text": _text_scores,
    "repeat": _repeat_scores,
    "context": _context_scores,
}


def _unit(vectors: Scores) -> Scores:
    unit: Scores = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
    return unit
