"""Rows of any source to rows under our names, with what its columns as a whole decide.

The first rows are kept until they tell: which columns are renamed, how lists are written in columns
of tags, which number of `05/04/2024` is the day, whether ids are all written as `12.0`. Only text
is touched: what a source gives as a number, a list or a time is that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from indexer.reading.column_names import (
    INDEX_COLUMN,
    Role,
    SourceNames,
    describe_absent,
    describe_names,
    recognise_names,
)
from indexer.reading.csv_columns import ID_FIELDS, LIST_COLUMNS
from indexer.reading.date_columns import DateColumn, is_date_name
from indexer.reading.list_columns import ListColumn
from indexer.reading.rows import BadRow, Row
from indexer.reading.whole_ids import WholeIds

_HEAD_ROWS = 10_000
_HEAD_SIZE = 16 * 1024 * 1024  # about as many characters
_VALUE_SIZE = 16  # of a number, in characters
_MAX_NOTED_COLUMNS = 20

Conversion = Callable[[str], Any]
_TIME_FIELDS = frozenset(("timestamp", "time", "at"))


def settle_rows(
    rows: Iterable[Row | BadRow], naming: SourceNames, *, is_named: bool = False
) -> Iterator[Row | BadRow]:
    """Yield the rows under our names.

    Args:
        rows: Under the source's own names.
        naming: What decides the names.
        is_named: Whether the rows have our names already.
    """
    iterator = iter(rows)
    head = _take_head(iterator)
    source = head[0].source if head else ""
    columns = _list_columns(head)
    renamed: dict[str, str] = {}
    if not is_named:
        renamed = recognise_names(
            columns, naming.role, mapping=naming.mapping, context=naming.context
        )
        if renamed:
            naming.notes.add(describe_names(source, renamed))
        ours = [renamed.get(column, column) for column in columns]
        if columns and (sentence := describe_absent(source, ours, naming)):
            naming.notes.add(sentence)
    conversions = _decide_conversions(source, head, columns, renamed, naming)
    settled: Iterator[Row | BadRow] = chain(head, iterator)
    if INDEX_COLUMN in columns and INDEX_COLUMN not in (*renamed, *naming.mapping.values()):
        settled = map(_drop_index, settled)
    if not renamed and not conversions:
        yield from settled
        return
    del head
    for row in settled:
        yield row if isinstance(row, BadRow) else _settle(row, renamed, conversions)


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
    """Return how the text of columns is changed, by the source's names."""
    conversions: dict[str, Conversion] = {}
    noted = 0
    for column in columns:
        names = {renamed.get(column, column)}
        names |= {ours for ours, theirs in naming.mapping.items() if theirs == column}
        watch = _choose_watch(names, naming.role)
        if watch is None:
            continue
        for row in head:
            cell = row.values.get(column) if isinstance(row, Row) else None
            if isinstance(cell, str):
                watch.observe(cell)
        if (convert := _settle_watch(watch)) is not None:
            conversions[column] = convert
        for words in watch.describe()[: _MAX_NOTED_COLUMNS - noted]:
            noted += 1
            naming.notes.add(f"{source}: {renamed.get(column, column)} {words}")
    return conversions


def _choose_watch(names: set[str], role: Role) -> ListColumn | DateColumn | WholeIds | None:
    if names & ID_FIELDS:
        return WholeIds()
    if role is Role.INTERACTIONS:
        return DateColumn() if names & _TIME_FIELDS else None
    if names & LIST_COLUMNS:
        return ListColumn()
    return DateColumn() if any(map(is_date_name, names)) else None


def _settle_watch(watch: ListColumn | DateColumn | WholeIds) -> Conversion | None:
    """How the text of a column is changed; None if it is not."""
    match watch:
        case ListColumn():
            watch.decide()
            return watch.convert if watch.changes_cells else None
        case DateColumn():
            return watch.convert if watch.changes_cells else None
        case WholeIds():
            return watch.convert if watch.are_floats else None


def _settle(row: Row, renamed: Mapping[str, str], conversions: Mapping[str, Conversion]) -> Row:
    values = dict(row.values)
    for column, convert in conversions.items():
        cell = values.get(column)
        if isinstance(cell, str):
            values[column] = convert(cell)
    for theirs, ours in renamed.items():
        # A row may have our name too, where others have not: what it holds there stays.
        if theirs in values and values.get(ours) is None:
            values[ours] = values.pop(theirs)
    return Row(row.source, row.line, values, row.findings)
