"""Cells of a source to plain Python values, one by one; which columns hold identifiers."""

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import orjson

from indexer.field_names import PROSE_FIELDS, TITLE_FIELDS

_IDENTIFIER = re.compile(
    r"(?:^|_)(?:id|ids|uuid|guid|isbn|sku|asin|ean|upc|barcode)(?:$|_)|^(?:user|item)$"
)
_CAMEL_IDENTIFIER = re.compile(r"[a-z0-9](?:Id|ID|Ids|IDs)$")

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # in binary data, and not in text


def is_identifier(column: str) -> bool:
    """Whether a column holds identifiers, so that its digits are not a quantity."""
    return bool(_IDENTIFIER.search(column.lower()) or _CAMEL_IDENTIFIER.search(column))


def is_missing_cell(cell: str) -> bool:
    r"""Whether a CSV cell is empty, or the `\N` of database dumps."""
    return not cell or cell == "\\N" or cell.isspace()


def split_list(text: str) -> list[str]:
    """Return the non-empty parts of `a|b|c`."""
    return [stripped for part in text.split("|") if (stripped := part.strip())]


def to_plain(value: Any) -> Any:
    """Return a database or Parquet value as a JSON-compatible one; None for a missing value.

    Dates and times become ISO 8601 text, decimals numbers, mappings dicts and sequences lists. NaN,
    infinities and bytes become None: an image in one column is no reason to refuse the item.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_to_key(key): _to_plain_nested(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_plain_nested(part) for part in value]
    return _to_plain_object(value)


def _to_plain_nested(value: Any) -> Any:
    """As `to_plain`, but keeps NaN: a vector that contains one must be refused, not shortened.

    Bytes that are text are read: Spark writes so the keys and values of maps.
    """
    if isinstance(value, bytes):
        return decode_text(value)
    return float(value) if isinstance(value, float) else to_plain(value)


def _to_key(key: Any) -> str:
    text = decode_text(key) if isinstance(key, bytes) else None
    return str(key) if text is None else text


def decode_text(value: bytes) -> str | None:
    """Return the text of bytes in UTF-8; None if they are something else, such as an image."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _to_plain_object(value: Any) -> Any:
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return int(value) if _is_whole(value) else to_plain(float(value))
        case timedelta():
            return value.total_seconds()
        case np.ndarray():
            return to_plain(value.tolist())
        case bytes() | bytearray() | memoryview():
            return None
    return str(value)


def _is_whole(number: Decimal) -> bool:
    """Whether a decimal was written as a whole number: as a float it may not be exact."""
    return number.is_finite() and number.as_tuple().exponent == 0


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
