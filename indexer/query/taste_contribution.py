"""A taste model and the inputs of a request to learned weights, taste vectors and score terms.

The model says how fast history entries lose weight and what ratings and events count. Dislikes keep
the weight that the scenario gives them: how much to avoid an item cannot be learned from
interactions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann import Layout
from indexer.arrays import Rows, Vectors
from indexer.query.inputs import QueryInput
from indexer.query.term_totals import TermTotals
from indexer.request import Weights
from indexer.taste import (
    History,
    HistoryItem,
    ScoreTermWeights,
    TasteModel,
    build_history,
    compute_entry_weights,
    compute_popularity_affinity,
    compute_repeat_weights,
    keep_heaviest,
)

_MAX_UINT16_ROWS = 1 << 16


@dataclass(frozen=True)
class InputTerms:
    """z additive score terms, each of one row because of one input.

    Attributes:
        rows: `(z,) int64`, the row whose score is raised; ascending.
        input_positions: `(z,) int64`, position of the input.
        values: `(z,) float32`.
    """

    rows: Rows
    input_positions: NDArray[np.int64]
    values: Vectors

    @cached_property
    def totals(self) -> TermTotals:
        """Their sum for each row."""
        return TermTotals.sum_by_row(self.rows, self.values)

    def merge(self, other: "InputTerms") -> "InputTerms":
        """Return the terms of both."""
        if not len(self.rows) or not len(other.rows):
            return self if len(self.rows) else other
        rows = np.concatenate([self.rows, other.rows])
        order = np.argsort(rows, kind="stable")
        positions = np.concatenate([self.input_positions, other.input_positions])
        values = np.concatenate([self.values, other.values])
        return InputTerms(rows[order], positions[order], values[order])

    def add_to_shares(self, shares: NDArray[np.float64], rows: Rows) -> None:
        """Add what each of m inputs adds to each of h rows.

        Args:
            shares: `(h, m) float64`, changed.
            rows: `(h,) int64`.
        """
        first = self.rows.searchsorted(rows, side="left")
        counts = self.rows.searchsorted(rows, side="right") - first
        hits = np.repeat(np.arange(len(rows)), counts)
        terms = np.arange(len(hits)) + np.repeat(first - np.cumsum(counts) + counts, counts)
        # Not `+=`: an input may have several terms of one row.
        np.add.at(shares, (hits, self.input_positions[terms]), self.values[terms])


NO_INPUT_TERMS = InputTerms(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True)
class TasteContribution:
    """What a taste model adds to the inputs of one request.

    Attributes:
        inputs: The m inputs; those of the history and the prior have learned weights.
        taste_vectors: `(m, d) float32`, what each input adds to every query vector through the
            taste block or a learned context direction; None if none does.
        input_terms: Score terms of neighbours of past items, and of repeats of past items.
        shrinkage: Shortens the profile of a short history; see `TasteSettings.meaning_doubt`.
    """

    inputs: list[QueryInput]
    taste_vectors: Vectors | None
    input_terms: InputTerms
    shrinkage: float = 0.0


@dataclass(frozen=True, slots=True)
class TasteContext:
    """The parts of a request, besides its inputs, that `apply_taste_model` depends on.

    Attributes:
        weights: Of the blocks.
        context_words: Context field to value, from `to_context_words`.
        include_seen: Whether past items may be recommended again.
    """

    weights: Weights
    context_words: Mapping[str, str]
    include_seen: bool


def apply_taste_model(
    model: TasteModel,
    inputs: Sequence[QueryInput],
    rows: Mapping[str, int],
    *,
    layout: Layout,
    taste_context: TasteContext,
) -> TasteContribution:
    """Return the learned weights, taste vectors and score terms of a request.

    Args:
        model: Of the snapshot.
        inputs: The inputs; history items in time order.
        rows: Row of each known item; the model does not know rows added after its snapshot.
        layout: Of the item vectors.
        taste_context: The other parts of the request that matter.
    """
    known_count = len(model.prior)
    positions = [
        position
        for position, query_input in enumerate(inputs)
        if query_input.entry is not None
        and query_input.item_id is not None
        and rows[query_input.item_id] < known_count
    ]
    history = build_history(
        [_to_history_item(inputs[position], rows) for position in positions],
        model.settings,
        taste_context.context_words,
    )
    taste = compute_entry_weights(history, model.settings.taste_reach, model.settings)
    popularity_affinity = compute_popularity_affinity(
        taste, model.picked_prior_stats.compute_deviations(model.prior[history.row]), model.settings
    )
    taste *= np.float32(taste_context.weights.taste)
    directions = _find_context_directions(model, inputs, taste_context)
    weighted_inputs = _reweigh_history(inputs, positions, history, model)
    for position, query_input in enumerate(inputs):
        if position in directions:  # the learned direction replaces the encoded phrase
            weighted_inputs[position] = query_input.with_weight(0.0)
        elif query_input.is_prior:
            weight = query_input.weight * (1 + popularity_affinity)
            weighted_inputs[position] = query_input.with_weight(weight)
    taste_blocks = taste[:, None] * model.sources[history.row]
    return TasteContribution(
        weighted_inputs,
        _build_taste_vectors(len(inputs), layout, positions, taste_blocks, directions),
        _build_input_terms(model, history, positions, taste, taste_context),
        model.settings.meaning_doubt,
    )


def to_context_words(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the context of a request as interactions record it: text, without flags and places."""
    return {
        name: str(word) for name, word in context.items() if not isinstance(word, bool | Mapping)
    }


def _to_history_item(query_input: QueryInput, rows: Mapping[str, int]) -> HistoryItem:
    entry = query_input.entry
    if entry is None or query_input.item_id is None:
        raise TypeError(query_input)
    return HistoryItem(rows[query_input.item_id], entry.event, entry.value, entry.at, entry.context)


def _reweigh_history(
    inputs: Sequence[QueryInput],
    positions: Sequence[int],
    history: History,
    model: TasteModel,
) -> list[QueryInput]:
    """Return the inputs with learned weights for history items that are not disliked."""
    weights = compute_entry_weights(history, model.settings.meaning_reach, model.settings)
    weighted_inputs = list(inputs)
    for position, weight, liking in zip(
        positions, weights.tolist(), history.liking.tolist(), strict=True
    ):
        if liking >= 0:
            weighted_inputs[position] = inputs[position].with_weight(weight)
    return weighted_inputs


def _build_taste_vectors(
    input_count: int,
    layout: Layout,
    positions: Sequence[int],
    taste_blocks: Vectors,
    directions: Mapping[int, Vectors],
) -> Vectors | None:
    """Return what each input adds to every query vector, `(m, d) float32`; None if none does.

    Args:
        input_count: Number of inputs, m.
        layout: Of the item vectors.
        positions: Position among the inputs of each of h history entries.
        taste_blocks: `(h, layout.taste)`, what each entry adds to the taste block.
        directions: Position among the inputs to weighted context direction, `(layout.meaning,)`.
    """
    if not directions and not (positions and layout.taste):
        return None  # adding a zero matrix would cost milliseconds
    taste_vectors = np.zeros((input_count, layout.dim), np.float32)
    block = slice(layout.meaning, layout.meaning + layout.taste)
    taste_vectors[positions, block] = taste_blocks
    for position, direction in directions.items():
        taste_vectors[position, : layout.meaning] = direction
    return taste_vectors


def _build_input_terms(
    model: TasteModel,
    history: History,
    positions: Sequence[int],
    taste: Vectors,
    taste_context: TasteContext,
) -> InputTerms:
    """Return the terms of neighbours and repeats, sorted by row.

    Args:
        model: Of the snapshot.
        history: The entries that the model knows.
        positions: Position among the inputs of each entry of `history`.
        taste: `(len(history),) float32`, what each entry counts.
        taste_context: Weight of the taste block; whether items may repeat.
    """
    weights = ScoreTermWeights(
        keep_heaviest(taste), compute_repeat_weights(history, model.settings)
    )
    score_terms = model.compute_score_terms(
        history.row, weights, include_seen=taste_context.include_seen
    )
    rows = score_terms.row
    # numpy sorts 16-bit integers by radix, which is faster.
    sort_keys = rows.astype(np.uint16) if len(model.prior) <= _MAX_UINT16_ROWS else rows
    order = np.argsort(sort_keys, kind="stable")
    values = score_terms.value[order]
    # `taste` already contains the weight of the block for neighbours, but not for repeats.
    if taste_context.weights.taste != 1:
        values[score_terms.is_repeat[order]] *= np.float32(taste_context.weights.taste)
    input_positions = np.array(positions, np.int64)[score_terms.entry[order]]
    return InputTerms(rows[order], input_positions, values)


def _find_context_directions(
    model: TasteModel, inputs: Sequence[QueryInput], taste_context: TasteContext
) -> dict[int, Vectors]:
    """Return position to weighted direction `(d,)` of each context input that has a learned one."""
    directions = model.context_directions.find_directions(taste_context.context_words)
    if not directions:
        return {}
    weight = np.float32(taste_context.weights.meaning)
    directions_by_position = {}
    for position, query_input in enumerate(inputs):
        direction = directions.get(query_input.reason.get("field", ""))
        if direction is not None and direction.any():
            directions_by_position[position] = weight * direction
    return directions_by_position
