r"""Cells of a source to plain Python values: CSV text by column, other objects one by one.

A CSV column gets one type for the whole file, so that filters compare values of one type:

* Titles, prose, reviews and ids (`id`, `movie_id`, `movieId`, `isbn`, …) always stay text.
* Tag columns (`tags`, `genres`, `mood`, …) stay text; `a|b|c` in them becomes a list.
* Otherwise numbers, if every cell is written as programs write numbers: `-3`, `9.90`, `1e-05`. Not
  `007`, `+1`, `.5`, `1e5` or more than 15 whole digits: those are names that consist of digits.
* Otherwise booleans, if every cell is `true` or `false` in any case.
* Otherwise text, and a list in the rows that have `a|b|c`.

An empty cell, or the `\N` of database dumps, is missing; so is `nan` in a column of numbers.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import orjson

from indexer.field_names import PROSE_FIELDS, REVIEW_FIELDS, TAG_FIELDS, TITLE_FIELDS

Conversion = Callable[[str], Any]

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d+)?(?:e[-+]\d{2,3})?", re.ASCII)
_IDENTIFIER = re.compile(
    r"(?:^|_)(?:id|ids|uuid|guid|isbn|sku|asin|ean|upc|barcode)(?:$|_)|^(?:user|item)$"
)
_CAMEL_IDENTIFIER = re.compile(r"[a-z0-9](?:Id|ID|Ids|IDs)$")


def is_identifier(column: str) -> bool:
    """Whether a column holds identifiers, so that its digits are not a quantity."""
    return bool(_IDENTIFIER.search(column.lower()) or _CAMEL_IDENTIFIER.search(column))


class CsvColumn:
    """Infers the type of one CSV column: `observe` every cell, then read `conversion`."""

    __slots__ = (
        "_is_tags",
        "_is_text",
        "_is_whole",
        "_may_be_booleans",
        "_may_be_numbers",
        "_value_count",
    )

    def __init__(self, *names: str) -> None:
        """Take the column's own name and the field names it is mapped to."""
        text_fields = {*TITLE_FIELDS, *PROSE_FIELDS, *REVIEW_FIELDS}
        self._is_text = any(name in text_fields or is_identifier(name) for name in names)
        self._is_tags = any(name in TAG_FIELDS for name in names)
        self._may_be_numbers = self._may_be_booleans = not (self._is_text or self._is_tags)
        self._is_whole = True
        self._value_count = 0  # number or boolean cells; a column without any stays text

    @property
    def is_undecided(self) -> bool:
        """Whether a further cell could still change the type."""
        return self._may_be_numbers or self._may_be_booleans

    def observe(self, cell: str) -> None:
        """Rule out the types that a cell does not fit."""
        stripped = cell.strip()
        if is_missing_cell(stripped):
            return
        if self._may_be_booleans:
            self._may_be_booleans = stripped.lower() in _BOOLEAN_WORDS
            self._value_count += self._may_be_booleans
        if self._may_be_numbers and stripped.lower() != "nan":
            self._may_be_numbers = _is_number(stripped)
            self._value_count += self._may_be_numbers
            self._is_whole = self._is_whole and "." not in stripped and "e" not in stripped

    @property
    def conversion(self) -> Conversion:
        """The function from a cell of this column to its value."""
        if self._is_text or (self.is_undecided and not self._value_count):
            return _convert_text
        if self._may_be_numbers:
            return _convert_integer if self._is_whole else _convert_number
        return _convert_boolean if self._may_be_booleans else _convert_text_or_list


_BOOLEAN_WORDS = {"true": True, "false": False}


def is_missing_cell(cell: str) -> bool:
    r"""Whether a CSV cell is empty, or the `\N` of database dumps."""
    return not cell or cell == "\\N" or cell.isspace()


def _is_number(stripped: str) -> bool:
    return bool(_NUMBER.fullmatch(stripped)) and math.isfinite(float(stripped))


def _convert_text(cell: str) -> str | None:
    return None if is_missing_cell(cell) else cell


def _convert_number(cell: str) -> float | None:
    return None if is_missing_cell(cell) or cell.strip().lower() == "nan" else float(cell)


def _convert_integer(cell: str) -> int | None:
    return None if is_missing_cell(cell) or cell.strip().lower() == "nan" else int(cell)


def _convert_boolean(cell: str) -> bool | None:
    return None if is_missing_cell(cell) else _BOOLEAN_WORDS[cell.strip().lower()]


def _convert_text_or_list(cell: str) -> str | list[str] | None:
    if is_missing_cell(cell):
        return None
    return split_list(cell) if "|" in cell else cell


def split_list(text: str) -> list[str]:
    """Return the non-empty parts of `a|b|c`."""
    return [part.strip() for part in text.split("|") if part.strip()]


def to_plain(value: Any) -> Any:
    """Return a database or Parquet value as a JSON-compatible one; None for a missing value.

    Dates and times become ISO 8601 text, decimals floats, mappings dicts and sequences lists. NaN
    and bytes become None: an image in one column is no reason to refuse the whole item.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {str(key): _to_plain_nested(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_plain_nested(part) for part in value]
    return _to_plain_object(value)


def _to_plain_nested(value: Any) -> Any:
    """As `to_plain`, but keeps NaN: a vector that contains one must be refused, not shortened."""
    return float(value) if isinstance(value, float) else to_plain(value)


def _to_plain_object(value: Any) -> Any:
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return to_plain(float(value))
        case timedelta():
            return value.total_seconds()
        case np.ndarray():
            return to_plain(value.tolist())
        case bytes() | bytearray() | memoryview():
            return None
    return str(value)


def parse_json_text(column: str, value: Any) -> Any:
    """Decode text that is a JSON object or array; return anything else unchanged.

    Titles, prose and ids are never decoded: a film may be called `[REC]`.
    """
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    if column in TITLE_FIELDS or column in PROSE_FIELDS or is_identifier(column):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def parse_json_cell(column: str, value: Any) -> Any:
    """Decode a cell of a column whose declared type is JSON, whatever the column is called.

    SQLite does not enforce declared types, so text that is not JSON is returned unchanged.
    """
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value
