"""Fitted blocks and settings to the scores of hold-out cases, all cases of a window at once.

The arithmetic is that of a served request; a test checks that both give the same scores. The parts
of the scores are matrices of cases by items. Other weights need only another sum of the same parts,
which is taken block by block, so that no sum is ever written to memory as a whole. In place of all
items a sample may be scored.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.cores import count_threads, map_in_threads
from indexer.taste.blocks import TasteBlocks
from indexer.taste.candidate_sample import ABSENT, CandidateSample
from indexer.taste.cases import MAX_SCORES, HoldoutCases
from indexer.taste.history import (
    AFFINITY_SHRINKAGE,
    compute_entry_weights,
    compute_repeat_weights,
    compute_shrinkage_factor,
)
from indexer.taste.matrices import Matrix, build_matrix_from_coordinates
from indexer.taste.settings import PROFILE_SHARE, RECENT_VECTORS, TasteSettings

HIDDEN_SCORE = np.float32(-1e6)
_BLOCK_SCORES = 100_000  # scores that are added up at once, so that they stay in a core's cache
_KEPT_PARTS = {"recent": RECENT_VECTORS}  # of each kind
_USUALLY_KEPT = 2
_SHARES_PER_CORE = 2  # of the blocks, so that a core that is done first can help
_TINY = np.float32(1e-9)

Scores = NDArray[np.float32]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _WeighedPart:
    """A part of the scores with its weight.

    Attributes:
        weights: `(c, 1) float32`, by case, or `(1, 1)` for all.
        part: `(c, s) float32`, or `(1, s)` for all cases.
    """

    weights: Scores
    part: Scores

    def write(self, cases: slice, out: Scores) -> None:
        """Write the weighed part of some cases to `(b, s)`."""
        weights = self.weights if len(self.weights) == 1 else self.weights[cases]
        part = self.part if len(self.part) == 1 else self.part[cases]
        np.multiply(weights, part, out=out)


@dataclass(frozen=True, slots=True)
class _RecentItems:
    """One recent item of each of some cases.

    Attributes:
        cases: `(r,)`, the cases that have one, ascending.
        items: `(r, d) float32`, their meaning vectors.
        similarities: `(r, s) float32`, their products with the items that are scored.
    """

    cases: NDArray[np.int64]
    items: Scores
    similarities: Scores


@dataclass(slots=True)
class Scorer:
    """Scores all items for the cases of one window; keeps the latest parts of scores between calls.

    Attributes:
        blocks: Fitted on the events before the cases.
        cases: The hold-out cases.
        repeats: Whether items of the history may be recommended again.
        hidden_rows: `(m,) int64`, items that are never recommended.
        sample: The `s` items that are scored; None: all, `s` being `n`.
        case_cache: What depends on the cases alone, for scorers of other items that share it;
            None: it is not kept.
    """

    blocks: TasteBlocks
    cases: HoldoutCases
    repeats: bool
    hidden_rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sample: CandidateSample | None = None
    case_cache: dict[tuple[str, bytes], Any] | None = None
    _part_cache: dict[tuple[str, bytes], Scores] = field(default_factory=dict)

    def compute_ranks(self, settings: TasteSettings) -> NDArray[np.int64]:
        """Return the rank of each target, `(c,)` from 1; ties count against it.

        With a sample it is estimated.
        """
        return np.concatenate([np.zeros(0, np.int64), *self.map_blocks(settings, self.rank_block)])

    def split(self, size: int) -> Iterator["Scorer"]:
        """Yield scorers of at most `size` of the cases each."""
        for start in range(0, len(self.cases), size):
            some_cases = self.cases.take_slice(slice(start, min(start + size, len(self.cases))))
            yield replace(self, cases=some_cases, case_cache=None, _part_cache={})

    def look_at(self, sample: CandidateSample | None) -> "Scorer":
        """Return a scorer of other items for the same cases."""
        return replace(self, sample=sample, _part_cache={})

    def compute_scores(self, settings: TasteSettings) -> Scores:
        """Return the scores `(c, s)`; items that may not be recommended have `HIDDEN_SCORE`."""
        blocks = self.map_blocks(settings, lambda _, scores: scores.copy())
        return np.concatenate([np.zeros((0, self.width), np.float32), *blocks])

    def map_blocks(
        self, settings: TasteSettings, function: Callable[[slice, Scores], Result]
    ) -> list[Result]:
        """Call a function, on all cores, with the scores `(b, s)` of each block of cases.

        The scores are overwritten by those of the next block.
        """
        parts = self._weigh_parts(settings)

        def score_blocks(blocks: list[slice]) -> list[Result]:
            space = self.allocate(2)
            return [function(cases, self._score_block(parts, cases, space)) for cases in blocks]

        return list(chain.from_iterable(map_in_threads(score_blocks, self.share_blocks())))

    def share_blocks(self) -> list[list[slice]]:
        """Return blocks of cases whose scores fit in a core's cache, in a few shares per core."""
        size = self._block_size
        blocks = [
            slice(start, min(start + size, len(self.cases)))
            for start in range(0, len(self.cases), size)
        ]
        share = max(1, -(-len(blocks) // (_SHARES_PER_CORE * count_threads())))
        return [blocks[start : start + share] for start in range(0, len(blocks), share)]

    def allocate(self, count: int) -> list[Scores]:
        """Return matrices for the scores of a block: new memory for each would take longer."""
        return [np.empty((self._block_size, self.width), np.float32) for _ in range(count)]

    @property
    def width(self) -> int:
        """How many items are scored."""
        return len(self.meaning)

    @property
    def meaning(self) -> Scores:
        """Meaning vectors of the items that are scored, `(s, d)`."""
        return self.blocks.meaning if self.sample is None else self.sample.meaning

    @property
    def _block_size(self) -> int:
        return max(1, _BLOCK_SCORES // max(self.width, 1))

    def select(self, values: Scores) -> Scores:
        """Return values of all items, `(n,)` or `(n, d)`, for those that are scored."""
        return values if self.sample is None else values[self.sample.places]

    def spread(self, matrix: Matrix) -> Scores:
        """Return a sparse matrix `(c, n)` as a full one for the items that are scored, `(c, s)`."""
        columns = matrix if self.sample is None else self.sample.select_columns(matrix)
        spread: Scores = columns.toarray()
        return spread

    def _score_block(self, parts: list[_WeighedPart], cases: slice, space: list[Scores]) -> Scores:
        total, added = (one[: cases.stop - cases.start] for one in space)
        parts[0].write(cases, total)
        for part in parts[1:]:
            part.write(cases, added)
            total += added
        if not self.repeats:
            first, last = np.searchsorted(self.cases.entry_case, (cases.start, cases.stop))
            rows = self.cases.entry_case[first:last] - cases.start
            columns = self._find_columns(self.cases.history.row[first:last])
            is_scored = columns != ABSENT
            total[rows[is_scored], columns[is_scored]] = HIDDEN_SCORE
        if len(self.hidden_rows):
            columns = self._find_columns(self.hidden_rows)
            total[:, columns[columns != ABSENT]] = HIDDEN_SCORE
        return total

    def _find_columns(self, rows: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the columns of items among the scores, `ABSENT` for those that are not scored."""
        return rows if self.sample is None else self.sample.columns[rows]

    def rank_block(self, cases: slice, scores: Scores) -> NDArray[np.int64]:
        """Return the ranks of the targets of a block of cases, by their scores `(b, s)`."""
        own = scores[np.arange(len(scores)), self._find_columns(self.cases.target[cases])]
        is_above = scores >= own[:, None]
        if self.sample is not None:
            return self.sample.estimate_ranks(is_above)
        ranks: NDArray[np.int64] = np.count_nonzero(is_above, axis=1)
        return ranks

    def _weigh_parts(self, settings: TasteSettings) -> list[_WeighedPart]:
        """Return the parts that the settings use, the meaning part first."""
        history = self.cases.history
        meaning = compute_entry_weights(history, settings.meaning_reach, settings)
        shrinkage = compute_shrinkage_factor(self.sum_by_case(meaning), settings.meaning_doubt)
        weights = (np.float32(settings.meaning_weight) * shrinkage)[:, None]
        parts = [_WeighedPart(weights, self._find_part("meaning", meaning, _score_meaning))]
        near = compute_entry_weights(history, settings.taste_reach, settings)
        half_life = settings.taste_half_life

        def add(weight: float, part: Scores) -> None:
            parts.append(_WeighedPart(np.full((1, 1), weight, np.float32), part))

        if settings.neighbour_weight:
            score_neighbours = partial(_score_neighbours, half_life=half_life)
            part = self._find_part(f"neighbours {half_life}", near, score_neighbours)
            add(settings.neighbour_weight, part)
        if settings.text_weight:
            score_text = partial(_score_text, half_life=half_life)
            add(settings.text_weight, self._find_part(f"text {half_life}", near, score_text))
        if settings.prior_weight:
            parts.append(self._weigh_prior(settings, near))
        if settings.context_weight:
            part = self._find_part("context", np.zeros(0, np.float32), _score_context)
            add(settings.context_weight, part)
        if settings.repeat_weight and self.repeats:
            repeats = compute_repeat_weights(history, settings)
            add(settings.repeat_weight, self._find_part("repeat", repeats, _score_repeats))
        return parts

    def _find_part(
        self, name: str, weights: Scores, score: Callable[["Scorer", Scores], Scores]
    ) -> Scores:
        """Return a part of the scores `(c, s)`, which is cached.

        Args:
            name: Of the part; of the parts whose names begin with the same word the latest few are
                kept.
            weights: `(h,)`, weights of the history entries, on which the part depends. Settings
                that differ may give the same weights, and then the same part.
            score: Computes the part.
        """
        key = _build_key(name, weights)
        if key not in self._part_cache:
            kind = name.split()[0]
            same = [old for old in self._part_cache if old[0].split()[0] == kind]
            for old in same[: max(0, len(same) + 1 - _KEPT_PARTS.get(kind, _USUALLY_KEPT))]:
                del self._part_cache[old]
            self._part_cache[key] = score(self, weights)
        return self._part_cache[key]

    def find_of_cases(self, name: str, weights: Scores, compute: Callable[[], Result]) -> Result:
        """Return what depends on the cases and on weights of history entries, `(h,)`, alone."""
        if self.case_cache is None:
            return compute()
        key = _build_key(name, weights)
        if key not in self.case_cache:
            self.case_cache[key] = compute()
        found: Result = self.case_cache[key]
        return found

    def _weigh_prior(self, settings: TasteSettings, near: Scores) -> _WeighedPart:
        """Return the prior; its weight depends on the user if it leans.

        Args:
            settings: All settings.
            near: `(h,)`, weights of the history entries in the taste block.
        """
        prior, picked_prior = self.blocks.weigh_prior(settings)
        if not settings.prior_lean:
            return _WeighedPart(np.ones((1, 1), np.float32), self.select(prior)[None, :])
        deviations = picked_prior.compute_deviations(prior[self.cases.history.row])
        popularity_affinity = self.sum_by_case(near * deviations)
        popularity_affinity /= self.sum_by_case(near) + AFFINITY_SHRINKAGE
        weights = (1 + settings.prior_lean * popularity_affinity).astype(np.float32)
        return _WeighedPart(weights[:, None], self.select(prior)[None, :])

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

    def find_recent_similarities(self, position: int, used: NDArray[np.int64]) -> _RecentItems:
        """Return the similarity of each item to one of the latest items of each history.

        Args:
            position: 0 for the last of the used entries of each history, 1 for the one before.
            used: The history entries with a weight.
        """
        meaning, case = self.meaning, self.cases.entry_case[used]
        from_end = np.searchsorted(case, case, side="right") - 1 - np.arange(len(case))
        rows = used[from_end == position]
        items = self.blocks.meaning[self.cases.history.row[rows]]
        name = f"recent {position}"
        if len(self.cases) * len(meaning) > MAX_SCORES:  # too large to be kept
            similarities = items @ meaning.T
        else:
            similarities = self._find_part(
                name, rows.astype(np.float64), lambda *_: items @ meaning.T
            )
        return _RecentItems(self.cases.entry_case[rows], items, similarities)


def _score_meaning(scorer: Scorer, weights: Scores) -> Scores:
    """Return the best similarity to the profile and to its mixes with each of the latest items.

    A mix is a weighted sum of the profile and an item, so its products are the same sum of theirs:
    those of the profile are computed once, those of an item whatever the weights.
    """
    profiles = scorer.find_of_cases(
        "profiles",
        weights,
        lambda: _normalize(scorer.build_history_matrix(weights) @ scorer.blocks.meaning),
    )
    profile_scores = profiles @ scorer.meaning.T
    used = np.flatnonzero(weights > 0)
    recent = [scorer.find_recent_similarities(p, used) for p in range(RECENT_VECTORS)]

    def mix_blocks(blocks: list[slice]) -> None:
        profile_space, item_space = scorer.allocate(2)
        for cases in blocks:
            own = profile_scores[cases]
            best = own.copy()
            for one in recent:
                first, last = np.searchsorted(one.cases, (cases.start, cases.stop))
                at = one.cases[first:last]
                mixes = PROFILE_SHARE * profiles[at] + (1 - PROFILE_SHARE) * one.items[first:last]
                length = np.maximum(np.linalg.norm(mixes, axis=1, keepdims=True), _TINY)
                mixed, added = profile_space[: len(at)], item_space[: len(at)]
                inside = at - cases.start
                np.multiply(own[inside], np.float32(PROFILE_SHARE) / length, out=mixed)
                weight = np.float32(1 - PROFILE_SHARE) / length
                np.multiply(one.similarities[first:last], weight, out=added)
                mixed += added
                best[inside] = np.maximum(best[inside], mixed)
            profile_scores[cases] = best

    map_in_threads(mix_blocks, scorer.share_blocks())
    return profile_scores


def _score_neighbours(scorer: Scorer, weights: Scores, *, half_life: float) -> Scores:
    near: Matrix = scorer.find_of_cases(
        f"neighbours {half_life}",
        weights,
        lambda: (
            scorer.build_history_matrix(weights) @ scorer.blocks.neighbours[half_life].to_matrix()
        ),
    )
    return scorer.spread(near)


def _score_text(scorer: Scorer, weights: Scores, *, half_life: float) -> Scores:
    name = f"text {half_life}"
    if scorer.blocks.keeps_text_vectors(half_life):
        text = scorer.blocks.find_text(half_life)
        sources: Scores = scorer.find_of_cases(
            name, weights, lambda: scorer.build_history_matrix(weights) @ text.sources
        )
        scores: Scores = sources @ scorer.select(text.targets).T
        return scores

    def combine() -> Scores:
        factors = scorer.blocks.find_text_factors(half_life)
        history = scorer.build_history_matrix(weights) @ scorer.blocks.meaning
        profiles: Scores = (history @ factors.left) @ factors.right.T
        return profiles

    return scorer.find_of_cases(name, weights, combine) @ scorer.meaning.T


def _score_repeats(scorer: Scorer, weights: Scores) -> Scores:
    return np.sqrt(scorer.spread(scorer.build_history_matrix(weights)))


def _score_context(scorer: Scorer, _: Scores) -> Scores:
    directions = scorer.blocks.context_directions.vectors
    # A row of zeros at the end, for the row -1 of words without a direction.
    padded = np.concatenate([directions, np.zeros((1, directions.shape[1]), np.float32)])
    scores: Scores = padded[scorer.cases.context_rows].sum(axis=1) @ scorer.meaning.T
    return scores


def _build_key(name: str, weights: Scores) -> tuple[str, bytes]:
    return name, hashlib.blake2b(weights.tobytes()).digest()


def _normalize(vectors: Scores) -> Scores:
    unit: Scores = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
    return unit
