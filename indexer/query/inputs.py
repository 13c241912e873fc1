"""Request to weighted inputs to request vectors, and shares back. Pure.

Every input (a history item, an interest, the query, one context field, the prior) is one source
vector with a coefficient in each request vector. The request vector is their weighted sum, so an
inner product splits exactly into one share for each input, and the shares are the reasons.

The profile (history and interests) is brought to unit length: removing one of its inputs changes
its own share and rescales those of the others. Query, context and prior are added with constant
weights: removing one of them changes a score by exactly its share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.request import HistoryEntry, Scenario, Weights
from indexer.taste import compute_shrinkage_factor

# A vector of its own for a recent item is this much whole profile, the rest that item: chosen on
# validation data, where it beat both the profile alone and the item alone.
_RECENT_PROFILE_SHARE = 0.7
_MAX_OTHER_SHARE = 0.1  # of the absolute sum: the smallest reasons up to this are told as one
_FULL_WEIGHT_FIELDS = 3  # so many context fields count whole; more share what these would have
_MAX_REASONS = 50
_REVIEW_EVENT = "review"
_OPINION_EVENTS = frozenset({"like", "dislike", "rating", _REVIEW_EVENT})
_REVIEW_TEXT_WEIGHT = 0.5  # against the item itself; no public data set has had it tuned
_MAX_REASON_CHARS = 200
_TINY = 1e-9


class Role(StrEnum):
    """What an input does to a request vector."""

    PROFILE = "profile"
    QUERY = "query"
    CONTEXT = "context"
    PRIOR = "prior"


class QueryInput(NamedTuple):
    """One input of a request, with its reason as the answer will tell it.

    A tuple, for a request makes hundreds: a frozen dataclass takes three times as long.
    """

    role: Role
    weight: float
    reason: Mapping[str, Any]
    item_id: str | None = None
    text: str | None = None
    entry: HistoryEntry | None = None

    def with_weight(self, weight: float) -> "QueryInput":
        """Return the same input with another weight; `_replace` takes three times as long."""
        return QueryInput(self.role, weight, self.reason, self.item_id, self.text, self.entry)


@dataclass(frozen=True, slots=True)
class QueryVectors:
    """A few vectors whose best inner product with an item is its score.

    Attributes:
        inputs: The m inputs.
        input_vectors: `(m, d) float32`, the vector of each input in the item space.
        coefficients: `(q, m) float32`.
        taste_vectors: `(m, d) float32`, what each input adds to every request vector through the learned
            taste block or a learned direction, weighted already; None if none does.
    """

    inputs: tuple[QueryInput, ...]
    input_vectors: Vectors
    coefficients: Vectors
    taste_vectors: Vectors | None = None

    @property
    def vectors(self) -> Vectors:
        """`(q, d) float32`, what is searched."""
        product: Vectors = self.coefficients @ self.input_vectors
        if self.taste_vectors is not None:
            product += self.taste_vectors.sum(axis=0)
        return product

    def split_score(self, item: Vectors, winner: int) -> NDArray[np.float64]:
        """Split the inner product of one item `(d,)` with vector `winner` into `(m,)` shares."""
        parts: NDArray[np.float64] = self.coefficients[winner].astype(np.float64) * (
            self.input_vectors.astype(np.float64) @ item.astype(np.float64)
        )
        if self.taste_vectors is not None:
            parts += self.taste_vectors.astype(np.float64) @ item.astype(np.float64)
        return parts


def build_history_inputs(
    history: Sequence[HistoryEntry],
    *,
    scenario: Scenario,
    now: float,
    rating_scale: tuple[float, float],
) -> list[QueryInput]:
    """Weigh history entries by event, rating, order and age; the newest last.

    The last opinion of an item decides: what was done before it and says the opposite is left out.

    Args:
        history: In any order; entries without time keep theirs, before the timed ones.
        scenario: Half-lives and event weights.
        now: The moment asked about, Unix seconds.
        rating_scale: Lowest and highest possible rating.
    """
    ordered = sorted(history, key=lambda entry: entry.at if entry.at is not None else float("-inf"))
    inputs = []
    opinions: dict[str, float] = {}
    for newer, entry in enumerate(reversed(ordered)):
        reaction = _compute_reaction(entry, scenario, rating_scale)
        if entry.item_id is not None:
            if reaction * opinions.get(entry.item_id, 0.0) < 0:
                continue
            if entry.event in _OPINION_EVENTS:
                opinions.setdefault(entry.item_id, reaction)
        weight = reaction * 0.5 ** (newer / scenario.half_life_events)
        if scenario.half_life_s and entry.at is not None:
            weight *= 0.5 ** (max(0.0, now - entry.at) / scenario.half_life_s)
        if entry.event == _REVIEW_EVENT and entry.item_id is not None and entry.text:
            inputs.append(_build_review_input(entry, weight))
        reason = _build_history_reason(entry, reaction)
        inputs.append(QueryInput(Role.PROFILE, weight, reason, entry.item_id, entry.text, entry))
    return inputs[::-1]


def _build_history_reason(entry: HistoryEntry, reaction: float) -> dict[str, Any]:
    """An entry as a reason; of words it is said only if they are not wanted."""
    if entry.item_id is not None:
        return {"kind": "history", "item_id": entry.item_id, "event": entry.event}
    event = {"event": entry.event} if reaction < 0 else {}
    return {"kind": "history", "text": entry.text, **event}


def _build_review_input(entry: HistoryEntry, weight: float) -> QueryInput:
    """What a review says, beside the item it is about; the rating that came with it gives the sign.

    Without a rating the words count as what somebody cares to write about.
    """
    text = entry.text or ""
    reasons = text if len(text) <= _MAX_REASON_CHARS else text[: _MAX_REASON_CHARS - 1] + "…"
    reason = {**_build_history_reason(entry, weight), "text": reasons}
    return QueryInput(Role.PROFILE, _REVIEW_TEXT_WEIGHT * weight, reason, text=text, entry=entry)


def _compute_reaction(
    entry: HistoryEntry, scenario: Scenario, rating_scale: tuple[float, float]
) -> float:
    """What an entry says, from -1 to 1; words count fully unless they say what is not wanted."""
    if entry.event in ("rating", _REVIEW_EVENT) and entry.value is not None:
        low, high = rating_scale
        middle = (low + high) / 2
        reaction = max(-1.0, min(1.0, (entry.value - middle) / max(high - middle, _TINY)))
    else:
        reaction = scenario.get_event_weight(entry.event)
    return 1.0 if entry.item_id is None and reaction >= 0 else reaction


def build_interest_inputs(interests: Sequence[str], *, scenario: Scenario) -> list[QueryInput]:
    """Interests count alike, whatever their order."""
    return [
        QueryInput(
            Role.PROFILE,
            scenario.interest_weight,
            {"kind": "interest", "text": text},
            text=text,
        )
        for text in interests
    ]


def build_context_inputs(
    query: str | None, words: Mapping[str, str], context: Mapping[str, Any], *, scenario: Scenario
) -> list[QueryInput]:
    """Return the query and one signal for each context field that has words.

    Up to `_FULL_WEIGHT_FIELDS` fields each count alike whatever the others are; the weights of more are
    scaled down together, so that a form with a dozen fields does not drown taste.
    """
    inputs = []
    weight = scenario.context_weight * min(1.0, _FULL_WEIGHT_FIELDS / max(len(words), 1))
    if query:
        reason = {"kind": "query", "text": query}
        inputs.append(QueryInput(Role.QUERY, scenario.query_weight, reason, text=query))
    for field, text in words.items():
        reason = {"kind": "context", "field": field, "value": context.get(field, text)}
        inputs.append(QueryInput(Role.CONTEXT, weight, reason, text=text))
    return inputs


def build_ideal_input(ideal: str, *, scenario: Scenario) -> QueryInput:
    """A description of the ideal item is added with a constant weight, as a query is."""
    reason = {"kind": "ideal", "text": ideal}
    return QueryInput(Role.QUERY, scenario.ideal_weight, reason, text=ideal)


def build_query_vectors(
    inputs: Sequence[QueryInput],
    input_vectors: Vectors,
    *,
    scenario: Scenario,
    weights: Weights,
    history_clusters: Sequence[NDArray[np.float32]] = (),
    shrinkage: float = 0.0,
) -> QueryVectors:
    """Weigh the signals into request vectors.

    Args:
        inputs: The m inputs, history in time order.
        input_vectors: `(m, d) float32`, unit meaning vectors in the item space, and for the one signal of
            role PRIOR the unit vector of the prior column.
        scenario: How many recent items get a vector of their own.
        weights: Of the blocks.
        history_clusters: Inputs, each `(m,)`, that get a vector of their own together.
        shrinkage: See `compute_profile_coefficients`; vectors of `history_clusters` keep their length.
    """
    roles = np.array([query_input.role for query_input in inputs])
    input_weights = np.array([query_input.weight for query_input in inputs], np.float32)
    profile_coefficients = compute_profile_coefficients(
        inputs, input_vectors, scenario, shrinkage=shrinkage
    )
    profile_coefficients += [_to_unit(own, input_vectors) for own in history_clusters]
    return QueryVectors(
        tuple(inputs),
        input_vectors,
        combine_coefficients(roles, input_weights, profile_coefficients, weights),
    )


def compute_profile_coefficients(
    inputs: Sequence[QueryInput],
    input_vectors: Vectors,
    scenario: Scenario,
    members: NDArray[np.bool_] | None = None,
    *,
    shrinkage: float = 0.0,
) -> list[NDArray[np.float32]]:
    """Return coefficients `(m,)` of the profile: as a whole, then with each recent item apart.

    Args:
        inputs: The m inputs, history in time order.
        input_vectors: Their vectors.
        scenario: How many recent items get a vector of their own.
        members: `(m,) bool`, the part of the profile that counts; None: all of it.
        shrinkage: The vectors are brought to length `w / (w + doubt)`, `w` being the weight of the
            whole profile, whatever `members`.
    """
    weights = np.array([s.weight if s.role is Role.PROFILE else 0.0 for s in inputs], np.float32)
    profile = weights if members is None else np.where(members, weights, np.float32(0))
    profile_coefficients = [_to_unit(profile, input_vectors)]
    liked = np.flatnonzero(profile > 0).tolist()
    recent = [row for row in liked if inputs[row].item_id is not None][-scenario.recent_vectors :]
    if np.count_nonzero(profile) > 1:
        for row in recent if scenario.recent_vectors else []:
            own = np.zeros_like(profile)
            own[row] = 1.0
            mix = (
                _RECENT_PROFILE_SHARE * profile_coefficients[0] + (1 - _RECENT_PROFILE_SHARE) * own
            )
            profile_coefficients.append(_to_unit(mix.astype(np.float32), input_vectors))
    if not shrinkage:
        return profile_coefficients
    # Dislikes too are evidence: counted as nothing, they alone would push nothing away.
    length = compute_shrinkage_factor(float(np.abs(weights).sum()), shrinkage)
    return [mix * length for mix in profile_coefficients]


def combine_coefficients(
    roles: NDArray[np.str_],
    input_weights: NDArray[np.float32],
    profile_coefficients: Sequence[NDArray[np.float32]],
    weights: Weights,
) -> Vectors:
    """Add what is constant to each mix of the profile, and weigh the blocks, `(q, m) float32`."""
    constant = np.where(roles == Role.PROFILE, 0, input_weights)
    block = np.where(roles == Role.PRIOR, weights.prior, weights.meaning).astype(np.float32)
    return np.stack([(mix + constant) * block for mix in profile_coefficients]).astype(np.float32)


def build_example_vectors(
    inputs: Sequence[QueryInput], input_vectors: Vectors, *, weights: Weights
) -> QueryVectors:
    """Average weighted examples into one request vector.

    Weights are divided by the sum of their absolute values, so an item that is a near copy of
    every wanted example and unrelated to the unwanted ones scores about 1.
    """
    input_weights = np.array([query_input.weight for query_input in inputs], np.float32)
    share = input_weights * np.float32(
        weights.meaning / max(float(np.abs(input_weights).sum()), _TINY)
    )
    return QueryVectors(tuple(inputs), input_vectors, share[np.newaxis, :])


def _to_unit(coefficients: NDArray[np.float32], input_vectors: Vectors) -> NDArray[np.float32]:
    """Scale coefficients so that their vector has length 1.

    Likes and dislikes that cancel leave a short vector that is mostly noise; it is not blown up
    beyond what half of the strongest input would be.
    """
    length = float(np.linalg.norm(coefficients @ input_vectors))
    floor = float(np.abs(coefficients).max(initial=0.0)) / 2
    scaled: NDArray[np.float32] = coefficients / np.float32(max(length, floor, _TINY))
    return scaled


def build_reasons(
    inputs: Sequence[QueryInput],
    shares: NDArray[np.float64],
    term_reasons: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Tell shares and additive terms as reasons, largest first.

    Past `_MAX_REASONS` the smallest are summed up as one `other`, at most a tenth of the absolute
    sum.
    """
    reasons: list[dict[str, Any]] = [
        {**query_input.reason, "share": float(share)}
        for query_input, share in zip(inputs, shares, strict=True)
        if share != 0
    ]
    reasons += [dict(term) for term in term_reasons]
    reasons.sort(key=lambda reason: -abs(reason["share"]))
    limit = _MAX_OTHER_SHARE * sum(abs(reason["share"]) for reason in reasons)
    kept = len(reasons)
    rest = 0.0
    while kept > _MAX_REASONS and rest + abs(reasons[kept - 1]["share"]) <= limit:
        kept -= 1
        rest += abs(reasons[kept]["share"])
    if kept < len(reasons):
        other = sum(reason["share"] for reason in reasons[kept:])
        return [*reasons[:kept], {"kind": "other", "share": other}]
    return reasons
