"""Where the objects of a file of JSON are, that has not one a line.

They are the file's, or those of one list, or the values of one object under their ids. A list may
be within objects: `{"data": {"items": […]}}`.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import orjson

from indexer.reading.column_names import Role, recognise_names
from indexer.reading.json_values import BrokenJsonError, JsonValues, LongValueError
from indexer.reading.rows import NO_MAPPING

_MAX_DEPTH = 4  # of objects around a list
_SAMPLE = 100  # objects that tell whether all are rows
_TITLES = frozenset(("title", "name"))


class LayoutKind(Enum):
    """What the objects of a file are within."""

    OBJECTS = auto()  # nothing
    LIST = auto()
    MAP = auto()  # an object, under their ids
    COLUMNS = auto()  # there are none: one object for each column


@dataclass(frozen=True, slots=True)
class JsonLayout:
    """Where the objects of a file are.

    Attributes:
        kind: What they are within.
        names: Of the objects around a list, from the outside in.
    """

    kind: LayoutKind = LayoutKind.OBJECTS
    names: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return what the file is, for the sentence that tells it."""
        if self.kind is LayoutKind.MAP:
            return "one JSON object of objects, whose names are their ids"
        if self.kind is LayoutKind.LIST:
            return f"one JSON array ({'.'.join(self.names)!r})" if self.names else "one JSON array"
        return "JSON over several lines"


def find_map(values: JsonValues) -> JsonLayout:
    """Return whether one object has rows as values, or columns; else that it is an object.

    Raises:
        BrokenJsonError: If the object is damaged.
    """
    objects: dict[str, dict[str, Any]] = {}
    for name in _take_names(values):
        if values.peek() != b"{":
            return JsonLayout()
        with suppress(LongValueError, orjson.JSONDecodeError):
            objects[name] = orjson.loads(values.take_value())
        if len(objects) == _SAMPLE:
            break
    if len(objects) < 2:
        return JsonLayout()
    if all(_are_names_of_row(inner) for inner in objects.values()):
        return JsonLayout(LayoutKind.MAP)
    first, *others = (inner.keys() for inner in objects.values())
    if _are_names_of_row(objects) and first and all(keys == first for keys in others):
        return JsonLayout(LayoutKind.COLUMNS)
    return JsonLayout()


def _are_names_of_row(given: dict[str, Any]) -> bool:
    """Whether names are those of an item with a title, or of an interaction."""
    names = list(given)
    of_item = recognise_names(names, Role.CATALOGUE, mapping=NO_MAPPING).values()
    return not _TITLES.isdisjoint((*names, *of_item)) or _names_interaction(names)


def _names_interaction(names: list[str]) -> bool:
    renamed = recognise_names(names, Role.INTERACTIONS, mapping=NO_MAPPING).values()
    known = {*names, *renamed}
    return not known.isdisjoint(("user", "user_id")) and not known.isdisjoint(("item", "item_id"))


def find_only_list(values: JsonValues) -> JsonLayout:
    """Return where the only list of objects is in an object without an id.

    So an API answers: what stands beside tells how many there are, and which page it is.

    Raises:
        BrokenJsonError: If the object is damaged.
    """
    lists: dict[tuple[str, ...], bool] = {}
    others = _list_lists(values, (), lists)
    candidates = [names for names, is_filled in lists.items() if is_filled] or list(lists)
    renamed = recognise_names(others, Role.CATALOGUE, mapping=NO_MAPPING)
    is_row = "id" in (*others, *renamed.values()) or _names_interaction(others)
    if len(candidates) != 1 or is_row:
        return JsonLayout()
    return JsonLayout(LayoutKind.LIST, candidates[0])


def _list_lists(
    values: JsonValues, around: tuple[str, ...], lists: dict[tuple[str, ...], bool]
) -> list[str]:
    """Note the lists of objects in the next object, and whether they hold any; return the rest."""
    others: list[str] = []
    for name in _take_names(values):
        path = (*around, name)
        if values.peek() == b"{" and len(path) < _MAX_DEPTH:
            others.append(name)
            _list_lists(values, path, lists)
        elif values.peek() != b"[":
            others.append(name)
            _skip_value(values)
        elif (is_filled := _take_list_of_objects(values)) is None:
            others.append(name)
        else:
            lists[path] = is_filled
    return others


def _take_list_of_objects(values: JsonValues) -> bool | None:
    """Go past a list; return whether it has objects, None if it has something else."""
    entries = values.take_list()
    first = next(entries, None)
    for _ in entries:
        pass
    if first is None:
        return False
    start = first.start if isinstance(first, LongValueError) else first
    return True if start.startswith(b"{") else None


def take_objects(
    values: JsonValues, layout: JsonLayout
) -> Iterator[tuple[str | None, bytes | LongValueError]]:
    """Yield the objects of a file, each with its name if that is its id.

    Raises:
        BrokenJsonError: If the file is damaged.
    """
    while values.peek():
        if layout.kind is LayoutKind.LIST:
            yield from ((None, value) for value in _take_entries(values, layout.names))
        elif layout.kind is LayoutKind.MAP:
            for name in _take_names(values):
                yield name, _take_whole(values)
        else:
            yield None, _take_whole(values)


def _take_entries(values: JsonValues, names: tuple[str, ...]) -> Iterator[bytes | LongValueError]:
    """Yield the entries of a list that is within objects of these names."""
    if not names:
        yield from values.take_list()
        return
    for name in _take_names(values):
        if name == names[0]:
            yield from _take_entries(values, names[1:])
        else:
            _skip_value(values)


def _take_whole(values: JsonValues) -> bytes | LongValueError:
    try:
        return values.take_value()
    except LongValueError as error:
        return error


def _take_names(values: JsonValues) -> Iterator[str]:
    """Yield the names of an object; after each its value is next, which the caller takes.

    Raises:
        BrokenJsonError: If no object is next, or if it is damaged.
    """
    values.take_mark(b"{")
    while values.peek() == b'"':
        name = _take_name(values)
        values.take_mark(b":")
        yield name
        if values.peek() == b",":
            values.take_mark(b",")
    values.take_mark(b"}")


def _take_name(values: JsonValues) -> str:
    """Return the next name; of one that is too long its start."""
    try:
        return str(orjson.loads(values.take_value()))
    except LongValueError as error:
        return error.start[1:].decode("utf-8", "replace")
    except orjson.JSONDecodeError as error:
        raise BrokenJsonError(f"a name is no text: {error.msg}") from error


def _skip_value(values: JsonValues) -> None:
    with suppress(LongValueError):
        values.take_value()
