"""JSON text to Python values, whole numbers of any length exactly. Pure."""

import json
import re
from typing import Any

import orjson

MAX_DEPTH = 64  # of nested lists and objects; JSON encoders fail at some hundreds
_LONG_NUMBER = re.compile(rb"\d{19}")
_TEXT_OR_LONG_WHOLE = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(?<![\d.])\d{19,}+(?![.eE])', re.DOTALL)


class DeepJsonError(ValueError):
    """JSON is nested more than `MAX_DEPTH` deep."""

    def __init__(self) -> None:
        super().__init__(f"is nested more than {MAX_DEPTH} deep; flatten it")


def parse_json(content: bytes) -> Any:
    """Return the value of JSON text in UTF-8.

    A whole number of more than 64 bits is an `int`, as in a file; orjson alone would round it.

    Raises:
        DeepJsonError: If it is nested too deep.
        ValueError: If it is no JSON, or holds NaN or infinity.
    """
    parsed = orjson.loads(content)
    may_be_deep = content.count(b"[") + content.count(b"{") > MAX_DEPTH
    if may_be_deep and _measure_depth(parsed) > MAX_DEPTH:
        raise DeepJsonError
    return json.loads(content) if _has_long_number(content) else parsed


def _has_long_number(content: bytes) -> bool:
    """Whether a whole number may have more than 64 bits; digits within texts are none."""
    if not _LONG_NUMBER.search(content):
        return False
    return any(not found[0].startswith(b'"') for found in _TEXT_OR_LONG_WHOLE.finditer(content))


def _measure_depth(value: Any) -> int:
    """Return how deep lists and objects are nested; 1 for a flat value."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inner = (node.values() if isinstance(node, dict) else node for node in level)
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    return depth
