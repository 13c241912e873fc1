"""Text of separated cells to rows, with one type per column (see `indexer.reading.csv_columns`).

A catalogue is read twice: once to infer the types, once for the rows. An unclosed quote loses only
the line it is on: the lines after it, which the csv module took for part of the cell, are read
again.
"""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, TextIO

from indexer.errors import CatalogError
from indexer.reading.column_names import (
    Role,
    SourceNames,
    describe_absent,
    describe_names,
    name_source_columns,
)
from indexer.reading.csv_columns import ID_FIELDS, convert_words, watch_column
from indexer.reading.dialect import UNIT_SEPARATOR, Dialect, detect_dialect
from indexer.reading.id_columns import SAMPLE_ROWS
from indexer.reading.missing_header import lacks_header, name_columns
from indexer.reading.order_exports import find_order_columns
from indexer.reading.rows import BadRow, Row, clip
from indexer.reading.value_column import (
    UNREADABLE,
    Conversion,
    convert_text,
    describe_unreadable,
)

_MAX_CELL_CHARS = 16 * 1024 * 1024
_MAX_LINE_CHARS = 4 * _MAX_CELL_CHARS
_SAMPLE_LINES, _SAMPLE_CHARS = 100, 1 << 16
_MAX_NOTED_COLUMNS = 20
_BOM = "\ufeff"

Record = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a file is split, and the names of its columns after recognition; "" is left out."""

    dialect: Dialect
    header: list[str]  # as it is written; empty if there is none
    names: list[str]


@dataclass(frozen=True, slots=True)
class DelimitedFile:
    """A file of separated cells that can be opened more than once.

    Attributes:
        name: Name of the source in rows and messages.
        open: Returns its bytes from the start in UTF-8, without a byte order mark.
        delimiter: What its name promises: a comma or a tab.
        naming: What decides the names of its columns.
    """

    name: str
    open: Callable[[], BinaryIO]
    delimiter: str
    naming: SourceNames

    def read_typed_rows(self) -> Iterator[Row | BadRow]:
        """Yield rows with typed cells, under our names where they are recognised."""
        layout = self._find_layout()
        with self._open_text() as text:
            conversions = self._infer_conversions(text, layout)
        with self._open_text() as text:
            yield from self._read_rows(text, layout, conversions, may_leave_out=True)

    def read_text_rows(self) -> Iterator[Row | BadRow]:
        """Yield rows whose cells are strings or None, under our names where they are recognised."""
        layout = self._find_layout()
        with self._open_text() as text:
            mapped = {theirs for ours, theirs in self.naming.mapping.items() if ours in ID_FIELDS}
            conversions: list[Conversion] = [
                convert_words if name in ID_FIELDS or name in mapped else convert_text
                for name in layout.names
            ]
            yield from self._read_rows(text, layout, conversions, may_leave_out=False)

    def _open_text(self) -> TextIO:
        # Undecodable bytes become surrogates, so that only the row that holds them is refused.
        return io.TextIOWrapper(self.open(), encoding="utf-8", errors="surrogateescape", newline="")

    def _find_layout(self) -> _Layout:
        with self._open_text() as text:
            lines = list(islice(iter(partial(text.readline, _SAMPLE_CHARS), ""), _SAMPLE_LINES))
        dialect = detect_dialect(lines, self.delimiter)
        if dialect.delimiter != self.delimiter:
            self.naming.notes.add(f"{self.name}: its cells are separated by {dialect.describe()}")
        with self._open_text() as text:
            records = list(islice(self._read_records(text, dialect), _SAMPLE_LINES))
        if records and isinstance(records[0], BadRow):
            first = records[0]
            raise CatalogError(
                f"{self.name} has no readable header: line {first.line} {first.reason}"
            )
        return self._name_columns(dialect, [row[1] for row in records if isinstance(row, tuple)])

    def _name_columns(self, dialect: Dialect, records: list[list[str]]) -> _Layout:
        notes = self.naming.notes
        first = records[0] if records else []
        header = [name.strip() for name in first]
        if lacks_header(header, self.naming):
            found = name_columns(self.name, records, self.naming)
            notes.add(f"{self.name} has no header; its columns are read as {', '.join(found)}")
            return _Layout(dialect, [], list(found))
        for i, name in enumerate(header):
            if name and name in header[:i]:
                raise CatalogError(
                    f"{self.name} has two columns named {name!r}; rename or remove one"
                )
        is_interactions = self.naming.role is Role.INTERACTIONS
        if is_interactions and find_order_columns(header) is not None:
            return _Layout(dialect, first, header)  # `split_orders` gives the rows their names
        renamed = name_source_columns(
            self.name,
            list(filter(None, header)),
            self.naming,
            partial(self._take_samples, dialect, header),
        )
        if renamed:
            notes.add(describe_names(self.name, renamed))
        names = [renamed.get(name, name) for name in header]
        if header and (sentence := describe_absent(self.name, names, self.naming)):
            notes.add(sentence)
        return _Layout(dialect, first, names)

    def _take_samples(
        self, dialect: Dialect, header: Sequence[str], columns: Sequence[str]
    ) -> dict[str, list[str | None]]:
        """Return the first cells of some columns."""
        with self._open_text() as text:
            records = list(islice(self._read_records(text, dialect), SAMPLE_ROWS + 1))[1:]
        cells = [record[1] for record in records if isinstance(record, tuple)]
        places = {column: header.index(column) for column in columns}
        return {
            column: [convert_words(row[place]) for row in cells] for column, place in places.items()
        }

    def _infer_conversions(self, text: TextIO, layout: _Layout) -> list[Conversion]:
        mapping, notes = self.naming.mapping, self.naming.notes
        columns = [
            watch_column(name, *(ours for ours, theirs in mapping.items() if theirs == name))
            for name in layout.names
        ]
        undecided = [
            (i, column)
            for i, column in enumerate(columns)
            if layout.names[i] and column.is_undecided
        ]
        for record in self._read_data(text, layout):
            if isinstance(record, BadRow):
                continue
            line, cells = record
            for i, column in undecided:
                column.observe(cells[i], line)
            undecided = [pair for pair in undecided if pair[1].is_undecided]
            if not undecided:
                break
        conversions = [column.conversion for column in columns]
        told = [
            (n, words) for n, c in zip(layout.names, columns, strict=True) for words in c.describe()
        ]
        for name, words in told[:_MAX_NOTED_COLUMNS]:
            notes.add(f"{self.name}: {name} {words}")
        return conversions

    def _read_rows(
        self,
        text: TextIO,
        layout: _Layout,
        conversions: list[Conversion],
        *,
        may_leave_out: bool,
    ) -> Iterator[Row | BadRow]:
        wanted = [  # a column without a name is the row number that pandas writes
            (i, name, conversions[i]) for i, name in enumerate(layout.names) if name
        ]
        for record in self._read_data(text, layout):
            if isinstance(record, BadRow):
                yield record
                continue
            line, cells = record
            values = {name: convert(cells[i]) for i, name, convert in wanted}
            if may_leave_out and UNREADABLE in values.values():
                yield _leave_out(
                    self.name, line, values, dict(zip(layout.names, cells, strict=True))
                )
            else:
                yield Row(self.name, line, values)

    def _read_data(self, text: TextIO, layout: _Layout) -> Iterator[Record | BadRow]:
        """Yield the records after the header; the header of a file joined to this one is none."""
        records = self._read_records(text, layout.dialect)
        if not layout.header:
            yield from records
            return
        next(records, None)
        for record in records:
            if isinstance(record, tuple) and record[1] == layout.header:
                self.naming.notes.add(
                    f"{self.name}: line {record[0]} repeats the header and is left out"
                )
            else:
                yield record

    def _read_records(self, text: TextIO, dialect: Dialect) -> Iterator[Record | BadRow]:
        """Yield `(line, cells)` of records as long as the first one, and a `BadRow` for others."""
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL_CHARS))
        lines = _LineReader(text, dialect)
        reader = _make_csv_reader(lines, dialect)
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


def _make_csv_reader(lines: "_LineReader", dialect: Dialect) -> Iterator[list[str]]:
    is_single = len(dialect.delimiter) == 1
    return csv.reader(
        lines,
        delimiter=dialect.delimiter if is_single else UNIT_SEPARATOR,
        skipinitialspace=dialect.has_space_after,
        quoting=csv.QUOTE_MINIMAL if dialect.has_quotes else csv.QUOTE_NONE,
        strict=True,
    )


def _leave_out(source: str, line: int, values: dict[str, Any], cells: Mapping[str, str]) -> Row:
    """The row without the cells that are not of their column's type."""
    findings = tuple(
        describe_unreadable(name, cells[name])
        for name, value in values.items()
        if value is UNREADABLE
    )
    kept = {name: None if value is UNREADABLE else value for name, value in values.items()}
    return Row(source, line, kept, findings)


class _LineReader:
    """Iterator over physical lines that can put back the lines of a malformed record."""

    def __init__(self, text: TextIO, dialect: Dialect) -> None:
        lines = iter(partial(text.readline, _MAX_LINE_CHARS), "")
        for _ in range(dialect.skipped_lines):
            next(lines, None)
        if len(dialect.delimiter) > 1:
            lines = (line.replace(dialect.delimiter, UNIT_SEPARATOR) for line in lines)
        self._source = iter(lines)
        self._pushback: deque[str] = deque()
        self._record: list[str] = []
        self._line = dialect.skipped_lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._pushback.popleft() if self._pushback else next(self._source)
        if text[0] == _BOM:  # of a file that was joined to another
            text = text[1:]
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


def _find_flaw(cells: list[str], width: int) -> str:
    """Describe what is wrong with a record; an empty string if nothing is."""
    if len(cells) != width:
        return f"has {len(cells)} cells where the header has {width}"
    joined = "".join(cells)
    if joined.isascii():
        return ""
    try:
        joined.encode()
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
