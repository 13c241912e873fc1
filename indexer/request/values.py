"""One value of a request body to what it means, or to a sentence that says what is wrong. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from indexer.errors import RequestError
from indexer.field_names import MAX_ID_CHARS
from indexer.request.context import ContextValue, parse_time

_MAX_COMPARED_CHARS = 100  # of a wrong name: comparing costs the square of its length
MAX_K = 1_000
MAX_TEXT = 10_000
MAX_LIST = 1_000
MAX_CONTEXT_FIELDS = 64
MAX_CONTEXT_NAME = 100
_MIN_TIMESTAMP_S, _MAX_TIMESTAMP_S = -62_135_596_800, 253_402_300_799  # of the years 1 to 9999
LOCATION_FIELDS = ("place", "location")  # context fields that may hold coordinates


def parse_text(value: Any, name: str) -> str | None:
    """Return trimmed text, or None if nothing is left of it.

    Raises:
        RequestError: If it is no text, too long, or cannot be encoded as UTF-8.
    """
    if not isinstance(value, str):
        raise RequestError(f"{name} must be text, got {format_value(value)}")
    text = value.strip()
    if len(text) > MAX_TEXT:
        raise RequestError(
            f"{name} has {len(text)} characters, at most {MAX_TEXT} are read; shorten it"
        )
    refuse_surrogates(text, name)
    return text or None


def refuse_surrogates(text: str, name: str) -> None:
    """Raise for what cannot be written as UTF-8.

    Raises:
        RequestError: Naming the field.
    """
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"{name} holds a lone surrogate and is not valid text; send UTF-8"
        ) from error


def parse_k(value: Any) -> int:
    """Return a list length between 1 and `MAX_K`.

    Raises:
        RequestError: If it is anything else.
    """
    return parse_count(value, "k", MAX_K)


def parse_id(value: Any, name: str) -> str:
    """Return an id as a non-empty string; whole numbers become strings.

    Raises:
        RequestError: If it is neither.
    """
    if isinstance(value, str):
        if 0 < len(value.strip()) <= MAX_ID_CHARS:
            return parse_text(value, name) or ""
    elif isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RequestError(
        f"{name} must be an id of 1 to {MAX_ID_CHARS} characters, got {format_value(value)}"
    )


def parse_texts(value: Any, name: str) -> tuple[str, ...]:
    """Return the non-empty texts of a list.

    Raises:
        RequestError: If it is no list of texts or too long.
    """
    texts = (
        parse_text(part, f"{name}[{position}]")
        for position, part in enumerate(parse_list(value, name))
    )
    return tuple(text for text in texts if text)


def parse_context(value: Any, name: str = "context") -> dict[str, ContextValue]:
    """Return the circumstances of an object, without those that are null.

    Raises:
        RequestError: If it is no object, or a value is neither a word nor a number.
    """
    if not isinstance(value, Mapping):
        raise RequestError(f"{name} must be an object, got {format_value(value)}")
    if len(value) > MAX_CONTEXT_FIELDS:
        raise RequestError(f"{name} has {len(value)} fields, at most {MAX_CONTEXT_FIELDS} are read")
    parsed = {}
    for key, part in value.items():
        context_value = _parse_context_value(key, part, name)
        if context_value is not None:
            parsed[key] = context_value
    return parsed


def _parse_context_value(key: Any, value: Any, name: str) -> ContextValue | None:
    if not isinstance(key, str) or not key.strip() or len(key) > MAX_CONTEXT_NAME:
        raise RequestError(f"{name} has a field named {format_value(key)}; use a short word")
    if isinstance(value, str):
        if key == "time" and not value.strip():
            raise RequestError(f"{name}.time is empty; give a time, or leave it out for now")
        return parse_text(value, f"{name}.{key}")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping) and key in LOCATION_FIELDS:
        return parse_coordinates(value, f"{name}.{key}")
    return parse_finite(value, f"{name}.{key}", "a word or a finite number")


def parse_coordinates(value: Any, name: str) -> dict[str, float]:
    """Return `{"lat", "lon"}` in degrees.

    Raises:
        RequestError: If one is missing or not on Earth.
    """
    if not isinstance(value, Mapping):
        raise RequestError(f"{name} must be an object with lat and lon, got {format_value(value)}")
    refuse_unknown(value, ("lat", "lon"), name)
    context_value = {}
    for key, limit in (("lat", 90), ("lon", 180)):
        context_value[key] = parse_finite(value.get(key), f"{name}.{key}")
        if abs(context_value[key]) > limit:
            raise RequestError(f"{name}.{key} is {context_value[key]:g}; degrees go to {limit}")
    return context_value


def parse_finite(value: Any, name: str, expected: str = "a finite number") -> float:
    """Return a number.

    Raises:
        RequestError: If it is none, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(f"{name} must be {expected}, got {format_value(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RequestError(f"{name} must be {expected}, got {format_value(value)}")
    return number


def parse_timestamp(value: Any, name: str) -> float:
    """Return RFC 3339 text or Unix seconds as Unix seconds.

    Raises:
        RequestError: If it is neither.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise RequestError(f"{name} must be a time, got {format_value(value)}")
    if isinstance(value, int) and _MIN_TIMESTAMP_S <= value <= _MAX_TIMESTAMP_S:
        return float(value)  # through a datetime it would be a fifth of reading a long history
    return parse_time(value).timestamp()


def parse_boolean(value: Any, name: str) -> bool:
    """Return true or false; nothing else passes for it."""
    if not isinstance(value, bool):
        raise RequestError(f"{name} must be true or false, got {format_value(value)}")
    return value


def parse_list(value: Any, name: str) -> Sequence[Any]:
    """Return a list of at most `MAX_LIST_VALUES` values."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise RequestError(f"{name} must be a list, got {format_value(value)}")
    if len(value) > MAX_LIST:
        raise RequestError(f"{name} has {len(value)} entries, at most {MAX_LIST} are read")
    return value


def parse_seed(value: Any) -> int:
    """Return a seed of a random generator."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise RequestError(
            f"seed must be a whole number from 0 to 2^63-1, got {format_value(value)}"
        )
    return value


def refuse_unknown(body: Mapping[str, Any], known: Any, where: str) -> None:
    """Raise for the first name that is not known, with the nearest that is."""
    for key in body:
        if key not in known:
            hint = suggest_name(key, known)
            raise RequestError(f"{where} has an unknown field {format_value(key)}; {hint}")


def suggest_name(name: Any, known: Iterable[str]) -> str:
    """Return the end of a message about a wrong name: the nearest known one, or all of them."""
    names = list(known)
    close = get_close_matches(str(name)[:_MAX_COMPARED_CHARS], names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"


def format_value(value: Any) -> str:
    """Return a value as an error message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse_fraction(value: Any, name: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        RequestError: If it is anything else.
    """
    number = parse_finite(value, name)
    if not 0 <= number <= 1:
        raise RequestError(f"{name} must be a number from 0 to 1, got {format_value(value)}")
    return number


def parse_count(value: Any, name: str, maximum: int) -> int:
    """Return a whole number from 1 to `maximum`.

    Raises:
        RequestError: If it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise RequestError(
            f"{name} must be a whole number from 1 to {maximum}, got {format_value(value)}"
        )
    return value
