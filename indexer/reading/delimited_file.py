"""Text of separated cells to rows, with one type per column (see `indexer.reading.csv_columns`).

A catalogue is read twice: once to infer the types, once for the rows. An unclosed quote loses only
the line it is on: the lines after it, which the csv module took for part of the cell, are read
again.
"""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, TextIO

from indexer.errors import CatalogError
from indexer.reading.cell_conversions import UNREADABLE, describe_unreadable
from indexer.reading.column_names import (
    SourceNames,
    describe_absent,
    describe_names,
    recognise_names,
)
from indexer.reading.csv_columns import (
    ID_FIELDS,
    CsvColumn,
    RawColumn,
    TextColumn,
    watch_column,
)
from indexer.reading.dialect import UNIT_SEPARATOR, Dialect, detect_dialect
from indexer.reading.headless import lacks_header, name_columns
from indexer.reading.rows import BadRow, Row, clip, render_value

_MAX_CELL_CHARS = 16 * 1024 * 1024
_MAX_LINE_CHARS = 4 * _MAX_CELL_CHARS
_SAMPLE_LINES, _SAMPLE_CHARS = 100, 1 << 16
_MAX_NOTED_COLUMNS = 20
_CHUNK_RECORDS, _CHUNK_CHARS = 512, 1 << 22
_MIN_STRANGE_CELLS = 3  # of a row whose cells have moved
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
            columns = self._infer_columns(text, layout)
        with self._open_text() as text:
            yield from self._read_rows(text, layout, columns)

    def read_text_rows(self) -> Iterator[Row | BadRow]:
        """Yield rows whose cells are strings or None, under our names where they are recognised."""
        layout = self._find_layout()
        with self._open_text() as text:
            mapped = {theirs for ours, theirs in self.naming.mapping.items() if ours in ID_FIELDS}
            columns: list[CsvColumn] = [
                TextColumn() if name in ID_FIELDS or name in mapped else RawColumn()
                for name in layout.names
            ]
            yield from self._read_rows(text, layout, columns)

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
        role, mapping, notes = self.naming.role, self.naming.mapping, self.naming.notes
        first = records[0] if records else []
        header = [name.strip() for name in first]
        if lacks_header(header, role, mapping):
            found = name_columns(self.name, records, role, mapping)
            notes.add(f"{self.name} has no header; its columns are read as {', '.join(found)}")
            return _Layout(dialect, [], list(found))
        for i, name in enumerate(header):
            if name and name in header[:i]:
                raise CatalogError(
                    f"{self.name} has two columns named {name!r}; rename or remove one"
                )
        renamed = recognise_names(
            filter(None, header), role, mapping=mapping, context=self.naming.context
        )
        if renamed:
            notes.add(describe_names(self.name, renamed))
        names = [renamed.get(name, name) for name in header]
        if header and (sentence := describe_absent(self.name, names, self.naming)):
            notes.add(sentence)
        return _Layout(dialect, first, names)

    def _infer_columns(self, text: TextIO, layout: _Layout) -> list[CsvColumn]:
        mapping, notes = self.naming.mapping, self.naming.notes
        has_commas = layout.dialect.delimiter == ";"
        columns = [
            watch_column(
                name,
                *(ours for ours, theirs in mapping.items() if theirs == name),
                has_commas=has_commas,
            )
            for name in layout.names
        ]
        undecided = [pair for pair in enumerate(columns) if layout.names[pair[0]]]
        for chunk in self._read_chunks(text, layout):
            undecided = [pair for pair in undecided if pair[1].is_undecided]
            if not undecided:
                break
            records = [record for record in chunk if isinstance(record, tuple)]
            lines = [line for line, _ in records]
            for i, column in undecided:
                column.observe_all([cells[i] for _, cells in records], lines)
        told = [
            (n, words) for n, c in zip(layout.names, columns, strict=True) for words in c.describe()
        ]
        for name, words in told[:_MAX_NOTED_COLUMNS]:
            notes.add(f"{self.name}: {name} {words}")
        return columns

    def _read_rows(
        self, text: TextIO, layout: _Layout, columns: Sequence[CsvColumn]
    ) -> Iterator[Row | BadRow]:
        # A column without a name is the row number that pandas writes.
        wanted = [(i, name) for i, name in enumerate(layout.names) if name]
        names = [name for _, name in wanted]
        for chunk in self._read_chunks(text, layout):
            records = [record for record in chunk if isinstance(record, tuple)]
            converted = [columns[i].convert_all([r[1][i] for r in records]) for i, _ in wanted]
            has_unreadable = any(UNREADABLE in values for values in converted)
            rows = zip(*converted, strict=True) if wanted else iter([()] * len(records))
            for record in chunk:
                if isinstance(record, BadRow):
                    yield record
                    continue
                values = dict(zip(names, next(rows), strict=True))
                if has_unreadable and UNREADABLE in values.values():
                    yield self._leave_out(record, values, layout, columns)
                else:
                    yield Row(self.name, record[0], values)

    def _leave_out(
        self,
        record: Record,
        values: dict[str, Any],
        layout: _Layout,
        columns: Sequence[CsvColumn],
    ) -> Row | BadRow:
        """The row without the cells that are not of their column's type; bad if nearly all are."""
        line, cells = record
        by_name = dict(zip(layout.names, cells, strict=True))
        verdicts = {
            name: column.contradicts(by_name[name])
            for name, column in zip(layout.names, columns, strict=True)
            if name
        }
        strange = [name for name, verdict in verdicts.items() if verdict]
        if len(strange) >= _MIN_STRANGE_CELLS and False not in verdicts.values():
            shown = ", ".join(f"{name} {render_value(by_name[name])}" for name in strange)
            reason = (
                f"has cells of other columns ({clip(shown)}), as if they had moved; check the "
                f"quotes and separators of this line and of the one before"
            )
            return BadRow(self.name, line, reason, clip(layout.dialect.delimiter.join(cells)))
        findings = tuple(
            describe_unreadable(name, by_name[name])
            for name, value in values.items()
            if value is UNREADABLE
        )
        kept = {name: None if value is UNREADABLE else value for name, value in values.items()}
        return Row(self.name, line, kept, findings)

    def _read_chunks(self, text: TextIO, layout: _Layout) -> Iterator[list[Record | BadRow]]:
        """Yield the records after the header, many at once: columns are read much quicker so."""
        data = self._read_data(text, layout)
        size = 0
        chunk: list[Record | BadRow] = []
        for record in data:
            chunk.append(record)
            size += sum(map(len, record[1])) if isinstance(record, tuple) else 0
            if len(chunk) == _CHUNK_RECORDS or size >= _CHUNK_CHARS:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

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
