"""JSON text to rows: one object a line, one array of objects, or objects over several lines.

The array may be within objects, as pages of an API have it: `{"items": […], "total": 2}`; or the
objects within one, under their ids (see `indexer.reading.json_layout`). A line that is no object is
a `BadRow`. Of objects that have no lines of their own `line` is the number of the object, from 1.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from indexer.errors import CatalogError
from indexer.reading.json_documents import read_python_object, unwrap_document
from indexer.reading.json_layout import (
    JsonLayout,
    LayoutKind,
    find_map,
    find_only_list,
    take_objects,
)
from indexer.reading.json_values import BrokenJsonError, JsonValues, LongValueError
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import BadRow, Row, clip, render_value

_MAX_LINE_BYTES = 64 * 1024 * 1024
_MAX_TRIED_BYTES = 8 * 1024 * 1024  # of a first line that is decoded to see what it is
_TOO_DEEP = "depth limit"  # as orjson says it
_BOM = b"\xef\xbb\xbf"
_NOT_A_NUMBER = re.compile(rb"[:\[,]\s*+-?(?:NaN|Infinity)\b")
_TEXT_OR_NAN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|-?\b(?:NaN|Infinity)\b', re.DOTALL)


@dataclass(frozen=True, slots=True)
class JsonFile:
    """A source of JSON that can be opened more than once.

    Attributes:
        name: Name of the source in rows and messages.
        open: Returns its bytes from the start in UTF-8, without a byte order mark.
        notes: Where it is told that it has not one object a line.
    """

    name: str
    open: Callable[[], BinaryIO]
    notes: ReadingNotes

    def read_rows(self) -> Iterator[Row | BadRow]:
        """Yield the rows.

        Raises:
            CatalogError: If a file that has not one object a line is no JSON.
        """
        with self.open() as file:
            first = _read_first_line(file)
            is_only = not _read_first_line(file)
        is_line = _is_object_a_line(first)
        layout = self._find_layout(first) if is_only or not is_line else JsonLayout()
        if is_line and layout.kind is LayoutKind.OBJECTS:
            with self.open() as file:
                yield from _read_lines(self.name, file)
            return
        self.notes.add(
            f"{self.name} is {layout.describe()}; its rows are counted by object, from 1"
        )
        yield from self._read_objects(layout)

    def _find_layout(self, first: bytes) -> JsonLayout:
        """Return where the objects are.

        Raises:
            CatalogError: If it has a list for each column, and no objects.
        """
        if first.startswith(b"["):
            return JsonLayout(LayoutKind.LIST)
        layout = JsonLayout()
        with suppress(BrokenJsonError):  # told when it is read
            with self.open() as file:
                layout = find_map(JsonValues(file))
            if layout.kind is LayoutKind.OBJECTS:
                with self.open() as file:
                    layout = find_only_list(JsonValues(file))
        if layout.kind is LayoutKind.COLUMNS:
            raise CatalogError(
                f"{self.name} is JSON with a column beside the other; write it with an object for "
                f"each row, as pandas' to_json(orient='records', lines=True) does"
            )
        return layout

    def _read_objects(self, layout: JsonLayout) -> Iterator[Row | BadRow]:
        number = 0
        try:
            with self.open() as file:
                objects = take_objects(JsonValues(file), layout)
                for number, (key, value) in enumerate(objects, start=1):
                    if isinstance(value, LongValueError):
                        shown = value.start.decode("utf-8", "replace")
                        yield BadRow(self.name, number, str(value), shown)
                    else:
                        yield _add_key(_parse_line(self.name, number, value), key)
        except BrokenJsonError as error:
            raise CatalogError(
                f"{self.name} is not JSON after its {number} first objects "
                f"({error}); write it again, or as one object a line"
            ) from error


def _add_key(row: Row | BadRow, key: str | None) -> Row | BadRow:
    """Return a row with the name it has among others as its id, if it has none."""
    if key is None or isinstance(row, BadRow) or row.values.get("id") is not None:
        return row
    return Row(row.source, row.line, {**row.values, "id": key}, row.findings)


def _read_first_line(file: BinaryIO) -> bytes:
    """The first line that is not blank, clipped; b"" if there is none."""
    while text := file.readline(_MAX_LINE_BYTES):
        if not text.isspace():
            return text.strip().removeprefix(_BOM)
    return b""


def _is_object_a_line(first: bytes) -> bool:
    """Whether a file that begins so has one object a line, even if the first one is damaged."""
    if not first:
        return True
    if len(first) > _MAX_TRIED_BYTES:
        return not first.startswith(b"[")
    try:
        value = _decode(first)
    except orjson.JSONDecodeError:
        return not (first.startswith(b"[") or first.endswith((b"{", b"[", b",")))
    if isinstance(value, list):
        return not all(isinstance(entry, dict) for entry in value)
    return not (isinstance(value, dict) and _is_wrapped(value))


def _is_wrapped(value: dict[str, Any]) -> bool:
    """Whether an object has nothing but one list of objects, as exports of shops write it."""
    inner = next(iter(value.values()), None)
    if len(value) != 1 or not isinstance(inner, list) or not inner:
        return False
    return all(isinstance(entry, dict) for entry in inner)


def _read_lines(source: str, file: BinaryIO) -> Iterator[Row | BadRow]:
    line = 0
    while text := file.readline(_MAX_LINE_BYTES):
        line += 1
        if len(text) == _MAX_LINE_BYTES and not text.endswith(b"\n"):
            _skip_line(file)
            reason = f"is longer than {_MAX_LINE_BYTES} bytes"
            yield BadRow(source, line, reason, text[:200].decode("utf-8", "replace"))
        elif not text.isspace():
            yield _parse_line(source, line, text.removeprefix(_BOM))


def _skip_line(file: BinaryIO) -> None:
    while (more := file.readline(_MAX_LINE_BYTES)) and not more.endswith(b"\n"):
        pass


def _parse_line(source: str, line: int, text: bytes) -> Row | BadRow:
    try:
        return _to_row(source, line, unwrap_document(_decode(text), text))
    except orjson.JSONDecodeError as error:
        shown = clip(text.strip().decode("utf-8", "replace"))
        return BadRow(source, line, _describe_json_error(text, error), shown)


def _decode(text: bytes) -> Any:
    """Decode JSON, also with a comma behind it, or with NaN and infinities, which are null.

    So Python and JavaScript's libraries write it, and people who cut an array into lines. Objects
    as Python prints them are read, too.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if text.startswith(b"{'") and (value := read_python_object(text)) is not None:
            return value
        stripped = text.rstrip()
        plain = stripped.removesuffix(b",") if stripped[-2:] == b"}," else text
        if _NOT_A_NUMBER.search(plain):
            plain = _TEXT_OR_NAN.sub(_replace_nan, plain)
        if plain is text:
            raise
        return orjson.loads(plain)


def _replace_nan(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0].startswith(b'"') else b"null"


def _to_row(source: str, line: int, values: Any) -> Row | BadRow:
    if isinstance(values, dict):
        return Row(source, line, values)
    return BadRow(source, line, "is JSON, but not an object with fields", _show(values))


def _show(values: Any) -> str:
    """What stands in a row as short text; orjson writes less nesting than it reads."""
    try:
        return clip(orjson.dumps(values, default=str).decode())
    except TypeError:
        return render_value(values)


def _describe_json_error(text: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        byte = text[wrong.start]
        return (
            f"has the byte 0x{byte:02x} at position {wrong.start + 1}, which is not UTF-8; "
            "save the file as UTF-8"
        )
    if _TOO_DEEP in error.msg:
        return f"is nested too deep, at position {error.pos + 1}; nest it less"
    return f"is not JSON: {error.msg} at position {error.pos + 1}"
