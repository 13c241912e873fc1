"""A scorer to the ranks of its targets among all items, a few cases and a few items at a time.

What is in memory at once does not grow with the catalogue, and the vectors of some items are read
once for many cases, which is several times as fast as all vectors for a few cases.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.taste.candidate_sample import ABSENT, CandidateSample, draw_sample
from indexer.taste.cases import MAX_COMPARED_ITEMS, MAX_LARGE_SCORES
from indexer.taste.scorer import HIDDEN_SCORE, Scorer, Scores
from indexer.taste.settings import TasteSettings

# Sums of the same numbers in matrices of other shapes differ in their last bits, by up to about ten
# roundings of 6e-8, and so would copies of an item in other tiles than its own.
TIE_TOLERANCE = np.float32(1e-6)  # times the score, or the best one of the tile if it is larger


@dataclass(frozen=True, slots=True)
class RankedCases:
    """What some settings answer to `c` cases.

    Attributes:
        ranks: `(c,) int64`, of the targets, from 1; ties count against them, and in tiles also what
            is lower by `TIE_TOLERANCE` or less.
        rows: `(c, k) int64`, the first items, best first; of equal scores among them the lower
            row, which of those that tie with the last are among them is not defined.
        scores: `(c, k) float32`, their scores; NaN where fewer may be recommended.
    """

    ranks: NDArray[np.int64]
    rows: Rows
    scores: Scores


def compute_ranks(scorer: Scorer, settings: TasteSettings) -> NDArray[np.int64]:
    """Return the rank of each target, `(c,)`, without ever holding all scores of a large catalogue.

    With a sample it is estimated.
    """
    return compute_ranks_by_each(scorer, [settings])[0]


def compute_ranks_by_each(
    scorer: Scorer, trials: Sequence[TasteSettings]
) -> list[NDArray[np.int64]]:
    """Return the ranks `(c,)` by each of some settings, see `compute_ranks`.

    In a large catalogue without a sample this takes less time than one after the other.
    """
    if scorer.width <= MAX_COMPARED_ITEMS or not trials:
        return [scorer.compute_ranks(settings) for settings in trials]
    return [ranked.ranks for ranked in rank_in_tiles(scorer, trials, 1)]


def rank_in_tiles(scorer: Scorer, trials: Sequence[TasteSettings], count: int) -> list[RankedCases]:
    """Rank the targets among all items by each of some settings, which share what they can.

    Args:
        scorer: Its cases and blocks; what it scores is left open.
        trials: The settings.
        count: How many first items of each case are returned.
    """
    tiles = list(_build_tiles(scorer.blocks.meaning))
    size = max(1, MAX_LARGE_SCORES // MAX_COMPARED_ITEMS)
    parts = [_rank_cases(part, tiles, trials, count) for part in scorer.split(size)]
    return [_join_cases(of_settings) for of_settings in zip(*parts, strict=True)]


def select_first(scores: Scores, count: int) -> tuple[Rows, Scores]:
    """Return the columns and scores of the largest scores `(c, n)` of each case, best first.

    Of equal scores the lower column comes first; the score is NaN where fewer may be recommended.
    """
    cases = np.arange(len(scores))[:, None]
    k = min(count, scores.shape[1])
    near = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-scores[cases, near], axis=1, kind="stable")
    columns = near[cases, order]
    first = scores[cases, columns]
    return columns, np.where(first > HIDDEN_SCORE, first, np.float32(np.nan))


def _build_tiles(meaning: Vectors) -> Iterator[CandidateSample]:
    """Yield neighbouring items, all for certain, as many as a sample may hold."""
    for start in range(0, len(meaning), MAX_COMPARED_ITEMS):
        span = slice(start, min(start + MAX_COMPARED_ITEMS, len(meaning)))
        rows = np.arange(span.start, span.stop)
        columns = np.full(len(meaning), ABSENT, np.int32)
        columns[span] = rows - start
        yield CandidateSample(rows, len(rows), 1.0, columns, meaning[span], span)


def _rank_cases(
    scorer: Scorer, tiles: list[CandidateSample], trials: Sequence[TasteSettings], count: int
) -> list[RankedCases]:
    scorer = replace(scorer, case_cache={})
    owns = _score_targets(scorer, trials)
    parts = [_rank_in_tile(scorer, tile, trials, owns, count) for tile in tiles]
    return [_join_tiles(of_settings, count) for of_settings in zip(*parts, strict=True)]


def _score_targets(scorer: Scorer, trials: Sequence[TasteSettings]) -> list[Scores]:
    """Return the score of each case's own target, `(c,)`, by each of some settings."""
    targets = scorer.cases.target
    only = draw_sample(
        scorer.blocks.meaning, targets, targets[:0], size=0, rng=np.random.default_rng(0)
    )
    part = scorer.look_at(only)
    at = np.arange(len(targets)), only.columns[targets]
    return [part.compute_scores(settings)[at] for settings in trials]


def _rank_in_tile(
    scorer: Scorer,
    tile: CandidateSample,
    trials: Sequence[TasteSettings],
    owns: Sequence[Scores],
    count: int,
) -> list[RankedCases]:
    """Count the items of a tile that are as high as the targets, these left out; find the first."""
    part = scorer.look_at(tile)
    columns = tile.columns[scorer.cases.target]

    def answer(cases: slice, scores: Scores, own: Scores) -> RankedCases:
        first, first_scores = select_first(scores, count)
        at = columns[cases]
        scores[at != ABSENT, at[at != ABSENT]] = -np.inf
        above = np.count_nonzero(
            scores >= _find_lowest_tie(own[cases], first_scores[:, 0])[:, None], axis=1
        )
        return RankedCases(above, tile.rows[first], first_scores)

    return [
        _join_cases(part.map_blocks(settings, partial(answer, own=own)))
        for settings, own in zip(trials, owns, strict=True)
    ]


def _find_lowest_tie(own: Scores, best: Scores) -> Scores:
    """Return the lowest scores, `(c,)`, that tie with those of the targets in a tile.

    Args:
        own: `(c,)`, of the targets.
        best: `(c,)`, of the tile; NaN where none of it may be recommended.
    """
    margin = TIE_TOLERANCE * np.fmax(np.abs(own), np.abs(best))
    return np.subtract(own, margin, dtype=np.float32)


def _join_cases(parts: Sequence[RankedCases]) -> RankedCases:
    """Join the answers to different cases."""
    return RankedCases(
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _join_tiles(parts: Sequence[RankedCases], count: int) -> RankedCases:
    """Join the answers to the same cases from different tiles."""
    rows = np.concatenate([part.rows for part in parts], axis=1)
    scores = np.concatenate([part.scores for part in parts], axis=1)
    order = np.argsort(np.where(np.isnan(scores), np.inf, -scores), axis=1, kind="stable")
    first = order[:, :count]
    return RankedCases(
        ranks=1 + np.stack([part.ranks for part in parts]).sum(axis=0),
        rows=np.take_along_axis(rows, first, axis=1),
        scores=np.take_along_axis(scores, first, axis=1),
    )
