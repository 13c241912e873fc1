"""Text of separated cells to rows, with one type per column (see `indexer.reading.csv_columns`).

A catalogue is read twice: once to infer the types, once for the rows.
"""

import io
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, zip_longest
from typing import Any, BinaryIO, TextIO

from indexer.errors import CatalogError
from indexer.reading.cell_conversions import UNREADABLE, describe_unreadable
from indexer.reading.column_names import (
    Role,
    SourceNames,
    describe_absent,
    describe_names,
    name_source_columns,
)
from indexer.reading.csv_columns import (
    ID_FIELDS,
    CsvColumn,
    RawColumn,
    TextColumn,
    watch_column,
)
from indexer.reading.delimited_records import Record, read_chunks
from indexer.reading.dialect import Dialect, detect_dialect
from indexer.reading.id_columns import SAMPLE_ROWS
from indexer.reading.missing_header import lacks_header, name_columns
from indexer.reading.moved_cells import MAX_FEW_ROWS, find_moved_rows, find_strange_cells
from indexer.reading.order_exports import find_order_columns
from indexer.reading.rows import BadRow, Row, clip, render_value
from indexer.reading.shop_exports import list_comma_columns

_SAMPLE_LINES, _SAMPLE_CHARS = 100, 1 << 16
_MAX_NOTED_COLUMNS = 20


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
        moved = self._find_moved_rows(layout)
        with self._open_text() as text:
            columns = self._infer_columns(text, layout, moved)
        with self._open_text() as text:
            yield from self._read_rows(text, layout, columns, moved)

    def read_text_rows(self) -> Iterator[Row | BadRow]:
        """Yield rows whose cells are strings or None, under our names where they are recognised."""
        layout = self._find_layout()
        with self._open_text() as text:
            mapped = {theirs for ours, theirs in self.naming.mapping.items() if ours in ID_FIELDS}
            columns: list[CsvColumn] = [
                TextColumn() if name in ID_FIELDS or name in mapped else RawColumn()
                for name in layout.names
            ]
            yield from self._read_rows(text, layout, columns, {})

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
            chunks = read_chunks(self.name, text, dialect)
            records = list(islice(chain.from_iterable(chunks), _SAMPLE_LINES))
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
            notes.add(describe_names(self.name, renamed, option=self.naming.fields_option))
        names = [renamed.get(name, name) for name in header]
        if header and (sentence := describe_absent(self.name, names, self.naming)):
            if self.naming.needs_ids:
                raise CatalogError(sentence)
            notes.add(sentence)
        return _Layout(dialect, first, names)

    def _take_samples(
        self, dialect: Dialect, header: Sequence[str], columns: Sequence[str]
    ) -> dict[str, list[Any]]:
        """Return the first cells of some columns."""
        with self._open_text() as text:
            chunks = read_chunks(self.name, text, dialect)
            records = list(islice(chain.from_iterable(chunks), SAMPLE_ROWS + 1))[1:]
        cells = [record[1] for record in records if isinstance(record, tuple)]
        places = {column: header.index(column) for column in columns}
        return {
            column: list(TextColumn().convert_all([row[place] for row in cells]))
            for column, place in places.items()
        }

    def _find_moved_rows(self, layout: _Layout) -> dict[int, list[str]]:
        """Return the lines of a short file whose cells have moved, and the columns that show it."""
        with self._open_text() as text:
            chunks = read_chunks(self.name, text, layout.dialect)
            first = list(islice(chain.from_iterable(chunks), MAX_FEW_ROWS + 2))
        records = [row for row in first if isinstance(row, tuple) and row[1] != layout.header]
        return find_moved_rows(records, layout.names, partial(self._watch_columns, layout))

    def _watch_columns(self, layout: _Layout) -> list[CsvColumn]:
        mapping = self.naming.mapping
        has_commas = layout.dialect.delimiter == ";"
        comma_columns = list_comma_columns([name.strip() for name in layout.header])
        return [
            watch_column(
                name,
                *(ours for ours, theirs in mapping.items() if theirs == name),
                has_commas=has_commas,
                has_comma_lists=(written or "").strip() in comma_columns,
            )
            for name, written in zip_longest(layout.names, layout.header)
        ]

    def _infer_columns(
        self, text: TextIO, layout: _Layout, moved: Container[int]
    ) -> list[CsvColumn]:
        notes = self.naming.notes
        columns = self._watch_columns(layout)
        undecided = [pair for pair in enumerate(columns) if layout.names[pair[0]]]
        for chunk in self._read_chunks(text, layout):
            undecided = [pair for pair in undecided if pair[1].is_undecided]
            if not undecided:
                break
            records = [row for row in chunk if isinstance(row, tuple) and row[0] not in moved]
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
        self,
        text: TextIO,
        layout: _Layout,
        columns: Sequence[CsvColumn],
        moved: Mapping[int, Sequence[str]],
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
                if record[0] in moved:
                    yield self._reject_moved(record, moved[record[0]], layout)
                elif has_unreadable and UNREADABLE in values.values():
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
        line = record[0]
        by_name = dict(zip(layout.names, record[1], strict=True))
        verdicts = {
            name: column.contradicts(by_name[name])
            for name, column in zip(layout.names, columns, strict=True)
            if name
        }
        if strange := find_strange_cells(verdicts):
            return self._reject_moved(record, strange, layout)
        findings = tuple(
            describe_unreadable(name, by_name[name])
            for name, value in values.items()
            if value is UNREADABLE
        )
        kept = {name: None if value is UNREADABLE else value for name, value in values.items()}
        return Row(self.name, line, kept, findings)

    def _reject_moved(self, record: Record, strange: Sequence[str], layout: _Layout) -> BadRow:
        line, cells = record
        by_name = dict(zip(layout.names, cells, strict=True))
        shown = ", ".join(f"{name} {render_value(by_name[name])}" for name in strange)
        reason = (
            f"has cells of other columns ({clip(shown)}), as if they had moved; check the "
            f"quotes and separators of this line and of the one before"
        )
        return BadRow(self.name, line, reason, clip(layout.dialect.delimiter.join(cells)))

    def _read_chunks(self, text: TextIO, layout: _Layout) -> Iterator[list[Record | BadRow]]:
        """Yield the records after the header; the header of a file joined to this one is none."""
        is_first = bool(layout.header)
        for chunk in read_chunks(self.name, text, layout.dialect):
            repeated = [r[0] for r in chunk if isinstance(r, tuple) and r[1] == layout.header]
            if not (is_first or repeated):
                yield chunk
                continue
            for line in repeated[1:] if is_first else repeated:
                self.naming.notes.add(
                    f"{self.name}: line {line} repeats the header and is left out"
                )
            yield [r for r in chunk if isinstance(r, BadRow) or r[0] not in repeated]
            is_first = is_first and not repeated
