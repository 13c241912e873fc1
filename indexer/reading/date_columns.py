"""Cells of a column of dates to which of their numbers is the day, and each of them to ISO. Pure.

`05/04/2024` has two meanings. A whole column tells which one, if any of its dates has only one.
"""

import re

from indexer.field_names import DATE_FIELDS
from indexer.reading.cells import is_missing_cell
from indexer.reading.plain_dates import DateOrder, find_date_order, read_datetime
from indexer.reading.plain_values import is_missing_word
from indexer.reading.rows import render_value

_DATE_NAME = re.compile(
    r"(?:^|_)(?:date|time|datetime|timestamp|day|at)$|^(?:date|time)(?:_|$)"
    r"|[a-z](?:Date|Time|At)$|日期|时间|時間",
)
_YEAR_LAST = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}\b.*", re.ASCII | re.DOTALL)


def is_date_name(name: str) -> bool:
    """Whether a column's name says that it holds dates or times."""
    return name in DATE_FIELDS or bool(_DATE_NAME.search(name) or _DATE_NAME.search(name.lower()))


class DateColumn:
    """Finds out the order of the dates of one column: `observe` cells, then `convert` them."""

    def __init__(self) -> None:
        self._orders: set[DateOrder] = set()
        self._first_unsure = self._first_sure = ""
        self.are_dates = True  # every cell so far is a date or may be one

    def observe(self, cell: str) -> None:
        """Note one cell that is not missing."""
        stripped = cell.strip()
        if not _YEAR_LAST.fullmatch(stripped):
            self.are_dates = self.are_dates and read_datetime(stripped) is not None
            return
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
    def changes_cells(self) -> bool:
        """Whether `convert` changes any cell."""
        return self.order is not None

    def convert(self, cell: str) -> str | None:
        """Return a date like `29/01/2021` in ISO 8601, None for NA and its like, else the text."""
        if is_missing_cell(cell) or is_missing_word(cell):
            return None
        if not _YEAR_LAST.fullmatch(cell.strip()):
            return cell
        return read_datetime(cell, order=self.order) or cell

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""
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
