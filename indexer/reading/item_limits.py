"""Fields of an item to whether it is small enough to be indexed. Pure.

An item costs memory and time for each of its values, times the length of the path under which the
value is found (`facts.color`). Without limits one item of 1 MB takes gigabytes.
"""

from collections.abc import Mapping
from typing import Any

from indexer.reading.field_parsers import BadValueError
from indexer.reading.rows import render_value

MAX_ITEM_BYTES = 1 << 20  # of names and texts, in UTF-8
MAX_LEAVES = 1_000  # values with a path of their own
MAX_LIST_ENTRIES = 10_000  # values in all lists of an item; those of one list share a path
MAX_NESTING = 16  # lists and objects within a field
MAX_KEY_CHARS = 256
MAX_PATH_CHARS = 1_024
_MAX_PATHS_CHARS = 1 << 20  # of the paths of all values
_NUMBER_BYTES = 8
_MAX_CHAR_BYTES = 4  # in UTF-8
_NUMBER_TYPES = (int, float, bool, type(None))


class ItemLimitError(BadValueError):
    """An item is beyond a limit of this module."""


def check_item_size(fields: Mapping[str, Any]) -> None:
    """Check that an item is within the limits of this module.

    Args:
        fields: Its fields without the vector, JSON-compatible.

    Raises:
        ItemLimitError: If it is not; the limit is named.
    """
    if _is_clearly_small(fields):
        return
    measure = _Measure()
    for name, value in fields.items():
        measure.add_field(str(name), value)


def _is_clearly_small(fields: Mapping[str, Any]) -> bool:
    """Whether fields without objects are so small that nothing of them needs to be counted."""
    chars = entries = path_chars = 0
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            chars += len(value)
        elif kind is list:
            if not all(type(part) is str for part in value):
                return False
            chars += sum(map(len, value))
            entries += len(value)
            path_chars += len(name) * len(value)
        elif kind not in _NUMBER_TYPES:
            return False
        path_chars += len(name)
        if len(name) > MAX_KEY_CHARS:
            return False
    bytes_at_most = _MAX_CHAR_BYTES * (chars + path_chars) + _NUMBER_BYTES * len(fields)
    is_few = len(fields) <= MAX_LEAVES and entries <= MAX_LIST_ENTRIES
    return is_few and max(bytes_at_most, path_chars) <= MAX_ITEM_BYTES


def describe_excess(fields: Mapping[str, Any]) -> str | None:
    """Return why an item is too large to be indexed; None if it is not."""
    try:
        check_item_size(fields)
    except ItemLimitError as error:
        return str(error)
    return None


class _Measure:
    """What the fields of one item that were added so far add up to."""

    def __init__(self) -> None:
        self._bytes = self._leaves = self._list_entries = self._paths_chars = 0

    def add_field(self, name: str, value: Any) -> None:
        """Add a field.

        Raises:
            ItemLimitError: If the item is too large with it.
        """
        self._add_key(name, len(name))
        waiting = [(value, len(name), False, 0)]
        while waiting:  # no recursion, since a deep value must not exhaust the stack
            part, path_chars, in_list, depth = waiting.pop()
            if depth > MAX_NESTING:
                raise ItemLimitError(f"{name} is nested more than {MAX_NESTING} levels deep")
            is_object, is_list = isinstance(part, Mapping), isinstance(part, list | tuple)
            self._add_value(part, path_chars, in_list=in_list, is_leaf=not (part and is_object))
            if is_object:
                for key, inner in part.items():
                    inner_chars = path_chars + 1 + len(str(key))
                    self._add_key(str(key), inner_chars)
                    waiting.append((inner, inner_chars, in_list, depth + 1))
            elif is_list:
                waiting += [(inner, path_chars, True, depth + 1) for inner in part]

    def _add_key(self, key: str, path_chars: int) -> None:
        if len(key) > MAX_KEY_CHARS:
            raise ItemLimitError(
                f"has a field name of {len(key)} characters ({render_value(key)}); at most "
                f"{MAX_KEY_CHARS} are allowed"
            )
        if path_chars > MAX_PATH_CHARS:
            raise ItemLimitError(
                f"has a field whose names from the outermost to {render_value(key)} have "
                f"{path_chars} characters together; at most {MAX_PATH_CHARS} are allowed"
            )
        self._bytes += _count_bytes(key)

    def _add_value(self, value: Any, path_chars: int, *, in_list: bool, is_leaf: bool) -> None:
        self._bytes += _count_bytes(value) if isinstance(value, str) else _NUMBER_BYTES
        self._paths_chars += path_chars
        self._list_entries += in_list
        self._leaves += is_leaf and not in_list
        if self._leaves > MAX_LEAVES:
            raise ItemLimitError(
                f"has more than {MAX_LEAVES} fields, those within objects counted; keep fewer, or "
                f"keep values in a list"
            )
        if self._list_entries > MAX_LIST_ENTRIES:
            raise ItemLimitError(f"has more than {MAX_LIST_ENTRIES} values in lists; keep fewer")
        if self._bytes > MAX_ITEM_BYTES or self._paths_chars > _MAX_PATHS_CHARS:
            raise ItemLimitError(
                f"is larger than {MAX_ITEM_BYTES} bytes (1 MiB) with the names of its fields; "
                f"shorten it"
            )


def _count_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
