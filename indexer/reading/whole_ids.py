"""Ids of a column to whether all are whole numbers with `.0`, which pandas adds to them. Pure."""

import re

from indexer.reading.cells import is_missing_cell

_WHOLE_FLOAT = re.compile(r"-?\d+\.0", re.ASCII)


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
    def changes_cells(self) -> bool:
        """Whether there was a cell, and every one is written so."""
        return self.may_be_floats and bool(self._first)

    def convert(self, cell: str) -> str | None:
        """Return an id without its `.0`; None if it is missing."""
        if is_missing_cell(cell):
            return None
        stripped = cell.strip()
        return stripped[:-2] if _WHOLE_FLOAT.fullmatch(stripped) else cell

    def describe(self) -> list[str]:
        """Return what was guessed, as the end of a sentence that names the column."""
        short = self._first.strip().removesuffix(".0")
        return [f"is written as {self._first}, read as {short}"] if self.changes_cells else []
