"""Unchecked value to checked field: id, number, boolean, text, list, location, time, vector. Pure.

Every parser takes the field's name and a raw value, and raises `BadValueError` with one short
sentence if the field cannot hold the value.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.field_names import MAX_ID_CHARS
from indexer.reading.cells import split_list
from indexer.reading.rows import render_value

Parser = Callable[[str, Any], Any]


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_SHORT_DATE = re.compile(r"\d{4}(?:-(?:0[1-9]|1[0-2]))?", re.ASCII)
_BOOLEAN_WORDS = {
    "true": True, "yes": True, "1": True, "1.0": True,
    "false": False, "no": False, "0": False, "0.0": False,
}  # fmt: skip
_LATITUDES, _LONGITUDES = ("lat", "latitude"), ("lon", "lng", "longitude")
_MAX_EXACT_INTEGER = 2**53  # above it neighbouring integers are the same float
_MAX_DIGITS = 400  # the largest float has fewer
_MAX_NUMBER = 1e300  # whole numbers much larger do not fit a float
_UNIX_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # nano-, micro-, milliseconds


VALUE = "\0"  # in a message: where the value is shown


class BadValueError(ValueError):
    """A field cannot hold a value; the message is the reason of the `Rejection`.

    Args:
        message: With `VALUE` where the value is shown.
        value: What the field was to hold.

    Attributes:
        anonymous_message: The message without the value, which may be a person's.
    """

    def __init__(self, message: str, value: Any = None) -> None:
        super().__init__(message.replace(VALUE, render_value(value)))
        self.anonymous_message = message.replace(VALUE, "…")


def is_missing(value: Any) -> bool:
    """Whether a value is missing: null, NaN, or an empty or blank string."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, float) and math.isnan(value))


def parse_id(name: str, value: Any) -> str:
    """Return an id as a string without surrounding spaces; 12 and 12.0 are both "12"."""
    if is_missing(value) and not (isinstance(value, str) and _CONTROL.search(value)):
        raise BadValueError(f"{name} is missing")
    if isinstance(value, str):
        return _check_id(name, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValueError(f"{name} must be a string or a number, not {VALUE}", value)
    if isinstance(value, float) and not abs(value) < _MAX_EXACT_INTEGER:
        raise BadValueError(f"{name} {VALUE} is too large to be exact; write it in quotes", value)
    return str(int(value) if value == int(value) else value)


def _check_id(name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise BadValueError(f"{name} {VALUE} has control characters", value)
    stripped = value.strip()
    if len(stripped) > MAX_ID_CHARS:
        raise BadValueError(
            f"{name} {VALUE} has {len(stripped)} characters; at most {MAX_ID_CHARS} are allowed",
            stripped,
        )
    return stripped


def parse_number(name: str, value: Any) -> float:
    """Return a finite number, from a number or from text that is one."""
    number = value
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        # Python refuses to parse integers of thousands of digits; as a float they are infinite and
        # get the message below.
        is_whole = len(value) <= _MAX_DIGITS and not re.search(r"[.eE]", value)
        number = int(value) if is_whole else float(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise BadValueError(f"{name} must be a number, not {VALUE}", value)
    if not math.isfinite(number) or abs(number) > _MAX_NUMBER:
        raise BadValueError(f"{name} must be finite, not {VALUE}", value)
    return number


def is_missing_for(parser: Parser, value: Any) -> bool:
    """Whether a value is missing for a parser: "nan" is too, except for text and lists."""
    if is_missing(value):
        return True
    is_nan_text = isinstance(value, str) and value.strip().lower() == "nan"
    return is_nan_text and parser not in (parse_text, parse_list)


def parse_boolean(name: str, value: Any) -> bool:
    """Return a boolean, from true/false, yes/no or 1/0 in any case."""
    answer = _BOOLEAN_WORDS.get(str(value).strip().lower())
    if answer is None:
        raise BadValueError(f"{name} must be true or false, not {VALUE}", value)
    return answer


def parse_text(name: str, value: Any) -> str:
    """Return text, from text or from a number: a film may be called 1917."""
    if isinstance(value, str):
        return value
    if not _is_number(value):
        raise BadValueError(f"{name} must be text, not {VALUE}", value)
    return _number_to_text(value)


def parse_list(name: str, value: Any) -> list[str]:
    """Return a list of strings, from a list, from `a|b|c`, from one word or from JSON text.

    Of entries that are objects the `name` or `text` is taken; nulls and blanks are left out.
    """
    raw = _parse_json(value) if isinstance(value, str) and value.lstrip()[:1] == "[" else value
    if isinstance(raw, str):
        return split_list(raw)
    if _is_number(raw):
        return [_number_to_text(raw)]
    if not isinstance(raw, list):
        raise BadValueError(f"{name} must be a list of words, not {VALUE}", value)
    words = (_parse_entry(name, part) for part in raw if not is_missing(part))
    return [word for word in words if word]


def _parse_entry(name: str, part: Any) -> str:
    if isinstance(part, Mapping):
        part = part.get("name", part.get("text"))
    if isinstance(part, str):
        return part.strip()
    if not _is_number(part):
        raise BadValueError(f"{name} must hold words or numbers, not {VALUE}", part)
    return _number_to_text(part)


def _number_to_text(number: float) -> str:
    return str(int(number)) if math.isfinite(number) and number == int(number) else str(number)


def parse_location(name: str, value: Any) -> dict[str, Any]:
    """Return `{"lat", "lon"}` in degrees, from an object, its JSON text, or "lat,lon"."""
    raw = _parse_json(value) if isinstance(value, str) else value
    if isinstance(raw, str) and raw.count(",") == 1:
        raw = dict(zip(("lat", "lon"), raw.split(","), strict=True))
    if not isinstance(raw, Mapping) or find_coordinates(raw) is None:
        raise BadValueError(
            f'{name} must be {{"lat", "lon"}} or "lat,lon", not {VALUE}; '
            "a place name belongs in another column, such as city",
            value,
        )
    extras = {key: part for key, part in raw.items() if key not in _LATITUDES + _LONGITUDES}
    return {**parse_coordinates(name, raw), **extras}


def find_coordinates(values: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Return the raw latitude and longitude of an object or a row; None unless it has both."""
    lat = next((values[key] for key in _LATITUDES if not is_missing(values.get(key))), None)
    lon = next((values[key] for key in _LONGITUDES if not is_missing(values.get(key))), None)
    return None if lat is None or lon is None else (lat, lon)


def parse_coordinates(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"lat", "lon"}` in degrees of an object or a row that has both coordinates."""
    lat, lon = find_coordinates(values) or (None, None)
    return {
        "lat": _parse_degrees(f"{name} lat", lat, 90),
        "lon": _parse_degrees(f"{name} lon", lon, 180),
    }


def _parse_degrees(name: str, value: Any, limit: int) -> float:
    degrees = parse_number(name, value)
    if abs(degrees) > limit:
        raise BadValueError(f"{name} must be between -{limit} and {limit}, not {VALUE}", value)
    return degrees


def parse_datetime(name: str, value: Any) -> str:
    """Return an ISO date or time unchanged, and Unix time as ISO text in UTC.

    A whole number of four digits is a year, and one of eight digits a date if it can be one
    (20240501): as Unix time both would be in 1970. A month (2024-05) is accepted too.
    """
    digits = _number_to_text(value) if _is_number(value) else str(value).strip()
    if _SHORT_DATE.fullmatch(digits):
        return digits
    if re.fullmatch(r"(?:19|20)\d{6}", digits) and (day := _parse_basic_date(digits)):
        return day
    if isinstance(value, str) and not _NUMBER.fullmatch(digits):
        _parse_iso_seconds(name, value)
        return value
    seconds = parse_unix_seconds(name, value)
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        raise BadValueError(f"{name} {VALUE} is outside the years 1 to 9999", value) from None


def _parse_basic_date(digits: str) -> str | None:
    try:
        return date.fromisoformat(digits).isoformat()
    except ValueError:
        return None


def parse_unix_seconds(name: str, value: Any) -> float:
    """Return a time as Unix seconds; an ISO time without a zone is in UTC.

    A number above 1e11 is milliseconds (as seconds it would be past the year 5000), above 1e14
    microseconds, above 1e17 nanoseconds.
    """
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return _parse_iso_seconds(name, value)
    try:
        number = parse_number(name, value)
    except BadValueError:
        raise _make_time_error(name, value) from None
    return next((number / unit for least, unit in _UNIX_UNITS if abs(number) > least), number)


def _parse_iso_seconds(name: str, value: str) -> float:
    try:
        parsed_time = datetime.fromisoformat(value.strip())
        return (parsed_time if parsed_time.tzinfo else parsed_time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise _make_time_error(name, value) from None


def _make_time_error(name: str, value: Any) -> BadValueError:
    return BadValueError(f"{name} must be an ISO date or Unix seconds, not {VALUE}", value)


def parse_vector(name: str, value: Any) -> NDArray[np.float32]:
    """Return `(d,) float32`, finite and not all zeros, from a list or the JSON text of one."""
    raw = _parse_json(value) if isinstance(value, str) else value
    if not isinstance(raw, list) or not raw or not all(map(_is_number, raw)):
        raise BadValueError(f"{name} must be a list of numbers, not {VALUE}", value)
    with np.errstate(over="ignore"):
        vector = np.array(raw, dtype=np.float64).astype(np.float32)
    if not np.isfinite(vector).all():
        raise BadValueError(f"{name} must hold finite numbers only")
    if not vector.any():
        raise BadValueError(f"{name} is all zeros, so it points nowhere")
    return vector


def _is_number(part: Any) -> bool:
    return isinstance(part, int | float) and not isinstance(part, bool)


def _parse_json(text: str) -> Any:
    """Decode text that is a JSON object or list; return any other text unchanged."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, list | dict) else text
