"""Cells of a row of interactions to what they say, whatever they are taken for. Pure.

An imported row is known again by these. How cells are read may get better with any release; what is
written here may not change, or rows that were imported before would be imported twice.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from indexer.reading.column_names import SAME_FIELD_NAMES, Role, recognise_names
from indexer.reading.rows import NO_MAPPING, Row

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_WHOLE_FLOAT = re.compile(r"-?\d+\.0", re.ASCII)
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?.*)?", re.ASCII)
_LATE_FIELDS = frozenset(("value", "rating"))  # they may be mapped later than a row is imported


class WrittenCells:
    """Finds the cells that identify a row, by the names that its columns have without `--fields`.

    So a row stays the same when another column is taken for its item, event, value or time. Only
    whose it is, is as the caller says: a row of somebody else is another one.
    """

    def __init__(self, columns: Iterable[str], mapping: Mapping[str, str]) -> None:
        """Take the source's columns as the rows have them, and what `--fields` says."""
        self._mapping = mapping
        found = recognise_names(columns, Role.INTERACTIONS, mapping=NO_MAPPING) if mapping else {}
        self._renamed = {theirs: ours for theirs, ours in found.items() if ours != "user_id"}

    def find(self, row: Row) -> Mapping[str, Any]:
        """Return the cells of a row that identify it, by our names."""
        if not self._mapping:
            return {**row.values, **row.written} if row.written else row.values
        written = row.written or NO_MAPPING
        cells = {**row.values, **written}
        for theirs, ours in self._renamed.items():
            if theirs in cells and cells.get(ours) is None:
                cells[ours] = cells.pop(theirs)
        for ours, theirs in self._mapping.items():
            names = next((names for names in SAME_FIELD_NAMES if ours in names), {ours})
            is_whose = "user_id" in names
            if theirs not in row.values or names & _LATE_FIELDS:
                continue
            if is_whose or names.isdisjoint(cells):
                cells.update(dict.fromkeys(names & cells.keys()))
                cells[ours] = written.get(theirs, row.values[theirs])
        return cells


def describe_written_id(value: Any) -> str | None:
    """Return an id as a row writes it; None without one. 12 and 12.0 are both "12"."""
    if value is None or isinstance(value, bool):
        return None if value is None else str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text[:-2] if _WHOLE_FLOAT.fullmatch(text) else text


def describe_written_number(value: Any) -> float | str | None:
    """Return a number as a row writes it, or the text that is none; None if there is nothing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _to_float(value)
    text = "" if value is None else to_utf8_text(str(value).strip())
    return _to_float(float(text)) if _NUMBER.fullmatch(text) else text or None


def describe_written_time(value: Any) -> float | str | None:
    """Return a time as a row writes it: a number, Unix seconds of ISO 8601, or the text."""
    said = describe_written_number(value)
    if not isinstance(said, str) or not _ISO_TIME.fullmatch(said):
        return said
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return said
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _to_float(number: float) -> float | str | None:
    """Return a number as JSON can hold it; NaN is nothing."""
    try:
        found = float(number)
    except OverflowError:
        return str(number)
    if found != found:
        return None
    return str(found) if found in (float("inf"), float("-inf")) else found


def to_utf8_text(text: str) -> str:
    """Return text with halves of surrogate pairs written as escapes, as UTF-8 can hold it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
