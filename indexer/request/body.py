"""The body of POST /v1/recommend to a checked, frozen `Request`. Pure.

The Python API, the batch script and the HTTP service all call `parse_request`, so the same body
means the same in each of them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, NamedTuple

from indexer.errors import RequestError
from indexer.event_kinds import BUILT_IN_EVENTS, settle_event
from indexer.request.context import ContextValue, parse_time
from indexer.request.event_names import collect_known_events, parse_event_name, resolve_event
from indexer.request.ranking_options import Boost, Pin, parse_boosts, parse_max_per, parse_pins
from indexer.request.scenarios import SCENARIOS, Scenario
from indexer.request.values import (
    format_value,
    parse_boolean,
    parse_context,
    parse_finite,
    parse_fraction,
    parse_id,
    parse_k,
    parse_list,
    parse_seed,
    parse_text,
    parse_texts,
    parse_timestamp,
    refuse_unknown,
)

MAX_HISTORY = 1_000
MAX_HISTORY_BATCH = 20_000
# Above a few hundred, a float32 score no longer equals the sum of its shares within 1e-4.
MAX_WEIGHT = 100
DEFAULT_EVENT = "click"


class HistoryEntry(NamedTuple):
    """One event of the user's history: about an item, or about a text such as a search.

    A named tuple because a request builds hundreds of entries, and a frozen dataclass takes three
    times as long to build.

    Attributes:
        item_id: The item; None if the entry is a text.
        text: What the user wrote; next to an item id, the text of a review.
        event: What happened, one of `BUILT_IN_EVENTS` or a name that a scenario weighs.
        value: The rating, on the scale of the snapshot, or how often or how many; None without.
        at: Unix seconds; None if unknown.
        context: The circumstances of the event, as `Request.context`.
    """

    item_id: str | None = None
    text: str | None = None
    event: str = DEFAULT_EVENT
    value: float | None = None
    at: float | None = None
    context: Mapping[str, ContextValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Weights:
    """Factor for each block of the item vectors, from -100 to 100; 1 is the tuned weight.

    Attributes:
        meaning: For the text embedding.
        taste: For the block learned from interactions, and for learned neighbours and repeats.
        prior: For the popularity column.
    """

    meaning: float = 1.0
    taste: float = 1.0
    prior: float = 1.0

    @staticmethod
    def parse_weight(value: Any, name: str) -> float:
        """Return a weight as a float.

        Raises:
            RequestError: If it is not a finite number, or its absolute value is over `MAX_WEIGHT`.
        """
        number = parse_finite(value, name)
        if abs(number) > MAX_WEIGHT:
            raise RequestError(
                f"{name} is {number:g}; use a number from -{MAX_WEIGHT} to {MAX_WEIGHT}"
            )
        return number


@dataclass(frozen=True, slots=True)
class Request:
    """One checked request for recommendations.

    Attributes:
        k: Length of the list.
        scenario: Name of a preset; None: the default one.
        history: Events of the user, in any order.
        interests: Topics the user has declared, in words.
        query: What the user typed.
        context: Field to value: place, weather, device; with "time" the time of the request.
        at: Time of the request, Unix seconds; None: now.
        filter: Not parsed here: `metadata.parse_filter` needs the fields of the catalogue.
        exclude: Ids that must not be returned.
        include_seen: Whether items the user has met may be returned; None follows the scenario.
        min_score: Items that score less are not returned.
        fields: Item fields to return; None: all.
        explain: Whether hits carry reasons.
        seed: Of the random generator that draws explored items.
        diversity: Weight of diversity in re-ranking, 0 (none) to 1.
        max_per: Field to how many items of the list may share a value; None follows the scenario.
        explore: Probability that a rank shows an explored item instead, 0 to 1.
        read_wish: Whether the query is read for filters, such as "before 1970".
        validate_only: Return how the request is read instead of recommendations.
        ideal: Description of the ideal item, an additional weighted input with its own reason.
            Written by a language model, so it is not a field of a body.
        seen: Ids of items the user has met besides those of `history`. Not a field of a body.
        seen_by_event: Event to the ids in `seen` it happened with. Scenarios that hide items only
            after some events read this and not `seen`. Not a field of a body.
    """

    user_id: str | None = None
    session_id: str | None = None
    k: int = 10
    scenario: str | None = None
    history: tuple[HistoryEntry, ...] = ()
    interests: tuple[str, ...] = ()
    query: str | None = None
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    at: float | None = None
    filter: Any = None
    exclude: tuple[str, ...] = ()
    include_seen: bool | None = None
    min_score: float | None = None
    weights: Weights = Weights()
    fields: tuple[str, ...] | None = None
    explain: bool = True
    seed: int | None = None
    diversity: float = 0.0
    max_per: Mapping[str, int] | None = None
    boost: tuple[Boost, ...] = ()
    pin: tuple[Pin, ...] = ()
    explore: float = 0.0
    read_wish: bool = True
    validate_only: bool = False
    ideal: str | None = None
    seen: tuple[str, ...] = ()
    seen_by_event: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parse_request(
    body: Mapping[str, Any],
    *,
    max_history: int = MAX_HISTORY,
    scenarios: Mapping[str, Scenario] = SCENARIOS,
) -> Request:
    """Return the request that a body describes; fields that are None count as absent.

    Args:
        body: The fields of POST /v1/recommend.
        max_history: Largest number of history entries.
        scenarios: Event names that one of them weighs are known beside the built-in ones.

    Raises:
        RequestError: Naming the field, its value and what is accepted.
    """
    refuse_unknown(body, _PARSERS, "request")
    parsed = {name: _PARSERS[name](value) for name, value in body.items() if value is not None}
    history = parsed.get("history", ())
    if len(history) > max_history:
        raise RequestError(
            f"history has {len(history)} entries, at most {max_history} are read; "
            f"send the latest ones"
        )
    if not all(
        entry.event in BUILT_IN_EVENTS and (entry.value is None or entry.value > 0)
        for entry in history
    ):
        known = collect_known_events(scenarios)
        parsed["history"] = tuple(
            _resolve_entry(entry, f"history[{position}].event", known)
            for position, entry in enumerate(history)
        )
    at = parsed.pop("at", None)
    context = dict(parsed.get("context", {}))
    if at is not None:
        context.setdefault("time", at)
    if "time" in context:
        parsed["at"] = parse_time(context["time"]).timestamp()
    parsed["context"] = MappingProxyType(context)
    return Request(**parsed)


def _parse_history(value: Any) -> tuple[HistoryEntry, ...]:
    if isinstance(value, HistoryEntry):  # a single entry passes for a list: it is a tuple
        raise RequestError(f"history must be a list, got {format_value(value)}")
    entries = value if isinstance(value, list | tuple) else parse_list(value, "history")
    return tuple(
        _parse_history_entry(entry, f"history[{position}]")
        for position, entry in enumerate(entries)
    )


def _parse_history_entry(value: Any, name: str) -> HistoryEntry:
    if isinstance(value, HistoryEntry):
        return value
    if isinstance(value, str | int):
        return HistoryEntry(item_id=parse_id(value, name))
    if not isinstance(value, Mapping):
        raise RequestError(f"{name} must be an id or an object, got {format_value(value)}")
    if not value.keys() <= _HISTORY_PARSERS.keys():
        refuse_unknown(value, _HISTORY_PARSERS, name)
    parsed = {
        key: _HISTORY_PARSERS[key](part, f"{name}.{key}")
        for key, part in value.items()
        if part is not None
    }
    entry = HistoryEntry(**parsed)
    if entry.item_id is None and entry.text is None:
        raise RequestError(f"{name} has neither item_id nor text; give one of them")
    return entry


def _resolve_entry(entry: HistoryEntry, name: str, known: Collection[str]) -> HistoryEntry:
    """Return the entry with the event that its name and the sign of its value mean."""
    event, value = settle_event(resolve_event(entry.event, name, known), entry.value)
    return entry._replace(event=event, value=value)


def _parse_weights(value: Any) -> Weights:
    if isinstance(value, Weights):
        return value
    if not isinstance(value, Mapping):
        raise RequestError(f"weights must be an object, got {format_value(value)}")
    known = tuple(item.name for item in fields(Weights))
    refuse_unknown(value, known, "weights")
    return Weights(
        **{key: Weights.parse_weight(part, f"weights.{key}") for key, part in value.items()}
    )


def _parse_scenario(value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError(f"scenario must be a name, got {format_value(value)}")
    return value


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "user_id": lambda value: parse_id(value, "user_id"),
    "session_id": lambda value: parse_id(value, "session_id"),
    "k": parse_k,
    "scenario": _parse_scenario,
    "history": _parse_history,
    "interests": lambda value: parse_texts(value, "interests"),
    "query": lambda value: parse_text(value, "query"),
    "context": parse_context,
    "at": lambda value: value if parse_timestamp(value, "at") is not None else None,
    "filter": lambda value: value,
    "exclude": lambda value: tuple(
        parse_id(part, "exclude") for part in parse_list(value, "exclude")
    ),
    "include_seen": lambda value: parse_boolean(value, "include_seen"),
    "min_score": lambda value: parse_finite(value, "min_score"),
    "weights": _parse_weights,
    "fields": lambda value: parse_texts(value, "fields"),
    "explain": lambda value: parse_boolean(value, "explain"),
    "seed": parse_seed,
    "diversity": lambda value: parse_fraction(value, "diversity"),
    "max_per": parse_max_per,
    "boost": parse_boosts,
    "pin": parse_pins,
    "explore": lambda value: parse_fraction(value, "explore"),
    "read_wish": lambda value: parse_boolean(value, "read_wish"),
    "validate_only": lambda value: parse_boolean(value, "validate_only"),
}
_HISTORY_PARSERS: Mapping[str, Callable[[Any, str], Any]] = {
    "item_id": parse_id,
    "text": parse_text,
    "event": parse_event_name,
    "value": parse_finite,
    "at": parse_timestamp,
    "context": parse_context,
}
