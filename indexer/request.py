"""Request body to a checked, frozen request. Pure; the fields of POST /v1/recommend.

Python, the batch script and the service all come through `parse_request`, so a body means the
same on every door.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from indexer.errors import RequestError
from indexer.moment import ContextValue, parse_time
from indexer.scenarios import scenario_named

MAX_K = 1_000
MAX_TEXT = 10_000
MAX_HISTORY = 1_000
MAX_HISTORY_BATCH = 20_000
MAX_LIST = 1_000
MAX_CONTEXT = 64
MAX_CONTEXT_NAME = 100
MAX_WEIGHT = 100  # a float32 score past some hundreds could not equal its shares within 1e-4
DEFAULT_EVENT = "click"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Something the user did or said: an item they met, or words of their own."""

    item_id: str | None = None
    text: str | None = None
    event: str = DEFAULT_EVENT
    value: float | None = None
    at: float | None = None
    context: Mapping[str, ContextValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each block of the vectors counts; 1 is what the snapshot was tuned for."""

    meaning: float = 1.0
    taste: float = 1.0
    prior: float = 1.0

    @staticmethod
    def checked(value: Any, name: str) -> float:
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
        seen: Ids of items the user has met besides those of `history`; no field of a body.
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
    seen: tuple[str, ...] = ()


def parse_request(body: Mapping[str, Any], *, max_history: int = MAX_HISTORY) -> Request:
    """Check a request body.

    Raises:
        RequestError: Naming the field, what it holds and what it may hold.
    """
    _refuse_unknown(body, _PARSERS, "request")
    parsed = {name: _PARSERS[name](value) for name, value in body.items() if value is not None}
    history = parsed.get("history", ())
    if len(history) > max_history:
        raise RequestError(
            f"history has {len(history)} entries, at most {max_history} are read; "
            f"send the latest ones"
        )
    at = parsed.pop("at", None)
    context = dict(parsed.get("context", {}))
    if at is not None:
        context.setdefault("time", at)
    if "time" in context:
        parsed["at"] = parse_time(context["time"]).timestamp()
    parsed["context"] = MappingProxyType(context)
    return Request(**parsed)


def parse_text(value: Any, name: str) -> str | None:
    """Return trimmed text, or None if nothing is left of it.

    Raises:
        RequestError: If it is no text, too long, or cannot be encoded as UTF-8.
    """
    if not isinstance(value, str):
        raise RequestError(f"{name} must be text, got {_shown(value)}")
    text = value.strip()
    if len(text) > MAX_TEXT:
        raise RequestError(
            f"{name} has {len(text)} characters, at most {MAX_TEXT} are read; shorten it"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"{name} holds a lone surrogate and is not valid text; send UTF-8"
        ) from error
    return text or None


def parse_k(value: Any) -> int:
    """Return a list length between 1 and `MAX_K`.

    Raises:
        RequestError: If it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_K:
        raise RequestError(f"k must be a whole number from 1 to {MAX_K}, got {_shown(value)}")
    return value


def parse_id(value: Any, name: str) -> str:
    """Return an id as a non-empty string; whole numbers become strings.

    Raises:
        RequestError: If it is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and 0 < len(value.strip()) <= 512:
        return parse_text(value, name) or ""
    raise RequestError(f"{name} must be an id of 1 to 512 characters, got {_shown(value)}")


def parse_texts(value: Any, name: str) -> tuple[str, ...]:
    """Return the non-empty texts of a list.

    Raises:
        RequestError: If it is no list of texts or too long.
    """
    texts = (parse_text(part, f"{name}[{place}]") for place, part in enumerate(_list(value, name)))
    return tuple(text for text in texts if text)


def _history(value: Any) -> tuple[HistoryEntry, ...]:
    entries = value if isinstance(value, list | tuple) else _list(value, "history")
    return tuple(_history_entry(entry, f"history[{place}]") for place, entry in enumerate(entries))


def _history_entry(value: Any, name: str) -> HistoryEntry:
    if isinstance(value, HistoryEntry):
        return value
    if isinstance(value, str | int):
        return HistoryEntry(item_id=parse_id(value, name))
    if not isinstance(value, Mapping):
        raise RequestError(f"{name} must be an id or an object, got {_shown(value)}")
    _refuse_unknown(value, _HISTORY_PARSERS, name)
    parsed = {
        key: _HISTORY_PARSERS[key](part, f"{name}.{key}")
        for key, part in value.items()
        if part is not None
    }
    entry = HistoryEntry(**parsed)
    if entry.item_id is None and entry.text is None:
        raise RequestError(f"{name} has neither item_id nor text; give one of them")
    return entry


def parse_context(value: Any, name: str = "context") -> dict[str, ContextValue]:
    """Return the circumstances of an object, without those that are null.

    Raises:
        RequestError: If it is no object, or a value is neither a word nor a number.
    """
    if not isinstance(value, Mapping):
        raise RequestError(f"{name} must be an object, got {_shown(value)}")
    if len(value) > MAX_CONTEXT:
        raise RequestError(f"{name} has {len(value)} fields, at most {MAX_CONTEXT} are read")
    parsed = {key: _context_value(key, part, name) for key, part in value.items()}
    return {key: part for key, part in parsed.items() if part is not None}


def _context_value(key: Any, value: Any, name: str) -> ContextValue | None:
    if not isinstance(key, str) or not key.strip() or len(key) > MAX_CONTEXT_NAME:
        raise RequestError(f"{name} has a field named {_shown(key)}; use a short word")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return parse_text(value, f"{name}.{key}")
    return parse_finite(value, f"{name}.{key}", "a word or a finite number")


def _weights(value: Any) -> Weights:
    if isinstance(value, Weights):
        return value
    if not isinstance(value, Mapping):
        raise RequestError(f"weights must be an object, got {_shown(value)}")
    known = {item.name for item in fields(Weights)}
    _refuse_unknown(value, known, "weights")
    return Weights(**{key: Weights.checked(part, f"weights.{key}") for key, part in value.items()})


def parse_finite(value: Any, name: str, expected: str = "a finite number") -> float:
    """Return a number.

    Raises:
        RequestError: If it is none, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(f"{name} must be {expected}, got {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RequestError(f"{name} must be {expected}, got {_shown(value)}")
    return number


def parse_moment(value: Any, name: str) -> float:
    """Return RFC 3339 text or Unix seconds as Unix seconds.

    Raises:
        RequestError: If it is neither.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise RequestError(f"{name} must be a time, got {_shown(value)}")
    return parse_time(value).timestamp()


def _boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise RequestError(f"{name} must be true or false, got {_shown(value)}")
    return value


def _list(value: Any, name: str) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise RequestError(f"{name} must be a list, got {_shown(value)}")
    if len(value) > MAX_LIST:
        raise RequestError(f"{name} has {len(value)} entries, at most {MAX_LIST} are read")
    return value


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise RequestError(f"seed must be a whole number from 0 to 2^63-1, got {_shown(value)}")
    return value


def _scenario(value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError(f"scenario must be a name, got {_shown(value)}")
    return scenario_named(value).name


def _refuse_unknown(body: Mapping[str, Any], known: Any, where: str) -> None:
    for key in body:
        if key not in known:
            close = get_close_matches(str(key), list(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            raise RequestError(f"{where} has an unknown field {_shown(key)}; {hint}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "user_id": lambda value: parse_id(value, "user_id"),
    "session_id": lambda value: parse_id(value, "session_id"),
    "k": parse_k,
    "scenario": _scenario,
    "history": _history,
    "interests": lambda value: parse_texts(value, "interests"),
    "query": lambda value: parse_text(value, "query"),
    "context": parse_context,
    "at": lambda value: value if parse_moment(value, "at") is not None else None,
    "filter": lambda value: value,
    "exclude": lambda value: tuple(parse_id(part, "exclude") for part in _list(value, "exclude")),
    "include_seen": lambda value: _boolean(value, "include_seen"),
    "min_score": lambda value: parse_finite(value, "min_score"),
    "weights": _weights,
    "fields": lambda value: parse_texts(value, "fields"),
    "explain": lambda value: _boolean(value, "explain"),
    "seed": _seed,
}
_HISTORY_PARSERS: Mapping[str, Callable[[Any, str], Any]] = {
    "item_id": parse_id,
    "text": parse_text,
    "event": lambda value, name: parse_id(value, name),
    "value": parse_finite,
    "at": parse_moment,
    "context": parse_context,
}
