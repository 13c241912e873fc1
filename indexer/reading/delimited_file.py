"""CSV and TSV bytes to rows, with one type per column (see `indexer.reading.cells`).

The file is read twice: once to infer the types, once for the rows. An unclosed quote loses only the
line it is on: the lines after it, which the csv module took for part of the cell, are read again.
"""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, TextIO

from indexer.errors import CatalogError
from indexer.reading.cells import Conversion, CsvColumn, is_missing_cell
from indexer.reading.rows import BadRow, Row, clip

_MAX_CELL_CHARS = 16 * 1024 * 1024
_MAX_LINE_CHARS = 4 * _MAX_CELL_CHARS


@dataclass(frozen=True, slots=True)
class DelimitedFile:
    """A CSV or TSV source that can be opened more than once.

    Attributes:
        name: Name of the source in rows and messages.
        open: Returns its bytes from the start, decompressed and without a byte order mark.
        delimiter: A comma or a tab.
    """

    name: str
    open: Callable[[], BinaryIO]
    delimiter: str

    def read_typed_rows(self, mapping: Mapping[str, str]) -> Iterator[Row | BadRow]:
        """Yield rows with typed cells; column names before and after `mapping` decide the types."""
        with self._open_text() as text:
            conversions = self._infer_conversions(text, mapping)
        with self._open_text() as text:
            yield from self._read_rows(text, conversions)

    def read_text_rows(self) -> Iterator[Row | BadRow]:
        """Yield rows whose cells are strings or None; reads the file once."""
        with self._open_text() as text:
            yield from self._read_rows(text, None)

    def _open_text(self) -> TextIO:
        # Undecodable bytes become surrogates, so that only the row that holds them is refused.
        return io.TextIOWrapper(self.open(), encoding="utf-8", errors="surrogateescape", newline="")

    def _infer_conversions(self, text: TextIO, mapping: Mapping[str, str]) -> list[Conversion]:
        records = self._read_records(text)
        header = self._read_header(records)
        columns = [
            CsvColumn(name, *(ours for ours, theirs in mapping.items() if theirs == name))
            for name in header
        ]
        undecided = [(i, column) for i, column in enumerate(columns) if column.is_undecided]
        for record in records:
            if isinstance(record, BadRow):
                continue
            for i, column in undecided:
                column.observe(record[1][i])
            undecided = [pair for pair in undecided if pair[1].is_undecided]
            if not undecided:
                break
        return [column.conversion for column in columns]

    def _read_rows(
        self, text: TextIO, conversions: list[Conversion] | None
    ) -> Iterator[Row | BadRow]:
        records = self._read_records(text)
        header = self._read_header(records)
        wanted = [  # a column without a name is the row number that pandas writes
            (i, name, conversions[i] if conversions else _keep_text)
            for i, name in enumerate(header)
            if name
        ]
        for record in records:
            if isinstance(record, BadRow):
                yield record
            else:
                line, cells = record
                values = {name: convert(cells[i]) for i, name, convert in wanted}
                yield Row(self.name, line, values)

    def _read_header(self, records: Iterator[tuple[int, list[str]] | BadRow]) -> list[str]:
        first = next(records, None)
        if isinstance(first, BadRow):
            raise CatalogError(
                f"{self.name} has no readable header: line {first.line} {first.reason}"
            )
        header = [name.strip() for name in first[1]] if first else []
        for i, name in enumerate(header):
            if name and name in header[:i]:
                raise CatalogError(
                    f"{self.name} has two columns named {name!r}; rename or remove one"
                )
        return header

    def _read_records(self, text: TextIO) -> Iterator[tuple[int, list[str]] | BadRow]:
        """Yield `(line, cells)` of records as long as the first one, and a `BadRow` for others."""
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL_CHARS))
        lines = _LineReader(text)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        width = 0
        while True:
            line = lines.begin_record()
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield BadRow(self.name, line, _describe_csv_error(error), lines.rewind())
                continue
            if cells is None:
                return
            if len(cells) <= 1 and not "".join(cells).strip():
                continue
            width = width or len(cells)
            reason = _find_flaw(cells, width)
            yield BadRow(self.name, line, reason, lines.rewind()) if reason else (line, cells)


class _LineReader:
    """Iterator over physical lines that can put back the lines of a malformed record."""

    def __init__(self, text: TextIO) -> None:
        self._source = iter(partial(text.readline, _MAX_LINE_CHARS), "")
        self._pushback: deque[str] = deque()
        self._record: list[str] = []
        self._line = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._pushback.popleft() if self._pushback else next(self._source)
        self._record.append(text)
        self._line += 1
        return text

    def begin_record(self) -> int:
        """Start a new record; return the number of its first line, from 1."""
        self._record.clear()
        return self._line + 1

    def rewind(self) -> str:
        """Put back all lines of the record except the first; return that one, clipped."""
        self._pushback.extendleft(reversed(self._record[1:]))
        self._line -= len(self._record) - 1
        first = clip(self._record[0].rstrip("\r\n"))
        return first.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _keep_text(cell: str) -> str | None:
    return None if is_missing_cell(cell) else cell


def _find_flaw(cells: list[str], width: int) -> str:
    """Describe what is wrong with a record; an empty string if nothing is."""
    if len(cells) != width:
        return f"has {len(cells)} cells where the header has {width}"
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) - 0xDC00
        return f"has the byte 0x{byte:02x}, which is not UTF-8; save the file as UTF-8"
    return ""


def _describe_csv_error(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "has a quoted cell that is never closed"
    if "field limit" in text:
        return f"has a cell of more than {_MAX_CELL_CHARS} characters; is a quote unclosed?"
    return f"cannot be split into cells: {text}"
