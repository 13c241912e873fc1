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
    signals: Sequence[QueryInput],
    rows: Mapping[str, int],
    *,
    layout: Layout,
    moment: "TasteContext",
) -> TasteContribution:
    """Weigh a history as learned.

    Args:
        model: Of the snapshot.
        signals: The inputs; history items in time order.
        rows: Row of each known item; rows past the model's are items it has not met.
        layout: Of the item vectors.
        moment: Circumstances and wishes that matter here.
    """
    met = len(model.prior)
    places = [
        place
        for place, signal in enumerate(signals)
        if signal.entry is not None and signal.item_id is not None and rows[signal.item_id] < met
    ]
    past = build_history(
        [_to_past_item(signals[place], rows) for place in places],
        model.settings,
        moment.context_words,
    )
    weighed = _reweigh_history(signals, places, past, model, moment.scenario)
    taste = compute_entry_weights(past, model.settings.taste_reach, model.settings)
    lean = compute_popularity_affinity(
        taste, model.picked_prior_stats.compute_deviations(model.prior[past.row]), model.settings
    )
    taste *= np.float32(moment.weights.taste)
    for place, signal in enumerate(signals):
        if signal.role is Role.PRIOR:
            weighed[place] = signal.with_weight(signal.weight * (1 + lean))
    directions = dict(_find_context_directions(model, signals, moment.context_words))
    for place in directions:
        weighed[place] = signals[place].with_weight(0.0)  # what was learned replaces the words
    sources = None
    if directions or (places and layout.taste):  # else a matrix of nothing would cost milliseconds
        sources = np.zeros((len(signals), layout.dim), np.float32)
        block = slice(layout.meaning, layout.meaning + layout.taste)
        sources[places, block] = taste[:, None] * model.sources[past.row]
        for place, direction in directions.items():
            sources[place, : layout.meaning] = np.float32(moment.weights.meaning) * direction
    terms = _build_input_terms(model, past, taste, moment)
    named = InputTerms(terms.rows, np.array(places, np.int64)[terms.input_positions], terms.values)
    return TasteContribution(weighed, sources, named, model.settings.meaning_doubt)


@dataclass(frozen=True, slots=True)
class TasteContext:
    """The parts of a request that change what its history means."""

    scenario: Scenario
    weights: Weights
    context_words: Mapping[str, str]
    include_seen: bool


def _to_past_item(signal: QueryInput, rows: Mapping[str, int]) -> HistoryItem:
    entry = signal.entry
    if entry is None or signal.item_id is None:
        raise TypeError(signal)
    return HistoryItem(rows[signal.item_id], entry.event, entry.value, entry.at, entry.context)


def _reweigh_history(
    signals: Sequence[QueryInput],
    places: Sequence[int],
    past: History,
    model: TasteModel,
    scenario: Scenario,
) -> list[QueryInput]:
    """The signals with learned weights; what is disliked keeps the scenario's."""
    weights = compute_entry_weights(past, model.settings.meaning_reach, model.settings)
    weighed = list(signals)
    for place, weight, liking in zip(places, weights.tolist(), past.liking.tolist(), strict=True):
        if liking >= 0:
            weighed[place] = signals[place].with_weight(weight)
    return weighed


def _build_input_terms(
    model: TasteModel, past: History, taste: Vectors, moment: TasteContext
) -> InputTerms:
    """Neighbours and repeats; `signals` are still places in the past."""
    weights = ScoreTermWeights(keep_heaviest(taste), compute_repeat_weights(past, model.settings))
    found = model.compute_score_terms(past.row, weights, include_seen=moment.include_seen)
    small = found.row.astype(np.uint16) if len(model.prior) <= _MAX_UINT16_ROWS else found.row
    order = np.argsort(small, kind="stable")  # short integers are sorted by radix
    # Neighbours carry the request's weight through `taste` already, repeats do not.
    scale = np.where(found.is_repeat, np.float32(moment.weights.taste), np.float32(1))
    values = (found.value * scale).astype(np.float32)
    return InputTerms(found.row[order], found.entry[order], values[order])


def _find_context_directions(
    model: TasteModel, signals: Sequence[QueryInput], context: Mapping[str, str]
) -> Iterator[tuple[int, Vectors]]:
    """Place and learned direction `(d,)` of each context signal that has one."""
    directions = model.context_directions.find_directions(context)
    for place, signal in enumerate(signals):
        direction = directions.get(signal.reason.get("field", ""))
        if direction is not None and direction.any():
            yield place, direction


def to_context_words(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the circumstances of now as the words that interactions record."""
    return {
        name: str(word) for name, word in context.items() if not isinstance(word, bool | Mapping)
    }
