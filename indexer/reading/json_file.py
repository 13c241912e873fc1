"""JSON text to rows: one object a line, one array of objects, or objects over several lines.

A line that is no object is a `BadRow`. Of an array, and of objects over several lines, `line` is
the number of the object, from 1: they have no lines of their own.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count, islice
from typing import Any, BinaryIO

import orjson

from indexer.errors import CatalogError
from indexer.reading.json_depth import DepthGuard
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import BadRow, Row, clip, render_value

_MAX_LINE_BYTES = 64 * 1024 * 1024
_MAX_TRIED_BYTES = 8 * 1024 * 1024  # of a first line that is decoded to see what it is
_BOM = b"\xef\xbb\xbf"
_NOT_A_NUMBER = re.compile(r"[:\[,]\s*-?(NaN|Infinity)\b")


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
        if _is_object_a_line(first):
            with self.open() as file:
                yield from _read_lines(self.name, file)
            return
        path = self._find_path(first)
        kind = f"one JSON array ({path!r})" if "." in path else "one JSON array"
        self.notes.add(
            f"{self.name} is {kind if path else 'JSON over several lines'}; its rows are counted "
            f"by object, from 1"
        )
        yield from self._read_objects(path)

    def _find_path(self, first: bytes) -> str:
        """Return where the objects are, as ijson spells it: "item", "products.item" or ""."""
        if first.startswith(b"["):
            return "item"
        with self.open() as file:
            events = _parse_events(self.name, file)
            opened = list(islice(events, 4))
            if [event[1] for event in opened] != [
                "start_map",
                "map_key",
                "start_array",
                "start_map",
            ]:
                return ""
            has_more = any(prefix == "" and kind == "map_key" for prefix, kind, _ in events)
        return "" if has_more else f"{opened[1][2]}.item"

    def _read_objects(self, path: str) -> Iterator[Row | BadRow]:
        import ijson

        numbers = count(1)
        try:
            with self.open() as file:
                guarded = DepthGuard(self.name, file)
                found = ijson.items(guarded, path, multiple_values=True)
                for number, values in zip(numbers, found, strict=False):
                    yield _to_row(self.name, number, _to_plain_numbers(values))
        except (ijson.JSONError, ValueError, OverflowError, RecursionError) as error:
            raise CatalogError(
                f"{self.name} is not JSON after its {next(numbers) - 2} first objects "
                f"({_describe_ijson_error(error)}); write it again, or as one object a line"
            ) from error


def _to_plain_numbers(value: Any) -> Any:
    """Return a value of ijson with the numbers of orjson, so that all layouts say the same."""
    if isinstance(value, dict):
        return {key: _to_plain_numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_to_plain_numbers(part) for part in value]
    is_long = isinstance(value, int) and not -(2**63) <= value < 2**64
    return float(value) if is_long or isinstance(value, Decimal) else value


def _parse_events(source: str, file: BinaryIO) -> Iterator[tuple[Any, Any, Any]]:
    import ijson

    try:
        yield from ijson.parse(DepthGuard(source, file), multiple_values=True)
    except (ijson.JSONError, ValueError, OverflowError, RecursionError) as error:
        raise CatalogError(
            f"{source} is not JSON ({_describe_ijson_error(error)}); write one object a line"
        ) from error


def _describe_ijson_error(error: Exception) -> str:
    """The first line of a message: the others point at a place of the text below each other."""
    return clip(str(error).partition("\n")[0])


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
        value = orjson.loads(first)
    except orjson.JSONDecodeError:
        return not (first.startswith(b"[") or first.endswith((b"{", b"[", b",")))
    if isinstance(value, list):
        return not (value and all(isinstance(entry, dict) for entry in value))
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
        values = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        values = _read_with_nan(text)
        if values is None:
            shown = clip(text.strip().decode("utf-8", "replace"))
            return BadRow(source, line, _describe_json_error(text, error), shown)
    return _to_row(source, line, values)


def _read_with_nan(text: bytes) -> Any:
    """Decode JSON as Python and JavaScript's libraries write it: NaN and infinities are null.

    None if it is no JSON even so.
    """
    try:
        if not _NOT_A_NUMBER.search(text.decode()):
            return None
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


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
