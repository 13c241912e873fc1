"""A learned taste model and one request's history to weights, taste vectors and named terms.

What was learned says how far a history reaches back and what a rating or event means; explicit
dislikes keep pushing away as the scenario says, which no interaction log can teach.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann import Layout
from indexer.arrays import Rows, Vectors
from indexer.query.inputs import QueryInput, Role
from indexer.request import Scenario, Weights
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


@dataclass(frozen=True, slots=True)
class InputTerms:
    """Additive terms of single items, each earned from one input.

    Attributes:
        rows: `(z,) int64`, the item that gains; ascending.
        input_positions: `(z,) int64`, place of the input.
        values: `(z,) float32`.
    """

    rows: Rows
    input_positions: NDArray[np.int64]
    values: Vectors

    def sum_by_input(self, row: int, count: int) -> NDArray[np.float64]:
        """Return `(count,) float64`: what each input adds to a row."""
        first, last = np.searchsorted(self.rows, [row, row + 1])
        return np.bincount(
            self.input_positions[first:last], self.values[first:last], minlength=count
        ).astype(np.float64)


NO_INPUT_TERMS = InputTerms(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True)
class TasteContribution:
    """What a taste model makes of one history.

    Attributes:
        inputs: The request's inputs, those of the history and the prior weighed as learned.
        taste_vectors: `(m, d) float32`, what each input adds through the taste block or a learned
            direction; None if none does.
        input_terms: Named terms: neighbours of past items, and past items coming again.
        shrinkage: How little a short history says; see `TasteSettings.meaning_doubt`.
    """

    inputs: list[QueryInput]
    taste_vectors: Vectors | None
    input_terms: InputTerms
    shrinkage: float = 0.0


def apply_taste_model(
    model: TasteModel,
    inputs: Sequence[QueryInput],
    rows: Mapping[str, int],
    *,
    layout: Layout,
    taste_context: "TasteContext",
) -> TasteContribution:
    """Weigh a history as learned.

    Args:
        model: Of the snapshot.
        inputs: The inputs; history items in time order.
        rows: Row of each known item; rows past the model's are items it has not met.
        layout: Of the item vectors.
        taste_context: Circumstances and wishes that matter here.
    """
    known_rows = len(model.prior)
    positions = [
        position
        for position, query_input in enumerate(inputs)
        if query_input.entry is not None
        and query_input.item_id is not None
        and rows[query_input.item_id] < known_rows
    ]
    past = build_history(
        [_to_past_item(inputs[position], rows) for position in positions],
        model.settings,
        taste_context.context_words,
    )
    weighted_inputs = _reweigh_history(inputs, positions, past, model, taste_context.scenario)
    taste = compute_entry_weights(past, model.settings.taste_reach, model.settings)
    popularity_affinity = compute_popularity_affinity(
        taste, model.picked_prior_stats.compute_deviations(model.prior[past.row]), model.settings
    )
    taste *= np.float32(taste_context.weights.taste)
    for position, query_input in enumerate(inputs):
        if query_input.role is Role.PRIOR:
            weighted_inputs[position] = query_input.with_weight(
                query_input.weight * (1 + popularity_affinity)
            )
    directions = dict(_find_context_directions(model, inputs, taste_context.context_words))
    for position in directions:
        weighted_inputs[position] = inputs[position].with_weight(
            0.0
        )  # what was learned replaces the words
    taste_vectors = None
    if directions or (
        positions and layout.taste
    ):  # else a matrix of nothing would cost milliseconds
        taste_vectors = np.zeros((len(inputs), layout.dim), np.float32)
        block = slice(layout.meaning, layout.meaning + layout.taste)
        taste_vectors[positions, block] = taste[:, None] * model.sources[past.row]
        for position, direction in directions.items():
            taste_vectors[position, : layout.meaning] = (
                np.float32(taste_context.weights.meaning) * direction
            )
    past_terms = _build_input_terms(model, past, taste, taste_context)
    input_terms = InputTerms(
        past_terms.rows,
        np.array(positions, np.int64)[past_terms.input_positions],
        past_terms.values,
    )
    return TasteContribution(
        weighted_inputs, taste_vectors, input_terms, model.settings.meaning_doubt
    )


@dataclass(frozen=True, slots=True)
class TasteContext:
    """The parts of a request that change what its history means."""

    scenario: Scenario
    weights: Weights
    context_words: Mapping[str, str]
    include_seen: bool


def _to_past_item(query_input: QueryInput, rows: Mapping[str, int]) -> HistoryItem:
    entry = query_input.entry
    if entry is None or query_input.item_id is None:
        raise TypeError(query_input)
    return HistoryItem(rows[query_input.item_id], entry.event, entry.value, entry.at, entry.context)


def _reweigh_history(
    signals: Sequence[QueryInput],
    places: Sequence[int],
    past: History,
    model: TasteModel,
    scenario: Scenario,
) -> list[QueryInput]:
    """The signals with learned weights; what is disliked keeps the scenario's."""
    weights = compute_entry_weights(past, model.settings.meaning_reach, model.settings)
    weighted_inputs = list(signals)
    for position, weight, liking in zip(
        places, weights.tolist(), past.liking.tolist(), strict=True
    ):
        if liking >= 0:
            weighted_inputs[position] = signals[position].with_weight(weight)
    return weighted_inputs


def _build_input_terms(
    model: TasteModel, past: History, taste: Vectors, taste_context: TasteContext
) -> InputTerms:
    """Neighbours and repeats; `signals` are still places in the past."""
    weights = ScoreTermWeights(keep_heaviest(taste), compute_repeat_weights(past, model.settings))
    score_terms = model.compute_score_terms(
        past.row, weights, include_seen=taste_context.include_seen
    )
    small = (
        score_terms.row.astype(np.uint16)
        if len(model.prior) <= _MAX_UINT16_ROWS
        else score_terms.row
    )
    order = np.argsort(small, kind="stable")  # short integers are sorted by radix
    # Neighbours carry the request's weight through `taste` already, repeats do not.
    scale = np.where(score_terms.is_repeat, np.float32(taste_context.weights.taste), np.float32(1))
    values = (score_terms.value * scale).astype(np.float32)
    return InputTerms(score_terms.row[order], score_terms.entry[order], values[order])


def _find_context_directions(
    model: TasteModel, inputs: Sequence[QueryInput], context: Mapping[str, str]
) -> Iterator[tuple[int, Vectors]]:
    """Place and learned direction `(d,)` of each context signal that has one."""
    directions = model.context_directions.find_directions(context)
    for position, query_input in enumerate(inputs):
        direction = directions.get(query_input.reason.get("field", ""))
        if direction is not None and direction.any():
            yield position, direction


def to_context_words(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the circumstances of now as the words that interactions record."""
    return {
        name: str(word) for name, word in context.items() if not isinstance(word, bool | Mapping)
    }
