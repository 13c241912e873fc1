"""A fitted taste model and hold-out cases to ranks and first items, many cases at once.

The scores are those of `Scorer`: what settings are tuned by is what models are compared by.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from indexer.taste.blocks import TasteBlocks
from indexer.taste.cases import MAX_COMPARED_ITEMS, MAX_SCORES, HoldoutCases
from indexer.taste.catalogue_ranking import RankedCases, rank_in_tiles, select_first
from indexer.taste.model import TasteModel
from indexer.taste.prior import PickedPriorStats
from indexer.taste.scorer import Scorer, Scores
from indexer.taste.settings import TasteSettings
from indexer.taste.text_block import TextBlock


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
    scorer = Scorer(blocks, cases, repeats, hidden_rows)
    if len(meaning) > MAX_COMPARED_ITEMS:
        return rank_in_tiles(scorer, [settings], count)[0]
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], Scores]] = []
    for some in scorer.split(max(1, MAX_SCORES // max(len(meaning), 1))):

        def answer(
            block: slice, scores: Scores, scorer: Scorer = some
        ) -> tuple[NDArray[np.int64], NDArray[np.int64], Scores]:
            return (scorer.rank_block(block, scores), *select_first(scores, count))

        parts += some.map_blocks(settings, answer)
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
