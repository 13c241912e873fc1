r"""Cells of one CSV column to the type of the whole column, and each of them to its value. Pure.

A column gets one type for the whole file, so that filters compare values of one type:

* Titles, prose, reviews and ids (`id`, `movie_id`, `movieId`, `isbn`, …) always stay text. Ids that
  are all written as `12.0` lose the `.0`, which pandas adds to whole numbers with a gap.
* Tag columns (`tags`, `genres`, `mood`, …) hold lists, see `indexer.reading.list_columns`.
* Columns with a meaning of their own (`price`, `rating`, `available`, `location`, `created_at`,
  `vector`) are numbers if every cell is one, else text that the field's own parser reads.
* Otherwise numbers, if every cell is written as programs write numbers (`-3`, `9.90`, `1e-05`,
  `1.5E7`, `1,299`), or if at least 95% of at least 20 are: the others are left out then, and named.
  Names that consist of digits make a column text: `007`, `+1`, `.5`, `1e5`, 16 and more digits.
* Otherwise booleans, if every cell is `true` or `false` in any case.
* Otherwise lists and objects, if every cell spells one in JSON or Python or all are PostgreSQL's.
* Otherwise text, and a list in the rows that have `a|b|c`. Dates like `29/01/2021` in a column
  named as one (`release_date`, …) become ISO 8601 if the column tells which number is the day.

An empty cell, or the `\N` of database dumps, is missing; so are words for nothing (`NA`, `None`,
`-`), `nan` and infinities in a column of numbers, booleans or dates.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Protocol

from typing_extensions import override

from indexer.field_names import PROSE_FIELDS, REVIEW_FIELDS, TAG_FIELDS, TITLE_FIELDS
from indexer.reading.cell_lists import read_array, read_structure
from indexer.reading.cells import is_identifier, is_missing_cell, split_list, to_plain
from indexer.reading.date_columns import DateColumn, is_date_name
from indexer.reading.list_columns import ListColumn
from indexer.reading.plain_values import is_missing_word, read_number
from indexer.reading.rows import render_value

Conversion = Callable[[str], Any]


class Unreadable:
    """The type of `UNREADABLE`."""


UNREADABLE = Unreadable()  # a cell that has no value of its column's type, and is left out

LIST_COLUMNS = frozenset((*TAG_FIELDS, "tags", "categories", "genres", "keywords", "topics"))
_TEXT_FIELDS = frozenset((*TITLE_FIELDS, *PROSE_FIELDS, *REVIEW_FIELDS))
# Fields whose own parser reads more forms than a column of numbers may have.
_PARSED_FIELDS = frozenset(("price", "rating", "available", "location", "created_at", "vector"))
_ID_FIELDS = frozenset(("id", "item_id", "item", "user_id", "user"))

_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d+)?(?:e[-+]\d{2,3})?", re.ASCII)
_JAVA_NUMBER = re.compile(r"-?\d\.\d+E-?\d{1,3}", re.ASCII)
_GROUPED_NUMBER = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3}){1,4}(?:\.\d+)?", re.ASCII)
_DIGIT_NAME = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE = frozenset(("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"))
_BOOLEAN_WORDS = {"true": True, "false": False}
_WHOLE_FLOAT = re.compile(r"-?\d+\.0", re.ASCII)
_MIN_NUMBERS_SHARE = 0.95
_MIN_NUMBERS = 20
# After so many cells a column with hardly a number cannot become one of numbers any more.
_ENOUGH_CELLS, _FEW_NUMBERS_SHARE = 10_000, 0.1


class CsvColumn(Protocol):
    """Infers the type of one column: `observe` every cell, then read `conversion`."""

    @property
    def is_undecided(self) -> bool:
        """Whether a further cell could still change the type."""

    def observe(self, cell: str, line: int) -> None:
        """Note a cell and the line of its row."""

    @property
    def conversion(self) -> Conversion:
        """The function from a cell of this column to its value, or to `UNREADABLE`."""

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""


def watch_column(*names: str) -> CsvColumn:
    """Return what infers the type of a column.

    Args:
        names: The column's own name and the field names that it is mapped to.
    """
    known = frozenset(names)
    if known & _ID_FIELDS:
        return _IdColumn()
    if known & LIST_COLUMNS:
        return _TagColumn()
    if known & _TEXT_FIELDS or any(map(is_identifier, names)):
        return _TextColumn()
    is_date = any(map(is_date_name, names))
    return _ValueColumn(has_parser=bool(known & _PARSED_FIELDS), is_date=is_date)


class _TextColumn(CsvColumn):
    is_undecided = False

    @override
    def observe(self, cell: str, line: int) -> None:
        pass

    @property
    @override
    def conversion(self) -> Conversion:
        return convert_text

    @override
    def describe(self) -> list[str]:
        return []


class _IdColumn(CsvColumn):
    """Ids; `12.0` is `12` if all of them are written so."""

    def __init__(self) -> None:
        self._ids = WholeIds()

    @property
    @override
    def is_undecided(self) -> bool:
        return self._ids.may_be_floats

    @override
    def observe(self, cell: str, line: int) -> None:
        self._ids.observe(cell)

    @property
    @override
    def conversion(self) -> Conversion:
        return _convert_whole_id if self._ids.are_floats else convert_text

    @override
    def describe(self) -> list[str]:
        return self._ids.describe()


class WholeIds:
    """Finds out whether all ids of a column are whole numbers that are written as `12.0`."""

    def __init__(self) -> None:
        self._first = ""
        self.may_be_floats = True

    def observe(self, cell: str) -> None:
        """Note one cell."""
        if self.may_be_floats and not is_missing_cell(cell):
            self.may_be_floats = _WHOLE_FLOAT.fullmatch(cell.strip()) is not None
            self._first = self._first or cell

    @property
    def are_floats(self) -> bool:
        """Whether there was a cell, and every one was written so."""
        return self.may_be_floats and bool(self._first)

    def convert(self, cell: str) -> str | None:
        """Return an id without its `.0`."""
        return _convert_whole_id(cell)

    def describe(self) -> list[str]:
        """Return what was guessed, as the end of a sentence that names the column."""
        short = self._first.strip().removesuffix(".0")
        return [f"is written as {self._first}, read as {short}"] if self.are_floats else []


class _TagColumn(CsvColumn):
    """Tags: lists in any notation."""

    is_undecided = True

    def __init__(self) -> None:
        self._lists = ListColumn()

    @override
    def observe(self, cell: str, line: int) -> None:
        self._lists.observe(cell)

    @property
    @override
    def conversion(self) -> Conversion:
        self._lists.decide()
        return self._lists.convert

    @override
    def describe(self) -> list[str]:
        return self._lists.describe()


class _ValueColumn(CsvColumn):
    """Numbers, booleans, dates, structures or text, by what the cells are."""

    def __init__(self, *, has_parser: bool, is_date: bool) -> None:
        self._has_parser = has_parser
        self._is_date = is_date
        self._dates = DateColumn()
        self._numbers = self._booleans = self._structures = self._arrays = self._others = 0
        self._is_whole = self._is_plain = True
        self._has_digit_names = False
        self._first_other = self._first_word = ""
        self._first_other_line = self._words = 0

    @property
    @override
    def is_undecided(self) -> bool:
        if self._is_date or (self._dates.are_dates and self._others):
            return True
        if self._has_parser:
            return not self._others
        total = self._total
        return total < _ENOUGH_CELLS or (
            self._numbers + self._booleans + self._structures + self._arrays
            > _FEW_NUMBERS_SHARE * total
        )

    @property
    def _total(self) -> int:
        return self._numbers + self._booleans + self._structures + self._arrays + self._others

    @override
    def observe(self, cell: str, line: int) -> None:
        stripped = cell.strip()
        if is_missing_cell(stripped):
            return
        if _PLAIN_NUMBER.fullmatch(stripped) and math.isfinite(float(stripped)):
            self._numbers += 1
            self._is_whole = self._is_whole and "." not in stripped and "e" not in stripped
        elif stripped.lower() in _NOT_FINITE or is_missing_word(stripped):
            self._words += 1
            self._first_word = self._first_word or stripped
        else:
            self._observe_other(stripped, line)

    def _observe_other(self, stripped: str, line: int) -> None:
        if stripped.lower() in _BOOLEAN_WORDS:
            self._booleans += 1
        elif _is_loose_number(stripped):
            self._numbers += 1
            self._is_plain = False
            self._is_whole = self._is_whole and "." not in stripped and "E" not in stripped
        elif not self._has_parser and read_structure(stripped) is not None:
            self._structures += 1
        elif not self._has_parser and read_array(stripped) is not None:
            self._arrays += 1
        else:
            self._others += 1
            if self._is_date or self._dates.are_dates:
                self._dates.observe(stripped)
            if not self._first_other:
                self._first_other, self._first_other_line = stripped, line
            self._has_digit_names |= _DIGIT_NAME.fullmatch(stripped) is not None

    @property
    @override
    def conversion(self) -> Conversion:
        total = self._total
        if not total:
            return convert_text
        if self._numbers == total and (self._is_plain or not self._has_parser):
            return self._convert_to_number
        if self._booleans == total:
            return _convert_boolean
        if self._is_mostly_numbers():
            return self._convert_or_leave_out
        if self._structures + self._arrays == total and self._structures * self._arrays == 0:
            return _convert_structure
        if self._changes_dates():
            return self._dates.convert
        return convert_text if self._has_parser else _convert_text_or_list

    def _changes_dates(self) -> bool:
        """Whether dates are rewritten, or words for nothing beside them left out."""
        are_dates = self._dates.are_dates and self._others == self._total
        if self._dates.order is not None:
            return self._is_date or are_dates
        return bool(self._words) and are_dates and not self._has_parser

    def _is_mostly_numbers(self) -> bool:
        is_free = not (self._has_parser or self._has_digit_names)
        total = self._total
        return is_free and total >= _MIN_NUMBERS and self._numbers >= _MIN_NUMBERS_SHARE * total

    def _convert_to_number(self, cell: str) -> float | None:
        if is_missing_cell(cell):
            return None
        stripped = cell.strip()
        if _PLAIN_NUMBER.fullmatch(stripped):
            return int(stripped) if self._is_whole else float(stripped)
        number = read_number(stripped) if _is_loose_number(stripped) else None
        return number if number is None or self._is_whole else float(number)

    def _convert_or_leave_out(self, cell: str) -> float | Unreadable | None:
        number = self._convert_to_number(cell)
        if number is not None or is_missing_cell(cell):
            return number
        word = cell.strip()
        is_missing = word.lower() in _NOT_FINITE or is_missing_word(word)
        return None if is_missing else UNREADABLE

    @override
    def describe(self) -> list[str]:
        total = self._total
        is_typed = self._numbers == total or self._booleans == total or self._is_mostly_numbers()
        is_date = self._is_date or (self._dates.are_dates and self._others == total)
        told = self._dates.describe() if total and is_date else []
        if not total or self._has_parser:
            return told
        found = []
        if is_typed and self._words:
            kind = "booleans" if self._booleans == total else "numbers"
            found.append(
                f"holds {kind}; cells such as {render_value(self._first_word)} count as missing "
                f"({self._words:,})"
            )
        elif not is_typed and 2 * self._numbers >= total:
            found.append(
                f"stays text, though {self._numbers:,} of {total:,} cells are numbers: line "
                f"{self._first_other_line} holds {render_value(self._first_other)}"
            )
        elif self._structures + self._arrays == total:
            found.append("holds lists or objects")
        return found + told


def _is_loose_number(stripped: str) -> bool:
    """Whether a cell is a number as Java (`1.5E7`) or people (`1,299`) write it."""
    return bool(_JAVA_NUMBER.fullmatch(stripped) or _GROUPED_NUMBER.fullmatch(stripped))


def convert_text(cell: str) -> str | None:
    """Return the cell; None if it is missing."""
    return None if is_missing_cell(cell) else cell


def _convert_whole_id(cell: str) -> str | None:
    if is_missing_cell(cell):
        return None
    stripped = cell.strip()
    return stripped[:-2] if _WHOLE_FLOAT.fullmatch(stripped) else cell


def _convert_boolean(cell: str) -> bool | None:
    return None if is_missing_cell(cell) else _BOOLEAN_WORDS.get(cell.strip().lower())


def _convert_structure(cell: str) -> Any:
    if is_missing_cell(cell):
        return None
    value = read_structure(cell)
    if value is None:
        value = read_array(cell)
    return None if value is None else to_plain(value)


def _convert_text_or_list(cell: str) -> str | list[str] | None:
    if is_missing_cell(cell):
        return None
    return split_list(cell) if "|" in cell else cell
