"""One cell of CSV to its value, once the type of its column is known. Pure."""

import re
from collections.abc import Callable
from typing import Any

from indexer.reading.cell_lists import read_array, read_structure
from indexer.reading.cells import is_missing_cell, split_list, to_plain
from indexer.reading.findings import FieldFinding
from indexer.reading.missing_words import is_missing_number

Conversion = Callable[[str], Any]


class Unreadable:
    """The type of `UNREADABLE`."""


UNREADABLE = Unreadable()  # a cell that has no value of its column's type, and is left out

BOOLEAN_WORDS = {"true": True, "false": False}
_JAVA_NUMBER = re.compile(r"-?\d\.\d+E-?\d{1,3}", re.ASCII)
_GROUPED_NUMBER = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3}){1,4}(?:\.\d+)?", re.ASCII)


def describe_unreadable(name: str, cell: str) -> FieldFinding:
    """Return the finding of a cell that is `UNREADABLE`."""
    return FieldFinding(name, cell, f"{name} is not of the type that most of its column are")


def is_loose_number(stripped: str) -> bool:
    """Whether a cell is a number as Java (`1.5E7`) or people (`1,299`) write it."""
    return bool(_JAVA_NUMBER.fullmatch(stripped) or _GROUPED_NUMBER.fullmatch(stripped))


def convert_text(cell: str) -> str | None:
    """Return the cell; None if it is missing."""
    return None if is_missing_cell(cell) else cell


def convert_boolean(cell: str) -> bool | None:
    """Return the boolean of a cell; None if it is missing or none."""
    return None if is_missing_cell(cell) else BOOLEAN_WORDS.get(cell.strip().lower())


def convert_boolean_or_leave_out(cell: str) -> bool | Unreadable | None:
    """Return the boolean of a cell, None if it is missing, else `UNREADABLE`."""
    value = convert_boolean(cell)
    is_missing = value is not None or is_missing_cell(cell) or is_missing_number(cell)
    return value if is_missing else UNREADABLE


def convert_structure(cell: str) -> Any:
    """Return the list or object that a cell spells; None if it spells none."""
    if is_missing_cell(cell):
        return None
    value = read_structure(cell)
    if value is None:
        value = read_array(cell)
    return None if value is None else to_plain(value)


def convert_text_or_list(cell: str) -> str | list[str] | None:
    """Return the text of a cell, a list if it is `a|b`, None if it is missing."""
    if is_missing_cell(cell):
        return None
    return split_list(cell) if "|" in cell else cell
