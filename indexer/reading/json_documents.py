"""Objects as databases and Python write them to plain values. Pure.

MongoDB writes `{"$oid": "5f9f…"}` for an id, Elasticsearch a document as the `_source` beside its
`_id`, GraphQL the entries of a list as `{"edges": [{"node": …}]}` (Relay's cursor connections),
Python a dict as `{'id': 1}`.
"""

import math
from typing import Any

from indexer.reading.cell_lists import read_structure

_DATE = "$date"
_CONNECTION = frozenset(("edges", "pageInfo", "totalCount", "__typename"))
_EDGE = frozenset(("node", "cursor", "__typename"))
_MAX_DEPTH = 10  # that is looked into
_MAX_DIGITS = 20  # of a whole number of 64 bits
_PLAIN_MARKS = frozenset(("$oid", _DATE, "$numberLong", "$uuid"))
_NUMBER_MARKS = frozenset(("$numberInt", "$numberDouble", "$numberDecimal"))


def read_python_object(text: bytes) -> dict[Any, Any] | None:
    """Return the dict that Python printed so; None if it did not, or if it is very long."""
    try:
        value = read_structure(text.decode())
    except UnicodeDecodeError:
        return None
    return value if isinstance(value, dict) and all(isinstance(n, str) for n in value) else None


def unwrap_document(value: Any, text: bytes) -> Any:
    """Return an object without what a database writes around it and its values.

    Args:
        value: What was read.
        text: Which it was read from.
    """
    if isinstance(value, dict) and isinstance(source := value.get("_source"), dict):
        is_named = "_id" not in value or source.get("id") is not None
        value = source if is_named else {**source, "_id": value["_id"]}
    if b'"node"' in text or b'"edges"' in text:
        value = _unwrap_nodes(value, _MAX_DEPTH)
    return _unwrap_values(value) if b'"$' in text else value


def _unwrap_nodes(value: Any, depth: int) -> Any:
    """Return a value with plain lists for those of GraphQL, and the node for an edge."""
    if isinstance(value, list) and depth:
        return [_unwrap_nodes(entry, depth - 1) for entry in value]
    if not depth or not isinstance(value, dict):
        return value
    edges = value.get("edges")
    if isinstance(edges, list) and value.keys() <= _CONNECTION and all(map(_is_edge, edges)):
        return [_unwrap_nodes(edge, depth - 1) for edge in edges]
    if _is_edge(value):
        return _unwrap_nodes(value["node"], depth - 1)
    return {name: _unwrap_nodes(inner, depth - 1) for name, inner in value.items()}


def _is_edge(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("node"), dict) and value.keys() <= _EDGE


def _unwrap_values(value: Any) -> Any:
    """Return a value without the types that MongoDB names, to a depth that an item has at most."""
    return _unwrap(value, _MAX_DEPTH)


def _unwrap(value: Any, depth: int) -> Any:
    if not depth:
        return value
    if isinstance(value, list):
        return [_unwrap(entry, depth - 1) for entry in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((mark, inner),) = value.items()
        if mark in _NUMBER_MARKS and isinstance(inner, str):
            return _read_number(inner)
        if mark in _PLAIN_MARKS:
            inner = _unwrap(inner, depth - 1)
            is_moment = mark in (_DATE, "$numberLong") and isinstance(inner, str)
            return _read_number(inner) if is_moment else inner
    return {name: _unwrap(inner, depth - 1) for name, inner in value.items()}


def _read_number(text: str) -> int | float | str | None:
    """Return the number that a text is; the text if it is none, None if it is not finite."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return None
    return int(text) if text.lstrip("-").isdecimal() and len(text) < _MAX_DIGITS else number
