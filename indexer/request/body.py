"""Request body to a checked, frozen request. Pure; the fields of POST /v1/recommend.

Python, the batch script and the service all come through `parse_request`, so a body means the
same on every door.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, NamedTuple

from indexer.errors import RequestError
from indexer.request.context import ContextValue, parse_time
from indexer.request.event_names import collect_known_events, parse_event_name, refuse_misspelt
from indexer.request.ranking_options import Boost, Pin, parse_boosts, parse_max_per, parse_pins
from indexer.request.scenarios import SCENARIOS, Scenario
from indexer.request.values import (
    MAX_K,
    MAX_TEXT,
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

__all__ = [
    "MAX_HISTORY",
    "MAX_HISTORY_BATCH",
    "MAX_K",
    "MAX_TEXT",
    "HistoryEntry",
    "Request",
    "Weights",
    "parse_context",
    "parse_finite",
    "parse_id",
    "parse_request",
    "parse_text",
    "parse_timestamp",
]

MAX_HISTORY = 1_000
MAX_HISTORY_BATCH = 20_000
MAX_WEIGHT = 100  # a float32 score past some hundreds could not equal its shares within 1e-4
DEFAULT_EVENT = "click"


class HistoryEntry(NamedTuple):
    """Something the user did or said: an item they met, or words of their own.

    A tuple, for a request makes hundreds: a frozen dataclass takes three times as long.
    """

    item_id: str | None = None
    text: str | None = None
    event: str = DEFAULT_EVENT
    value: float | None = None
    at: float | None = None
    context: Mapping[str, ContextValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each block of the vectors counts; 1 is what the snapshot was tuned for."""

    meaning: float = 1.0
    taste: float = 1.0
    prior: float = 1.0

    @staticmethod
    def parse_weight(value: Any, name: str) -> float:
        """Return a weight as a number.

        Raises:
            RequestError: If it is none, or its size is over `MAX_WEIGHT`.
        """
        number = parse_finite(value, name)
        if abs(number) > MAX_WEIGHT:
            raise RequestError(
                f"{name} is {number:g}; use a number from -{MAX_WEIGHT} to {MAX_WEIGHT}"
            )
        return number


@dataclass(frozen=True, slots=True)
class Request:
    """One question: for whom, when and where, out of which items, how many.

    Attributes:
        at: The moment asked about, Unix seconds; None: now.
        fields: Item fields to return; None: all.
        include_seen: None follows the scenario.
        max_per: None follows the scenario.
        validate_only: Explain how the request is read instead of answering it.
        ideal: The item that would be right, in words; one more input with a reason of its own. No
            field of a body: a language model writes it.
        seen: Ids of items the user has met besides those of `history`; no field of a body.
        seen_by_event: Event to ids, the same apart; where it is given, `seen` is not looked at by
            scenarios that count only some events. No field of a body.
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
    """Check a request body.

    Args:
        body: The fields of POST /v1/recommend.
        max_history: How many entries are read.
        scenarios: Events that one of them names are known.

    Raises:
        RequestError: Naming the field, what it holds and what it may hold.
    """
    refuse_unknown(body, _PARSERS, "request")
    parsed = {name: _PARSERS[name](value) for name, value in body.items() if value is not None}
    history = parsed.get("history", ())
    if len(history) > max_history:
        raise RequestError(
            f"history has {len(history)} entries, at most {max_history} are read; "
            f"send the latest ones"
        )
    known = collect_known_events(scenarios)
    for position, entry in enumerate(history):
        refuse_misspelt(entry.event, f"history[{position}].event", known)
    at = parsed.pop("at", None)
    context = dict(parsed.get("context", {}))
    if at is not None:
        context.setdefault("time", at)
    if "time" in context:
        parsed["at"] = parse_time(context["time"]).timestamp()
    parsed["context"] = MappingProxyType(context)
    return Request(**parsed)


def _parse_history(value: Any) -> tuple[HistoryEntry, ...]:
    if isinstance(value, HistoryEntry):  # a tuple, but one entry
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


def _parse_weights(value: Any) -> Weights:
    if isinstance(value, Weights):
        return value
    if not isinstance(value, Mapping):
        raise RequestError(f"weights must be an object, got {format_value(value)}")
    known = {item.name for item in fields(Weights)}
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
