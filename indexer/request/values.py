"""One value of a request body to a checked Python value, or to a `RequestError`. Pure.

Every `parse_*` function takes the raw value and, unless the field is always the same, the field's
name for the error message.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from indexer.errors import RequestError
from indexer.field_names import MAX_ID_CHARS
from indexer.request.context import ContextValue, parse_time

_MAX_COMPARED_CHARS = 100  # of an unknown name: comparing takes time quadratic in its length
_NEAREST_CUTOFF = 0.6  # default of difflib
MAX_K = 1_000
MAX_TEXT = 10_000
MAX_LIST = 1_000
MAX_CONTEXT_FIELDS = 64
MAX_CONTEXT_NAME = 100
_MIN_TIMESTAMP_S, _MAX_TIMESTAMP_S = -62_135_596_800, 253_402_300_799  # years 1 to 9999
LOCATION_FIELDS = ("place", "location")  # context fields that may hold coordinates


def parse_text(value: Any, name: str) -> str | None:
    """Return the text without surrounding white space; None if it is blank.

    Raises:
        RequestError: If it is not text, has over `MAX_TEXT` characters, or is not valid UTF-8.
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
    """Refuse text that cannot be encoded as UTF-8.

    Raises:
        RequestError: If it holds a lone surrogate, which JSON allows as an escape.
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
    """Return the length of a list, from 1 to `MAX_K`.

    Raises:
        RequestError: If it is not a whole number in that range.
    """
    return parse_count(value, "k", MAX_K)


def parse_id(value: Any, name: str) -> str:
    """Return an id as a non-empty string; whole numbers become strings.

    Raises:
        RequestError: If it is neither text nor a whole number, blank, or over `MAX_ID_CHARS` long.
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
    """Return the texts of a list, without blank ones.

    Raises:
        RequestError: If it is not a list of texts, or has over `MAX_LIST` entries.
    """
    texts = (
        parse_text(part, f"{name}[{position}]")
        for position, part in enumerate(parse_list(value, name))
    )
    return tuple(text for text in texts if text)


def parse_context(value: Any, name: str = "context") -> dict[str, ContextValue]:
    """Return the fields of a context object, without those that are null or blank.

    Raises:
        RequestError: If it is not an object, has too many fields, or a value is not text, a
            boolean, a finite number, or coordinates in one of `LOCATION_FIELDS`.
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
        RequestError: If one is missing or out of range.
    """
    if not isinstance(value, Mapping):
        raise RequestError(f"{name} must be an object with lat and lon, got {format_value(value)}")
    refuse_unknown(value, ("lat", "lon"), name)
    coordinates = {}
    for key, limit in (("lat", 90), ("lon", 180)):
        degrees = parse_finite(value.get(key), f"{name}.{key}")
        if abs(degrees) > limit:
            raise RequestError(f"{name}.{key} is {degrees:g}; degrees go to {limit}")
        coordinates[key] = degrees
    return coordinates


def parse_finite(value: Any, name: str, expected: str = "a finite number") -> float:
    """Return a number as a float.

    Args:
        value: The raw value.
        name: Of the field.
        expected: What the error message asks for.

    Raises:
        RequestError: If it is not a number, or infinite, NaN or too large for a float.
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
        RequestError: If it is neither, or outside the years 1 to 9999.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise RequestError(f"{name} must be a time, got {format_value(value)}")
    if (
        isinstance(value, int | float)
        and _MIN_TIMESTAMP_S <= value <= _MAX_TIMESTAMP_S
        and value % 1 == 0
    ):
        # Through a datetime this would take a fifth of the time to parse a long history.
        return float(value)
    return parse_time(value).timestamp()


def parse_boolean(value: Any, name: str) -> bool:
    """Return a boolean; unlike in Python, 0 and 1 are refused.

    Raises:
        RequestError: If it is not true or false.
    """
    if not isinstance(value, bool):
        raise RequestError(f"{name} must be true or false, got {format_value(value)}")
    return value


def parse_list(value: Any, name: str, maximum: int = MAX_LIST) -> Sequence[Any]:
    """Return a list or tuple as it is.

    Raises:
        RequestError: If it is not a list, or has over `maximum` entries.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise RequestError(f"{name} must be a list, got {format_value(value)}")
    if len(value) > maximum:
        raise RequestError(f"{name} has {len(value)} entries, at most {maximum} are read")
    return value


def parse_seed(value: Any) -> int:
    """Return the seed of a random generator.

    Raises:
        RequestError: If it is not a whole number from 0 to 2^63-1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise RequestError(
            f"seed must be a whole number from 0 to 2^63-1, got {format_value(value)}"
        )
    return value


def refuse_unknown(names: Iterable[Any], known: Collection[str], where: str) -> None:
    """Refuse names, such as the keys of an object, that are not known.

    Raises:
        RequestError: With the first unknown name and the nearest known one.
    """
    for name in names:
        if name not in known:
            hint = suggest_name(name, known)
            raise RequestError(f"{where} has an unknown field {format_value(name)}; {hint}")


def suggest_name(name: Any, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, or all of them."""
    names = list(known)
    nearest = find_nearest_name(name, names)
    return f"known are {', '.join(names)}" if nearest is None else f"did you mean {nearest!r}?"


def find_nearest_name(
    name: Any, known: Iterable[str], *, cutoff: float = _NEAREST_CUTOFF
) -> str | None:
    """Return the known name most similar to another; None if the similarity is below `cutoff`.

    Similarity is the ratio of `difflib.SequenceMatcher`, from 0 to 1 (equal).
    """
    close = get_close_matches(str(name)[:_MAX_COMPARED_CHARS], list(known), n=1, cutoff=cutoff)
    return close[0] if close else None


def format_value(value: Any) -> str:
    """Return the `repr` of a value, cut to 60 characters, for an error message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse_fraction(value: Any, name: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        RequestError: If it is not a number in that range.
    """
    number = parse_finite(value, name)
    if not 0 <= number <= 1:
        raise RequestError(f"{name} must be a number from 0 to 1, got {format_value(value)}")
    return number


def parse_count(value: Any, name: str, maximum: int) -> int:
    """Return a whole number from 1 to `maximum`.

    Raises:
        RequestError: If it is not a whole number in that range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise RequestError(
            f"{name} must be a whole number from 1 to {maximum}, got {format_value(value)}"
        )
    return value
