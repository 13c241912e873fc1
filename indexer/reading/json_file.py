"""JSON text to rows: one object a line, one array of objects, or objects over several lines.

The array may be within an object, as pages of an API have it: `{"items": […], "total": 2}`. A line
that is no object is a `BadRow`. Of an array, and of objects over several lines, `line` is the
number of the object, from 1: they have no lines of their own.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from indexer.errors import CatalogError
from indexer.reading.column_names import Role, recognise_names
from indexer.reading.json_values import BrokenJsonError, JsonValues, LongValueError
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import NO_MAPPING, BadRow, Row, clip, render_value

_MAX_LINE_BYTES = 64 * 1024 * 1024
_MAX_TRIED_BYTES = 8 * 1024 * 1024  # of a first line that is decoded to see what it is
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
        path = self._find_path(first) if is_only or not is_line else ""
        if is_line and not path:
            with self.open() as file:
                yield from _read_lines(self.name, file)
            return
        kind = f"one JSON array ({path!r})" if "." in path else "one JSON array"
        self.notes.add(
            f"{self.name} is {kind if path else 'JSON over several lines'}; its rows are counted "
            f"by object, from 1"
        )
        yield from self._read_objects(path)

    def _find_path(self, first: bytes) -> str:
        """Return where the objects are: "item", "products.item" or ""."""
        if first.startswith(b"["):
            return "item"
        with self.open() as file:
            try:
                name = _find_only_list(JsonValues(file))
            except BrokenJsonError:
                return ""  # told when it is read
        return "" if name is None else f"{name}.item"

    def _read_objects(self, path: str) -> Iterator[Row | BadRow]:
        number = 0
        try:
            with self.open() as file:
                for number, value in enumerate(_take_objects(JsonValues(file), path), start=1):
                    if isinstance(value, LongValueError):
                        shown = value.start.decode("utf-8", "replace")
                        yield BadRow(self.name, number, str(value), shown)
                    else:
                        yield _parse_line(self.name, number, value)
        except BrokenJsonError as error:
            raise CatalogError(
                f"{self.name} is not JSON after its {number} first objects "
                f"({error}); write it again, or as one object a line"
            ) from error


def _find_only_list(values: JsonValues) -> str | None:
    """Return the name of the only list of objects in an object without an id; None without one.

    So an API answers: what stands beside tells how many there are, and which page it is.
    """
    lists: dict[str, bool] = {}  # to whether they hold anything
    others: list[str] = []
    for name in _take_names(values):
        if values.peek() != b"[":
            others.append(name)
            _skip_value(values)
            continue
        entries = values.take_list()
        first = next(entries, None)
        for _ in entries:
            pass
        if first is None or _opens_object(first):
            lists[name] = first is not None
        else:
            others.append(name)
    candidates = [name for name, is_filled in lists.items() if is_filled] or list(lists)
    renamed = recognise_names(others, Role.CATALOGUE, mapping=NO_MAPPING)
    has_id = "id" in (*others, *renamed.values())
    return candidates[0] if len(candidates) == 1 and not has_id else None


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


def _opens_object(value: bytes | LongValueError) -> bool:
    return (value.start if isinstance(value, LongValueError) else value).startswith(b"{")


def _take_objects(values: JsonValues, path: str) -> Iterator[bytes | LongValueError]:
    wrapped_name = path.removesuffix(".item")
    while values.peek():
        if path == "item":
            yield from values.take_list()
        elif path:
            for name in _take_names(values):
                if name == wrapped_name:
                    yield from values.take_list()
                else:
                    _skip_value(values)
        else:
            try:
                yield values.take_value()
            except LongValueError as error:
                yield error


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
        return _to_row(source, line, _decode(text))
    except orjson.JSONDecodeError as error:
        shown = clip(text.strip().decode("utf-8", "replace"))
        return BadRow(source, line, _describe_json_error(text, error), shown)


def _decode(text: bytes) -> Any:
    """Decode JSON, also with a comma behind it, or with NaN and infinities, which are null.

    So Python and JavaScript's libraries write it, and people who cut an array into lines.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
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
    return f"is not JSON: {error.msg} at position {error.pos + 1}"
