"""Unchecked value to checked field: id, number, text, list, time, vector. Pure.

Every parser takes the field's name and a raw value, and raises `BadValueError` with one short
sentence if the field cannot hold the value. See `locations` and `shop_fields` for further ones.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.field_names import MAX_ID_CHARS
from indexer.reading.cell_lists import read_list
from indexer.reading.cells import split_list
from indexer.reading.missing_words import is_missing_word
from indexer.reading.plain_dates import (
    is_excel_day,
    read_datetime,
    read_iso_instant,
    to_instant,
)
from indexer.reading.plain_values import read_amount, read_number, to_finite_number
from indexer.reading.rows import render_value

Parser = Callable[[str, Any], Any]


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_EXACT_INTEGER = 2**53  # above it neighbouring integers are the same float
_YEAR_OR_DAY = re.compile(r"\d{4}|(?:19|20)\d{6}", re.ASCII)
_DAY_DIGITS, _MIN_DAY, _MAX_DAY = 8, 19_000_101, 20_991_231
_TEXT_KEYS = ("text", "name", "value", "rendered")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
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
    """Return a finite number, from a number or from text that is one, perhaps with a currency."""
    if isinstance(value, str):
        amount = read_amount(value)
        if amount is not None:
            return amount.number
        raise BadValueError(f"{name} must be a number, not {VALUE}", value)
    if not is_number(value):
        raise BadValueError(f"{name} must be a number, not {VALUE}", value)
    if to_finite_number(value) is None:
        raise BadValueError(f"{name} must be finite, not {VALUE}", value)
    number: float = value
    return number


def is_missing_for(parser: Parser, value: Any) -> bool:
    """Whether a value is missing for a parser: N/A is, except for text and lists; [] for lists."""
    if is_missing(value):
        return True
    if isinstance(value, str):
        return parser not in _WORD_PARSERS and is_missing_word(value)
    return parser is not parse_list and isinstance(value, list | Mapping) and not value


def parse_text(name: str, value: Any) -> str:
    """Return text, from text or from a number: a film may be called 1917."""
    if isinstance(value, str):
        return value
    if not is_number(value):
        raise BadValueError(f"{name} must be text, not {VALUE}", value)
    return number_to_text(value)


def parse_title(name: str, value: Any) -> str:
    """Return text as `parse_text` does, and from lists and objects.

    The texts of a list are joined by " / ", of an object the `text`, `name`, `value` or `rendered`
    is taken, or the texts of all languages.
    """
    return _join_text(name, value, " / ")


def parse_prose(name: str, value: Any) -> str:
    """Return text as `parse_title` does, the paragraphs of a list in lines of their own."""
    return _join_text(name, value, "\n")


def _join_text(name: str, value: Any, joint: str) -> str:
    parts = _list_parts(value)
    if parts is None:
        return parse_text(name, value)
    return joint.join(_join_text(name, part, joint) for part in parts if not is_missing(part))


def _list_parts(value: Any) -> list[Any] | None:
    """The texts in a list or an object; None if it is neither, or an object of another kind."""
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping):
        return None
    text = next((value[key] for key in _TEXT_KEYS if not is_missing(value.get(key))), None)
    if isinstance(text, str | int | float):
        return [text]
    are_languages = all(map(_LANGUAGE.fullmatch, value)) and all(
        isinstance(part, str) for part in value.values()
    )
    return list(dict.fromkeys(value.values())) if are_languages else None


def parse_list(name: str, value: Any) -> list[str]:
    """Return a list of strings, from a list, from `a|b|c`, one word, or text that spells a list.

    Of entries that are objects the `name` or `text` is taken; nulls and blanks are left out.
    """
    raw = value
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{", "("):
        raw = value if (entries := read_list(value)) is None else entries
    if isinstance(raw, str):
        return split_list(raw)
    if is_number(raw):
        return [number_to_text(raw)]
    if not isinstance(raw, list):
        raise BadValueError(f"{name} must be a list of words, not {VALUE}", value)
    words = (_parse_entry(name, part) for part in raw if not is_missing(part))
    return [word for word in words if word]


def _parse_entry(name: str, part: Any) -> str:
    if isinstance(part, Mapping):
        part = part.get("name", part.get("text"))
    if isinstance(part, str):
        return part.strip()
    if not is_number(part):
        raise BadValueError(f"{name} must hold words or numbers, not {VALUE}", part)
    return number_to_text(part)


def number_to_text(number: float) -> str:
    """Return a number as text; 3.0 is "3"."""
    return str(int(number)) if math.isfinite(number) and number == int(number) else str(number)


def parse_datetime(name: str, value: Any) -> str:
    """Return a date or time in ISO 8601, as `read_datetime` reads it, or from Unix time in UTC.

    A whole number of four digits is a year, and one of eight digits a date if it can be one
    (20240501): as Unix time both would be in 1970. A month (2024-05) is accepted too.
    """
    digits = number_to_text(value) if is_number(value) else str(value).strip()
    if (isinstance(value, str) or _YEAR_OR_DAY.fullmatch(digits)) and (
        iso := read_datetime(digits)
    ):
        return iso
    seconds = parse_unix_seconds(name, value)
    if is_excel_day(seconds):  # a day of Excel more likely than one of 1970
        raise BadValueError(
            f"{name} {VALUE} may be a day number of Excel; write an ISO date", value
        )
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        raise BadValueError(f"{name} {VALUE} is outside the years 1 to 9999", value) from None


def parse_date_seconds(name: str, value: Any) -> float:
    """Return the Unix seconds of what `parse_datetime` reads, of numbers in any year."""
    iso = _read_date(value)
    return parse_unix_seconds(name, value) if iso is None else to_instant(iso)


def _read_date(value: Any) -> str | None:
    """Return a date that is text or looks like one in digits (2024, 20240501) in ISO form."""
    if isinstance(value, str):
        return read_datetime(value)
    digits = number_to_text(value) if is_number(value) else ""
    return read_datetime(digits) if _YEAR_OR_DAY.fullmatch(digits) else None


def parse_unix_seconds(name: str, value: Any) -> float:
    """Return a time as Unix seconds; a date or time without a zone is in UTC.

    A number above 1e11 is milliseconds (as seconds it would be past the year 5000), above 1e14
    microseconds, above 1e17 nanoseconds. Eight digits that can be a date (20240501) are one.
    """
    if isinstance(value, str) and value[4:5] == "-" and (seconds := read_iso_instant(value)):
        return seconds
    number = read_number(value) if isinstance(value, str) else to_finite_number(value)
    if number is not None and (iso := _read_day(number)):
        return to_instant(iso)
    if number is not None:
        unit = next((unit for least, unit in _UNIX_UNITS if abs(number) > least), 1)
        return number / unit
    iso = read_datetime(value) if isinstance(value, str) else None
    if iso is None:
        raise BadValueError(f"{name} must be an ISO date or Unix seconds, not {VALUE}", value)
    return to_instant(iso)


def _read_day(number: float) -> str | None:
    """A day written as a number of eight digits in ISO form; None if it is none."""
    if not _MIN_DAY <= number <= _MAX_DAY:
        return None
    digits = number_to_text(number)
    return read_datetime(digits) if len(digits) == _DAY_DIGITS else None


_WORD_PARSERS: tuple[Parser, ...] = (parse_text, parse_title, parse_prose, parse_list)


def parse_vector(name: str, value: Any) -> NDArray[np.float32]:
    """Return `(d,) float32`, finite and not all zeros, from a list or the JSON text of one."""
    raw = parse_json(value) if isinstance(value, str) else value
    if not isinstance(raw, list) or not raw or not all(map(is_number, raw)):
        raise BadValueError(f"{name} must be a list of numbers, not {VALUE}", value)
    with np.errstate(over="ignore"):
        vector = np.array(raw, dtype=np.float64).astype(np.float32)
    if not np.isfinite(vector).all():
        raise BadValueError(f"{name} must hold finite numbers only")
    if not vector.any():
        raise BadValueError(f"{name} is all zeros, so it points nowhere")
    return vector


def is_number(part: Any) -> bool:
    """Whether a value is a number; a boolean is none."""
    return isinstance(part, int | float) and not isinstance(part, bool)


def parse_json(text: str) -> Any:
    """Decode text that is a JSON object or list; return any other text unchanged."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, list | dict) else text
