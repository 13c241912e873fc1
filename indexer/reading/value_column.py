"""Cells of one CSV column to numbers, booleans, dates, structures or text. Pure.

See `indexer.reading.csv_columns` for what makes a column which.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from indexer.reading.cell_conversions import (
    BOOLEAN_WORDS,
    UNREADABLE,
    Conversion,
    Unreadable,
    convert_boolean,
    convert_boolean_or_leave_out,
    convert_structure,
    convert_text,
    convert_text_or_list,
    is_loose_number,
)
from indexer.reading.cell_lists import read_array, read_structure
from indexer.reading.cells import is_missing_cell
from indexer.reading.date_columns import DateColumn
from indexer.reading.decimal_marks import COMMA_NUMBER, DecimalMarks
from indexer.reading.missing_words import is_missing_number
from indexer.reading.plain_values import read_number
from indexer.reading.rows import render_value

_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d+)?(?:e[-+]\d{2,3})?", re.ASCII)
# Cells in lines: by far the quickest way to see that all of many are numbers or empty.
_PLAIN_CELLS = re.compile(r"(?:(?:-?(?:0|[1-9]\d{0,14})(?:\.\d+)?)?\n)*+", re.ASCII)
_ISO_CELLS = re.compile(
    r"(?:(?:\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[-+]\d\d:?\d\d)?)?)?\n)*+",
    re.ASCII,
)
_DIGIT_NAME = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", re.ASCII)
_MIN_TYPED_SHARE = 0.95
MIN_TYPED = 20
# After so many cells a column with hardly a number cannot become one of numbers any more.
_ENOUGH_CELLS, _FEW_NUMBERS_SHARE = 10_000, 0.1


class ValueColumn:
    """Infers the type of a column from its cells: `observe` them, then read `conversion`."""

    def __init__(
        self, *, has_parser: bool, is_date: bool, is_amount: bool = False, has_commas: bool = False
    ) -> None:
        """Take what the column's name says.

        Args:
            has_parser: Whether its field has a parser of its own.
            is_date: Whether it should hold dates.
            is_amount: Whether that parser reads numbers as people write them.
            has_commas: Whether the source writes commas before decimals if any does.
        """
        self._has_parser = has_parser
        self._is_date = is_date
        self._is_amount, self._has_commas = is_amount, has_commas
        self._dates = DateColumn()
        self._marks = DecimalMarks()
        self._numbers = self._booleans = self._structures = self._arrays = self._others = 0
        self._commas = 0  # of the others, numbers with a comma before their decimals
        self._is_whole = self._is_plain = True
        self._has_digit_names = False
        self._first_other = self._first_word = ""
        self._first_other_line = self._words = 0

    @property
    def is_undecided(self) -> bool:
        """Whether a further cell could still change the type."""
        if self._is_date or self._is_amount or (self._dates.are_dates and self._others):
            return True
        if self._has_parser:
            return not self._others
        total = self._total
        return total < _ENOUGH_CELLS or (
            total - self._others + self._commas > _FEW_NUMBERS_SHARE * total
        )

    @property
    def _total(self) -> int:
        return self._numbers + self._booleans + self._structures + self._arrays + self._others

    def observe_all(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Note cells and the lines of their rows, as `observe` does one by one."""
        joined = "\n".join(cells) + "\n"
        are_lines = joined.count("\n") == len(cells)
        if are_lines and self._is_date and _ISO_CELLS.fullmatch(joined):
            self._observe_iso_dates(cells, lines)
            return
        if not (are_lines and _PLAIN_CELLS.fullmatch(joined)):
            for cell, line in zip(cells, lines, strict=True):
                self.observe(cell, line)
            return
        numbers = [float(cell) for cell in cells if cell]
        if not numbers:
            return
        self._numbers += len(numbers)
        shown = next(filter(None, cells))
        self._dates.observe_numbers(min(numbers), max(numbers), shown)
        if "." in joined:
            self._is_whole = False
            if not self._marks.has_points:
                for cell in cells:
                    self._marks.observe(cell)

    def _observe_iso_dates(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        count = len(cells) - cells.count("")
        self._others += count
        self._dates.observe_iso_dates(count)
        if count and not self._first_other:
            self._first_other, self._first_other_line = next(
                pair for pair in zip(cells, lines, strict=True) if pair[0]
            )

    def observe(self, cell: str, line: int) -> None:
        """Note a cell and the line of its row."""
        stripped = cell.strip()
        if is_missing_cell(stripped):
            return
        if _PLAIN_NUMBER.fullmatch(stripped) and math.isfinite(number := float(stripped)):
            self._numbers += 1
            self._dates.observe_numbers(number, number, stripped)
            self._is_whole = self._is_whole and "." not in stripped and "e" not in stripped
            self._marks.observe(stripped)
        elif is_missing_number(stripped):
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
            self._dates.observe_numbers(value, value, str(value))
            self._is_whole = self._is_whole and isinstance(value, int)

    def _observe_other(self, stripped: str, line: int) -> None:
        if stripped.lower() in BOOLEAN_WORDS:
            self._booleans += 1
        elif is_loose_number(stripped):
            self._numbers += 1
            self._dates.observe_numbers(math.inf, math.inf, stripped)
            self._is_plain = False
            self._is_whole = self._is_whole and "." not in stripped and "E" not in stripped
            self._marks.observe(stripped)
        elif not self._has_parser and read_structure(stripped) is not None:
            self._structures += 1
        elif not self._has_parser and read_array(stripped) is not None:
            self._arrays += 1
        else:
            self._observe_text(stripped, line)

    def _observe_text(self, stripped: str, line: int) -> None:
        self._others += 1
        is_code = stripped.isdecimal()  # it begins with 0, or has more digits than a number
        is_comma_number = not is_code and COMMA_NUMBER.fullmatch(stripped) is not None
        self._commas += is_comma_number
        if is_comma_number or self._is_amount:
            self._marks.observe(stripped)
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
        if self._holds_excel_days:
            return self._dates.convert
        if self._numbers == total and (self._is_plain or not self._has_parser):
            return self._convert_to_number
        if self._booleans == total:
            return convert_boolean
        return self._choose_mixed_conversion()

    def _choose_mixed_conversion(self) -> Conversion:
        total = self._total
        if self._are_comma_numbers:
            return self._convert_comma_number
        if self._is_mostly(self._numbers):
            return self._convert_or_leave_out
        if self._is_mostly(self._booleans):
            return convert_boolean_or_leave_out
        if self._structures + self._arrays == total and self._structures * self._arrays == 0:
            return convert_structure
        if self._changes_dates():
            return self._dates.convert
        if self._is_amount and self._marks.is_comma:
            return self._convert_amount
        return convert_text if self._has_parser else convert_text_or_list

    def convert_all(self, cells: Sequence[str]) -> list[Any]:
        """Return the values of cells, as `conversion` does one by one."""
        convert = self.conversion
        if convert == self._convert_to_number and self._is_plain and not self._words:
            try:
                return [self._parse(cell) if cell else None for cell in cells]
            except ValueError:
                pass  # a blank among them
        return [convert(cell) for cell in cells]

    @property
    def _parse(self) -> Callable[[str], float]:
        return int if self._is_whole else float

    def leaves_out(self) -> bool:
        """Whether `conversion` may return `UNREADABLE`."""
        return self.conversion in (self._convert_or_leave_out, convert_boolean_or_leave_out)

    def contradicts(self, cell: str, min_cells: int = MIN_TYPED) -> bool | None:
        """Whether a cell is not what its column holds; None if it is missing or anything fits.

        Args:
            cell: As it is written.
            min_cells: That the column has, at least; of fewer than usual all must agree.
        """
        if is_missing_cell(cell) or is_missing_number(cell) or self._total < min_cells:
            return None
        if self.is_typed or self.leaves_out():
            return self.conversion(cell) in (None, UNREADABLE)
        are_dates = self._dates.are_mostly_dates(min_cells)
        return self._dates.contradicts(cell) if are_dates else None

    @property
    def is_typed(self) -> bool:
        """Whether it is a column of numbers or of booleans."""
        total = self._total
        is_whole = total > 0 and total in (self._numbers, self._booleans)
        is_mostly = self._is_mostly(self._numbers) or self._is_mostly(self._booleans)
        return is_whole or is_mostly or self._are_comma_numbers

    @property
    def _holds_excel_days(self) -> bool:
        """Whether all is dates and numbers that may be days of Excel."""
        are_all = self._numbers + self._others == self._total
        return are_all and self._dates.has_excel_days and (self._is_date or self._others > 0)

    @property
    def _are_comma_numbers(self) -> bool:
        """Whether all are numbers with a comma before their decimals, and no two of them."""
        are_all = self._commas > 0 and self._commas + self._numbers == self._total
        is_sure = self._has_commas or self._marks.has_groups
        return are_all and is_sure and self._marks.is_comma and not self._has_parser

    def _changes_dates(self) -> bool:
        """Whether dates are rewritten, or words for nothing beside them left out."""
        are_dates = self._dates.are_dates and self._others == self._total
        if self._dates.order is not None:
            return self._is_date or are_dates
        return bool(self._words) and are_dates and not self._has_parser

    def _is_mostly(self, count: int) -> bool:
        is_free = not (self._has_parser or self._has_digit_names)
        total = self._total
        return is_free and total >= MIN_TYPED and count >= _MIN_TYPED_SHARE * total

    def _convert_to_number(self, cell: str) -> float | None:
        if is_missing_cell(cell):
            return None
        stripped = cell.strip()
        if _PLAIN_NUMBER.fullmatch(stripped):
            return self._parse(stripped)
        number = read_number(stripped) if is_loose_number(stripped) else None
        return number if number is None or self._is_whole else float(number)

    def _convert_or_leave_out(self, cell: str) -> float | Unreadable | None:
        number = self._convert_to_number(cell)
        if number is not None or is_missing_cell(cell):
            return number
        return None if is_missing_number(cell) else UNREADABLE

    def _convert_comma_number(self, cell: str) -> float | None:
        if is_missing_cell(cell):
            return None
        number = read_number(self._marks.convert(cell.strip()))
        return None if number is None else float(number)

    def _convert_amount(self, cell: str) -> str | None:
        return None if is_missing_cell(cell) else self._marks.convert(cell)

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""
        total = self._total
        if not total:
            return []
        is_date = self._is_date or (self._dates.are_dates and self._others == total)
        if self._holds_excel_days:
            return self._dates.describe()
        told = self._dates.describe() if is_date else []
        if self._is_amount or self._are_comma_numbers:
            told = told + self._marks.describe()
        return told if self._has_parser else self._describe_type() + told

    def _describe_type(self) -> list[str]:
        total = self._total
        if self.is_typed and self._words:
            kind = "booleans" if 2 * self._booleans > total else "numbers"
            return [
                f"holds {kind}; cells such as {render_value(self._first_word)} count as missing "
                f"({self._words:,})"
            ]
        if self.is_typed:
            return []
        for count, kind in ((self._numbers, "numbers"), (self._booleans, "true or false")):
            if 2 * count >= total:
                return [
                    f"stays text, though {count:,} of {total:,} cells are {kind}: "
                    f"{self._describe_others()}"
                ]
        if self._structures + self._arrays == total:
            return ["holds lists or objects"]
        if self._commas + self._numbers == total:
            return [
                f"stays text, though cells such as {render_value(self._first_other)} may be "
                f"numbers; write a point before decimals"
            ]
        return []

    def _describe_others(self) -> str:
        """Return what keeps a column text."""
        if self._first_other:
            return f"line {self._first_other_line} holds {render_value(self._first_other)}"
        kinds = {
            "numbers": self._numbers,
            "true or false": self._booleans,
            "lists or objects": self._structures + self._arrays,
        }
        usual = max(kinds, key=lambda kind: kinds[kind])
        others = [kind for kind, count in kinds.items() if count and kind != usual]
        return f"others are {' and '.join(others)}"
