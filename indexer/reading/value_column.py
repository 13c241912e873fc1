"""Cells of one CSV column to numbers, booleans, dates, structures or text. Pure.

See `indexer.reading.csv_columns` for what makes a column which.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from indexer.reading.cell_lists import read_array, read_structure
from indexer.reading.cells import is_missing_cell, split_list, to_plain
from indexer.reading.date_columns import DateColumn
from indexer.reading.findings import FieldFinding
from indexer.reading.plain_values import is_missing_word, read_number
from indexer.reading.rows import render_value

Conversion = Callable[[str], Any]


class Unreadable:
    """The type of `UNREADABLE`."""


UNREADABLE = Unreadable()  # a cell that has no value of its column's type, and is left out


def describe_unreadable(name: str, cell: str) -> FieldFinding:
    """Return the finding of a cell that is `UNREADABLE`."""
    return FieldFinding(name, cell, f"{name} must be a number, as most of its column are")


_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d+)?(?:e[-+]\d{2,3})?", re.ASCII)
_JAVA_NUMBER = re.compile(r"-?\d\.\d+E-?\d{1,3}", re.ASCII)
_GROUPED_NUMBER = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3}){1,4}(?:\.\d+)?", re.ASCII)
_DIGIT_NAME = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE = frozenset(("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"))
_BOOLEAN_WORDS = {"true": True, "false": False}
_MIN_NUMBERS_SHARE = 0.95
_MIN_NUMBERS = 20
# After so many cells a column with hardly a number cannot become one of numbers any more.
_ENOUGH_CELLS, _FEW_NUMBERS_SHARE = 10_000, 0.1


class ValueColumn:
    """Infers the type of a column from its cells: `observe` them, then read `conversion`."""

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
    def is_undecided(self) -> bool:
        """Whether a further cell could still change the type."""
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

    def observe(self, cell: str, line: int) -> None:
        """Note a cell and the line of its row."""
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

    def observe_typed(self, value: float) -> None:
        """Note a cell that is a number or a boolean already."""
        if isinstance(value, bool):
            self._booleans += 1
        else:
            self._numbers += 1
            self._is_whole = self._is_whole and isinstance(value, int)

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
    def conversion(self) -> Conversion:
        """The function from a cell of this column to its value, or to `UNREADABLE`."""
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

    @property
    def is_typed(self) -> bool:
        """Whether it is a column of numbers or of booleans."""
        total = self._total
        is_whole = total > 0 and total in (self._numbers, self._booleans)
        return is_whole or self._is_mostly_numbers()

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

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""
        total = self._total
        is_date = self._is_date or (self._dates.are_dates and self._others == total)
        told = self._dates.describe() if total and is_date else []
        if not total or self._has_parser:
            return told
        found = []
        if self.is_typed and self._words:
            kind = "booleans" if self._booleans == total else "numbers"
            found.append(
                f"holds {kind}; cells such as {render_value(self._first_word)} count as missing "
                f"({self._words:,})"
            )
        elif not self.is_typed and 2 * self._numbers >= total:
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
