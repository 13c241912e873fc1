"""Values of one column of typed rows to how its text is read. Pure.

Rows of JSON, Parquet, databases and memory have types of their own; only text among them is
touched, as the first rows show it to be meant.
"""

from typing import Any, TypeAlias

from indexer.field_names import TIME_FIELDS
from indexer.reading.cell_conversions import Conversion
from indexer.reading.cells import is_identifier
from indexer.reading.column_names import Role
from indexer.reading.csv_columns import (
    AMOUNT_FIELDS,
    ID_FIELDS,
    LIST_COLUMNS,
    PARSED_FIELDS,
    TEXT_COLUMNS,
)
from indexer.reading.date_columns import DateColumn, is_date_name
from indexer.reading.decimal_marks import DecimalMarks
from indexer.reading.field_parsers import is_number
from indexer.reading.list_columns import ListColumn, StructureColumn
from indexer.reading.value_column import ValueColumn
from indexer.reading.whole_ids import WholeIds


class _TextWatch:
    """Watches the text of a column that has a meaning: ids, tags, dates or amounts."""

    def __init__(self, column: ListColumn | DateColumn | WholeIds | DecimalMarks) -> None:
        self._column = column

    def observe(self, value: Any, line: int) -> None:
        """Note a value; only text tells anything, and numbers among dates."""
        del line
        if isinstance(value, str):
            self._column.observe(value)
        elif isinstance(self._column, DateColumn) and is_number(value):
            self._column.observe_numbers(value, value, str(value))

    def find_conversion(self) -> Conversion | None:
        """Return how text is read; None if it stays."""
        column = self._column
        return column.convert if column.changes_cells else None

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""
        return self._column.describe()


class _FreeWatch:
    """Watches a column without a meaning of its own.

    Its text is read as numbers or booleans if others of its values are, and as lists or objects if
    all of it spells some.
    """

    def __init__(self) -> None:
        self._structures = StructureColumn()
        self._typed: list[float] = []
        self._text: list[tuple[str, int]] = []
        self._values: ValueColumn | None = None

    def observe(self, value: Any, line: int) -> None:
        """Note a value and its line."""
        if isinstance(value, int | float):
            self._typed.append(value)
        elif isinstance(value, str):
            self._text.append((value, line))
            self._structures.observe(value)

    def find_conversion(self) -> Conversion | None:
        """Return how text is read; None if it stays."""
        if not self._typed:
            return self._structures.convert if self._structures.changes_cells else None
        if not self._text:
            return None
        self._values = ValueColumn(has_parser=False, is_date=False)
        for number in self._typed:
            self._values.observe_typed(number)
        for text, line in self._text:
            self._values.observe(text, line)
        return self._values.conversion if self._values.is_typed else None

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""
        return self._structures.describe() if self._values is None else self._values.describe()


def converts_numbers(conversion: Conversion) -> bool:
    """Whether a conversion is for the numbers of a column too: they may be days of Excel."""
    return isinstance(getattr(conversion, "__self__", None), DateColumn)


ColumnWatch: TypeAlias = _TextWatch | _FreeWatch


def watch_typed_column(names: set[str], role: Role) -> ColumnWatch | None:
    """Return what watches a column; None if its text stays whatever it is.

    Args:
        names: Its name, under ours if that is recognised, and the fields that it is mapped to.
        role: What the rows are.
    """
    if names & ID_FIELDS:
        return _TextWatch(WholeIds())
    if role is Role.INTERACTIONS:
        return _TextWatch(DateColumn()) if names & {*TIME_FIELDS} else None
    if names & LIST_COLUMNS:
        return _TextWatch(ListColumn())
    if any(map(is_date_name, names)):
        return _TextWatch(DateColumn())
    if names & AMOUNT_FIELDS:
        return _TextWatch(DecimalMarks())
    has_meaning = names & (PARSED_FIELDS | TEXT_COLUMNS) or any(map(is_identifier, names))
    return None if has_meaning else _FreeWatch()
