"""Cells of a column of dates to what its numbers are, and each of them to ISO. Pure.

`05/04/2024` has two meanings. A whole column tells which one, if any of its dates has only one.
`45321` is a day of Excel if the column holds nothing but dates and such numbers.
"""

import re
from typing import Any

from indexer.field_names import DATE_FIELDS
from indexer.reading.cells import is_missing_cell
from indexer.reading.missing_words import is_missing_word
from indexer.reading.plain_dates import (
    DateOrder,
    find_date_order,
    is_excel_day,
    read_datetime,
    read_excel_day,
)
from indexer.reading.rows import render_value

_DATE_NAME = re.compile(
    r"(?:^|_)(?:date|time|datetime|timestamp|day|at)$|^(?:date|time)(?:_|$)"
    r"|[a-z](?:Date|Time|At)$|日期|时间|時間",
)
_YEAR_LAST = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}\b.*", re.ASCII | re.DOTALL)
_EXCEL_NUMBER = re.compile(r"\d{5}(?:[.,]\d+)?", re.ASCII)
_MIN_DATES, _MIN_DATES_SHARE = 20, 0.95


def is_date_name(name: str) -> bool:
    """Whether a column's name says that it holds dates or times."""
    return name in DATE_FIELDS or bool(_DATE_NAME.search(name) or _DATE_NAME.search(name.lower()))


def _parse_day(text: str) -> float:
    return float(text.replace(",", "."))


class DateColumn:
    """Finds out what the dates of one column are: `observe` cells, then `convert` them."""

    def __init__(self) -> None:
        self._orders: set[DateOrder] = set()
        self._first_unsure = self._first_sure = self._first_day = ""
        self._has_other_numbers = False
        self._dates = self._others = 0

    @property
    def are_dates(self) -> bool:
        """Whether every cell so far is a date or may be one; numbers do not count."""
        return not self._others

    def observe(self, cell: str) -> None:
        """Note one cell that is not missing."""
        stripped = cell.strip()
        if _EXCEL_NUMBER.fullmatch(stripped):
            number = _parse_day(stripped)
            self.observe_numbers(number, number, stripped)
        elif _YEAR_LAST.fullmatch(stripped):
            self._dates += 1
            self._observe_year_last(stripped)
        elif not self._is_hopeless and read_datetime(stripped) is not None:
            self._dates += 1
        else:
            self._others += 1

    def observe_iso_dates(self, count: int) -> None:
        """Note so many cells that are dates in ISO 8601, which tell no order."""
        self._dates += count

    def observe_numbers(self, least: float, most: float, shown: str) -> None:
        """Note the least and the most of some numbers, and one as it is shown."""
        if is_excel_day(least) and is_excel_day(most):
            self._first_day = self._first_day or shown
        else:
            self._has_other_numbers = True

    def _observe_year_last(self, stripped: str) -> None:
        order = find_date_order([stripped])
        if order is not None:
            self._orders.add(order)
            self._first_sure = self._first_sure or stripped
        elif read_datetime(stripped) is None:
            self._first_unsure = self._first_unsure or stripped

    @property
    def order(self) -> DateOrder | None:
        """The order that all dates which tell it agree on; None if there is none."""
        return next(iter(self._orders)) if len(self._orders) == 1 else None

    @property
    def _is_hopeless(self) -> bool:
        """Whether cells need not be read any more, since too many are none."""
        return self._others > _MIN_DATES and self._others > self._dates

    @property
    def has_excel_days(self) -> bool:
        """Whether there are numbers, all of which may be days of Excel, beside dates alone."""
        return bool(self._first_day) and self.are_dates and not self._has_other_numbers

    def are_mostly_dates(self, min_cells: int = _MIN_DATES) -> bool:
        """Whether hardly a cell of at least so many is something else."""
        total = self._dates + self._others
        return total >= min_cells and self._dates >= _MIN_DATES_SHARE * total

    @property
    def changes_cells(self) -> bool:
        """Whether `convert` changes any cell."""
        return self.order is not None or self.has_excel_days

    def convert(self, cell: Any) -> Any:
        """Return a cell's date in ISO 8601, None for NA and its like, else the cell.

        Args:
            cell: Text, or a number of a source that has them.
        """
        if isinstance(cell, int | float):
            is_day = self.has_excel_days and not isinstance(cell, bool) and is_excel_day(cell)
            return read_excel_day(cell) if is_day else cell
        if is_missing_cell(cell) or is_missing_word(cell):
            return None
        stripped = cell.strip()
        if self.has_excel_days and _EXCEL_NUMBER.fullmatch(stripped):
            return self.convert(_parse_day(stripped))
        if not _YEAR_LAST.fullmatch(stripped):
            return cell
        return read_datetime(cell, order=self.order) or cell

    def contradicts(self, cell: str) -> bool:
        """Whether a cell that is not missing is no date, which a column of dates holds."""
        return read_datetime(cell, order=self.order) is None

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""
        told = []
        if self.has_excel_days:
            told = [
                f"holds day numbers of Excel, such as {self._first_day}, which is read as "
                f"{self.convert(self._first_day)}"
            ]
        return told + self._describe_order()

    def _describe_order(self) -> list[str]:
        if self.order is not None:
            return [f"holds dates with the {self.order}, such as {render_value(self._first_sure)}"]
        if self._orders:
            return ["holds dates with the day first, others with the month first; write ISO dates"]
        if self._first_unsure:
            return [
                f"holds dates such as {render_value(self._first_unsure)}, whose day and month no "
                f"cell tells apart; write ISO dates"
            ]
        return []
