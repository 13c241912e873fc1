"""Rows of any source to rows under our names, with what its columns as a whole decide.

The first rows are kept until they tell: which columns are renamed, how lists are written in columns
of tags, which number of `05/04/2024` is the day, whether ids are all written as `12.0`. Only text
is touched, and numbers among dates that may be days of Excel: what else a source gives as a number,
a list or a time is that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from indexer.errors import CatalogError
from indexer.reading.cell_conversions import UNREADABLE, Conversion, describe_unreadable
from indexer.reading.column_names import (
    INDEX_COLUMN,
    Role,
    SourceNames,
    describe_absent,
    describe_names,
    name_source_columns,
)
from indexer.reading.column_watches import ColumnWatch, converts_numbers, watch_typed_column
from indexer.reading.field_parsers import is_number
from indexer.reading.id_columns import collect_samples
from indexer.reading.rows import BadRow, Row, render_value

_HEAD_ROWS = 10_000
_HEAD_SIZE = 16 * 1024 * 1024  # about as many characters
_VALUE_SIZE = 16  # of a number, in characters
_MAX_NOTED_COLUMNS = 20
_MAX_WATCHED_COLUMNS = 2_000  # twice as many as an item may have


def name_rows(
    rows: Iterable[Row | BadRow],
    naming: SourceNames,
    *,
    is_named: bool = False,
    has_fixed_columns: bool = False,
) -> Iterator[Row | BadRow]:
    """Yield the rows under our names.

    Args:
        rows: Under the source's own names.
        naming: What decides the names.
        is_named: Whether the rows have our names already.
        has_fixed_columns: Whether all rows have the same columns.

    Raises:
        CatalogError: If all rows have the same columns, and ids that are needed are not there.
    """
    iterator = iter(rows)
    head = _take_head(iterator)
    source = head[0].source if head else ""
    columns = _list_columns(head)
    renamed: dict[str, str] = {}
    if not is_named:
        renamed = _rename(head, columns, naming, is_refused=has_fixed_columns and naming.needs_ids)
    conversions = _decide_conversions(source, head, columns, renamed, naming)
    named: Iterator[Row | BadRow] = chain(head, iterator)
    if INDEX_COLUMN in columns and INDEX_COLUMN not in (*renamed, *naming.mapping.values()):
        named = map(_drop_index, named)
    if not renamed and not conversions:
        yield from named
        return
    del head
    with_numbers = frozenset(name for name, c in conversions.items() if converts_numbers(c))
    for row in named:
        if isinstance(row, BadRow):
            yield row
        else:
            yield _rename_and_convert(row, renamed, conversions, with_numbers, naming.role)


def _rename(
    head: Sequence[Row | BadRow], columns: list[str], naming: SourceNames, *, is_refused: bool
) -> dict[str, str]:
    """Return which columns are renamed; that ids are missing is told, or refused."""
    source = head[0].source if head else ""
    renamed = name_source_columns(source, columns, naming, partial(collect_samples, head))
    if renamed:
        naming.notes.add(describe_names(source, renamed, option=naming.fields_option))
    ours = [renamed.get(column, column) for column in columns]
    if columns and (sentence := describe_absent(source, ours, naming)):
        if is_refused:
            raise CatalogError(sentence)
        naming.notes.add(sentence)
    return renamed


def _drop_index(row: Row | BadRow) -> Row | BadRow:
    if isinstance(row, BadRow):
        return row
    values = {name: value for name, value in row.values.items() if name != INDEX_COLUMN}
    return Row(row.source, row.line, values, row.findings)


def _take_head(rows: Iterator[Row | BadRow]) -> list[Row | BadRow]:
    head: list[Row | BadRow] = []
    size = 0
    for row in rows:
        head.append(row)
        size += _estimate_size(row.values) if isinstance(row, Row) else 0
        if len(head) >= _HEAD_ROWS or size >= _HEAD_SIZE:
            break
    return head


def _estimate_size(values: Mapping[str, Any]) -> int:
    size = 0
    waiting: list[Any] = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += value.values()
            size += sum(map(len, map(str, value)))
        elif isinstance(value, list):
            waiting += value
        size += len(value) if isinstance(value, str) else _VALUE_SIZE
    return size


def _list_columns(head: Iterable[Row | BadRow]) -> list[str]:
    names: dict[str, None] = {}
    for row in head:
        if isinstance(row, Row) and not names.keys() >= row.values.keys():
            names.update(dict.fromkeys(row.values))
    return list(names)


def _decide_conversions(
    source: str,
    head: Iterable[Row | BadRow],
    columns: Iterable[str],
    renamed: Mapping[str, str],
    naming: SourceNames,
) -> dict[str, Conversion]:
    """Return how the text of columns is read, by the source's names; what is guessed is told."""
    watches: dict[str, ColumnWatch] = {}
    for column in columns:
        names = {renamed.get(column, column)}
        names |= {ours for ours, theirs in naming.mapping.items() if theirs == column}
        if (watch := watch_typed_column(names, naming.role)) is None:
            continue
        if len(watches) == _MAX_WATCHED_COLUMNS:
            naming.notes.add(
                f"{source} has more than {_MAX_WATCHED_COLUMNS:,} columns; the text of those from "
                f"{render_value(column)} on stays text. Put what varies into a list of one column"
            )
            break
        watches[column] = watch
    for row in head:
        for column, value in row.values.items() if isinstance(row, Row) else ():
            if (watch := watches.get(column)) is not None:
                watch.observe(value, row.line)
    found = {column: watch.find_conversion() for column, watch in watches.items()}
    told = [(column, words) for column, watch in watches.items() for words in watch.describe()]
    for column, words in told[:_MAX_NOTED_COLUMNS]:
        naming.notes.add(f"{source}: {renamed.get(column, column)} {words}")
    return {column: convert for column, convert in found.items() if convert is not None}


def _rename_and_convert(
    row: Row,
    renamed: Mapping[str, str],
    conversions: Mapping[str, Conversion],
    with_numbers: frozenset[str],
    role: Role,
) -> Row:
    values, findings = dict(row.values), row.findings
    written: dict[str, Any] = {}
    for column, convert in conversions.items():
        cell: Any = values.get(column)
        if isinstance(cell, str) or (column in with_numbers and is_number(cell)):
            value = values[column] = convert(cell)
            if value is UNREADABLE:
                values[column] = None
                findings = (*findings, describe_unreadable(renamed.get(column, column), cell))
            if role is Role.INTERACTIONS and value != cell:
                written[renamed.get(column, column)] = cell
    for theirs, ours in renamed.items():
        # A row may have our name too, where others have not: what it holds there stays.
        if theirs in values and values.get(ours) is None:
            values[ours] = values.pop(theirs)
    return Row(row.source, row.line, values, findings, written or None)
