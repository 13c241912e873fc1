"""A fitted taste model and hold-out cases to ranks and first items, many cases at once.

The scores are those of `Scorer`: what settings are tuned by is what models are compared by.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from indexer.taste.blocks import TasteBlocks
from indexer.taste.cases import HoldoutCases
from indexer.taste.model import TasteModel
from indexer.taste.prior import PickedPriorStats
from indexer.taste.scorer import HIDDEN_SCORE, Scorer, Scores
from indexer.taste.settings import TasteSettings
from indexer.taste.text_block import TextBlock


@dataclass(frozen=True, slots=True)
class RankedCases:
    """What a model answers to `c` cases.

    Attributes:
        ranks: `(c,) int64`, of the targets, from 1; ties count against them.
        rows: `(c, k) int64`, the first items, best first; of equal scores among them the lower
            row, which of those that tie with the last are among them is not defined.
        scores: `(c, k) float32`, their scores; NaN where fewer may be recommended.
    """

    ranks: NDArray[np.int64]
    rows: NDArray[np.int64]
    scores: Scores


@dataclass(slots=True)
class _FoldedBlocks(TasteBlocks):
    """The blocks of a model, which are multiplied by their weights already."""

    prior: Scores = field(default_factory=lambda: np.zeros(0, np.float32))
    picked_prior_stats: PickedPriorStats = field(default_factory=PickedPriorStats)

    @override
    def weigh_prior(self, settings: TasteSettings) -> tuple[Scores, PickedPriorStats]:
        """Return the prior of the model, and its statistics over picks."""
        return self.prior * np.float32(settings.prior_weight), self.picked_prior_stats


def rank_cases(
    model: TasteModel,
    meaning: Scores,
    cases: HoldoutCases,
    *,
    repeats: bool,
    hidden_rows: NDArray[np.int64],
    count: int,
) -> RankedCases:
    """Score all items for all cases, and return the ranks of the targets and the first items.

    Args:
        model: A fitted model of `n` items.
        meaning: `(n, d) float32`, of unit length.
        cases: Their context rows are those of the model's context directions.
        repeats: Whether items of the history may be recommended again.
        hidden_rows: Items that are never recommended.
        count: How many first items are returned.
    """
    blocks, settings = _unfold(model, meaning)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], Scores]] = []
    for scorer in Scorer(blocks, cases, repeats, hidden_rows).split():

        def answer(
            block: slice, scores: Scores, scorer: Scorer = scorer
        ) -> tuple[NDArray[np.int64], NDArray[np.int64], Scores]:
            return (scorer.rank_block(block, scores), *select_first(scores, count))

        parts += scorer.map_blocks(settings, answer)
    ranks, rows, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    return RankedCases(ranks, rows, scores)


def _unfold(model: TasteModel, meaning: Scores) -> tuple[TasteBlocks, TasteSettings]:
    """Return the blocks of a model, and its settings with weights of 1 for those it uses."""
    settings = model.settings
    half_life = settings.taste_half_life
    blocks = _FoldedBlocks(
        meaning=meaning,
        neighbours={half_life: model.neighbours},
        context_directions=model.context_directions,
        pick_counts={},
        is_warm=np.zeros(0, bool),
        _text={half_life: TextBlock(model.sources, model.targets)},
        prior=model.prior,
        picked_prior_stats=model.picked_prior_stats,
    )
    weights = {
        "neighbour_weight": float(len(model.neighbours.values) > 0),
        "text_weight": float(model.targets.shape[1] > 0),
        "prior_weight": float(model.prior.any()),
        "context_weight": float(model.context_directions.vectors.any()),
    }
    return blocks, replace(settings, **weights)  # type: ignore[arg-type]  # all are floats


def select_first(scores: Scores, count: int) -> tuple[NDArray[np.int64], Scores]:
    """Return the rows and scores of the largest scores `(c, n)` of each case, best first.

    Of equal scores the lower row comes first; the score is NaN where fewer may be recommended.
    """
    cases = np.arange(len(scores))[:, None]
    k = min(count, scores.shape[1])
    near = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-scores[cases, near], axis=1, kind="stable")
    rows = near[cases, order]
    first = scores[cases, rows]
    return rows, np.where(first > HIDDEN_SCORE, first, np.float32(np.nan))
