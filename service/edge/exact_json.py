"""JSON text to Python values, whole numbers of any length exactly. Pure."""

import json
import re
from typing import Any

import orjson

_LONG_NUMBER = re.compile(rb"\d{19}")


def parse_json(content: bytes) -> Any:
    """Return the value of JSON text in UTF-8.

    A whole number of more than 64 bits is an `int`, as in a file; orjson alone would round it.

    Raises:
        ValueError: If it is no JSON, or holds NaN or infinity.
    """
    parsed = orjson.loads(content)
    return json.loads(content) if _LONG_NUMBER.search(content) else parsed
