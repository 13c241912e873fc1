"""The history, interests, query and context of a request to weighted inputs. Pure.

An input is one thing that is known about what the user wants: an item of the history, a declared
interest, the typed query, one context field, or the popularity prior. Each has a weight, and
becomes one reason in the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask, Rows
from indexer.event_kinds import (
    MAX_COUNT_STRENGTH,
    UNDONE_EVENTS,
    find_undone,
    has_happened,
    measure_count,
)
from indexer.request import HistoryEntry, Scenario

_FULL_WEIGHT_FIELDS = 3  # up to this many context fields have full weight, more share that of three
_REVIEW_EVENT = "review"
_OPINION_EVENTS = frozenset(
    {"like", "dislike", "rating", _REVIEW_EVENT, "not_interested", "hide", "block", "report"}
)
# Of the text of a review, relative to its item; chosen by hand, for want of a public data set.
_REVIEW_TEXT_WEIGHT = 0.5
_MAX_REASON_CHARS = 200
_TINY = 1e-9
QUERY_KIND = "query"  # of the input that stands for the meaning of the query
WORDS_KIND = "words"  # of the input that stands for the words of the query, see `word_terms`


class Role(StrEnum):
    """How an input enters a query vector: in the unit-length profile, or added with its weight.

    The prior part is the part of the prior that has a reason of its own.
    """

    PROFILE = "profile"
    QUERY = "query"
    CONTEXT = "context"
    PRIOR = "prior"
    PRIOR_PART = "prior_part"


class QueryInput(NamedTuple):
    """One weighted input of a request.

    A named tuple because a request builds hundreds of inputs, and a frozen dataclass takes three
    times as long to build.

    Attributes:
        role: How it enters the query vector.
        weight: Negative for what is not wanted.
        reason: As the answer shows it, without its share.
        item_id: The item whose vector it has; None if it is a text or the prior.
        text: To encode; only if there is no item id.
        entry: The history entry it comes from; None for other inputs.
    """

    role: Role
    weight: float
    reason: Mapping[str, Any]
    item_id: str | None = None
    text: str | None = None
    entry: HistoryEntry | None = None

    @property
    def is_prior(self) -> bool:
        """Whether it is the prior or a part of it."""
        return self.role in (Role.PRIOR, Role.PRIOR_PART)

    def with_weight(self, weight: float) -> "QueryInput":
        """Return the same input with another weight; `_replace` takes three times as long."""
        return QueryInput(self.role, weight, self.reason, self.item_id, self.text, self.entry)


@dataclass(frozen=True, slots=True)
class InputColumns:
    """What query vectors are made of: the m inputs of a request as arrays, each `(m,)`.

    Attributes:
        weights: `float64`.
        is_profile: `bool`, whether an input is of the profile.
        is_prior: `bool`, whether it is the prior.
        is_item: `bool`, whether it is an item of the profile.
        is_interest: `bool`, whether it is a declared interest.
    """

    weights: NDArray[np.float64]
    is_profile: Mask
    is_prior: Mask
    is_item: Mask
    is_interest: Mask

    @classmethod
    def build(cls, inputs: Sequence[QueryInput]) -> "InputColumns":
        """Return the columns of some inputs."""
        is_profile = np.array([i.role is Role.PROFILE for i in inputs], np.bool_)
        return cls(
            np.array([i.weight for i in inputs], np.float64),
            is_profile,
            np.array([i.is_prior for i in inputs], np.bool_),
            is_profile & np.array([i.item_id is not None for i in inputs], np.bool_),
            np.array([i.reason.get("kind") == "interest" for i in inputs], np.bool_),
        )

    @property
    def is_liked(self) -> Mask:
        """Which inputs are of the profile and have a positive weight, `(m,) bool`."""
        return self.is_profile & (self.weights > 0)

    def find_liked_items(self, limit: int) -> Rows:
        """Return the positions of the last `limit` inputs that are items with a positive weight."""
        return np.flatnonzero(self.is_item & (self.weights > 0))[-limit:]


def build_history_inputs(
    history: Sequence[HistoryEntry],
    *,
    scenario: Scenario,
    now: float,
    rating_scale: tuple[float, float],
) -> list[QueryInput]:
    """Return history entries weighted by event, value, order and age; the newest last.

    The last opinion (like, dislike, rating, review, block …) about an item decides: earlier events
    of the item with the opposite sign are dropped. A refund takes the purchase back, as
    `UNDONE_EVENTS` says: what was undone is dropped.

    Args:
        history: In any order; entries without a time keep their order and precede the timed ones.
        scenario: Half-lives and event weights.
        now: Time of the request, Unix seconds.
        rating_scale: Lowest and highest possible rating.
    """
    ordered = sorted(history, key=lambda entry: entry.at if entry.at is not None else float("-inf"))
    inputs = []
    opinions: dict[str, float] = {}
    undone = _find_undone_entries(ordered)
    reactions = _compute_reactions(ordered, scenario, rating_scale)
    for newer, entry in enumerate(reversed(ordered)):
        if len(ordered) - 1 - newer in undone:
            continue
        reaction = reactions[len(ordered) - 1 - newer]
        if entry.item_id is not None:
            if reaction * opinions.get(entry.item_id, 0.0) < 0:
                continue
            if entry.event in _OPINION_EVENTS and has_happened(entry.event, entry.value):
                opinions.setdefault(entry.item_id, reaction)
        weight = reaction * 0.5 ** (newer / scenario.half_life_events)
        if scenario.half_life_s and entry.at is not None:
            weight *= 0.5 ** (max(0.0, now - entry.at) / scenario.half_life_s)
        if entry.event == _REVIEW_EVENT and entry.item_id is not None and entry.text:
            inputs.append(_build_review_input(entry, weight))
        reason = _build_history_reason(entry, reaction)
        inputs.append(QueryInput(Role.PROFILE, weight, reason, entry.item_id, entry.text, entry))
    return inputs[::-1]


def _find_undone_entries(ordered: Sequence[HistoryEntry]) -> set[int]:
    """Return the positions of the entries that a later one took back; the newest is the last."""
    if UNDONE_EVENTS.keys().isdisjoint([entry.event for entry in ordered]):
        return set()
    of_items = [position for position, entry in enumerate(ordered) if entry.item_id is not None]
    undone = find_undone([(ordered[place].item_id, ordered[place].event) for place in of_items])
    return {of_items[place] for place in undone}


def _build_history_reason(entry: HistoryEntry, reaction: float) -> dict[str, Any]:
    """Return the reason of an entry; a text names its event only if it is not wanted."""
    if entry.item_id is not None:
        return {"kind": "history", "item_id": entry.item_id, "event": entry.event}
    event = {"event": entry.event} if reaction < 0 else {}
    return {"kind": "history", "text": entry.text, **event}


def _build_review_input(entry: HistoryEntry, weight: float) -> QueryInput:
    """Return the text of a review as an input besides its item.

    The rating of the review gives the sign; without one, the text counts as liked.
    """
    text = entry.text or ""
    excerpt = text if len(text) <= _MAX_REASON_CHARS else text[: _MAX_REASON_CHARS - 1] + "…"
    reason = {**_build_history_reason(entry, weight), "text": excerpt}
    return QueryInput(Role.PROFILE, _REVIEW_TEXT_WEIGHT * weight, reason, text=text, entry=entry)


def _compute_reactions(
    entries: Sequence[HistoryEntry], scenario: Scenario, rating_scale: tuple[float, float]
) -> list[float]:
    """Return the weight of each event; the few kinds of a history are weighed once each."""
    kinds = [(entry.event, entry.value, entry.item_id is None) for entry in entries]
    entry_by_kind = dict(zip(kinds, entries, strict=True))
    reactions = {
        kind: _compute_reaction(entry, scenario, rating_scale)
        for kind, entry in entry_by_kind.items()
    }
    return [reactions[kind] for kind in kinds]


def _compute_reaction(
    entry: HistoryEntry, scenario: Scenario, rating_scale: tuple[float, float]
) -> float:
    """Return the weight of an event or rating, from -1 to 1; of a text always 1 unless negative.

    An event with a count, such as 20 plays, weighs up to twice as much as one without; one with the
    count 0 did not happen and weighs nothing.
    """
    if entry.event in ("rating", _REVIEW_EVENT) and entry.value is not None:
        low, high = rating_scale
        middle = (low + high) / 2
        reaction = max(-1.0, min(1.0, (entry.value - middle) / max(high - middle, _TINY)))
    else:
        reaction = scenario.get_event_weight(entry.event)
        reaction *= min(measure_count(entry.event, entry.value), MAX_COUNT_STRENGTH)
    return 1.0 if entry.item_id is None and reaction >= 0 else reaction


def build_interest_inputs(interests: Sequence[str], *, scenario: Scenario) -> list[QueryInput]:
    """Return declared interests, all with the same weight."""
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
    query: str | None,
    words: Mapping[str, str],
    context: Mapping[str, Any],
    *,
    scenario: Scenario,
    share: float = 1.0,
) -> list[QueryInput]:
    """Return the query and one input for each context field that has a phrase.

    Up to `_FULL_WEIGHT_FIELDS` fields have the scenario's weight each. More fields share the weight
    of that many, so that a form with a dozen fields does not outweigh the profile.

    Args:
        query: The typed query, if any.
        words: Context field to its phrase, from `describe_context`.
        context: Context field to its raw value, for the reason.
        scenario: Weights of the query and of a context field.
        share: Of the weight of a context field.
    """
    inputs = []
    weight = share * scenario.context_weight * min(1.0, _FULL_WEIGHT_FIELDS / max(len(words), 1))
    if query:
        reason = {"kind": QUERY_KIND, "text": query}
        inputs.append(QueryInput(Role.QUERY, scenario.query_weight, reason, text=query))
    for field, text in words.items():
        reason = {"kind": "context", "field": field, "value": context.get(field, text)}
        inputs.append(QueryInput(Role.CONTEXT, weight, reason, text=text))
    return inputs


def build_words_input(text: str, *, weight: float) -> QueryInput:
    """Return the words of a query as an input of their own; it has no vector, but score terms."""
    return QueryInput(Role.QUERY, weight, {"kind": WORDS_KIND, "text": text})


def build_ideal_input(ideal: str, *, scenario: Scenario) -> QueryInput:
    """Return the description of the ideal item, added with a constant weight as a query is."""
    reason = {"kind": "ideal", "text": ideal}
    return QueryInput(Role.QUERY, scenario.ideal_weight, reason, text=ideal)
