"""The first lines of a delimited file to how its cells are separated and quoted. Pure."""

import csv
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

_DELIMITERS = (",", ";", "\t", "|")
_DOUBLE_COLON = "::"
# Stands for `::`, since the csv module takes one character: the unit separator of ASCII.
UNIT_SEPARATOR = "\x1f"
_SEP_LINE = re.compile(r'"?sep=(?P<delimiter>[^"\r\n]|::)"?\s*', re.IGNORECASE)
_QUOTE_AFTER_SPACE = re.compile(r'(?:^|[,;|\t]) +"', re.MULTILINE)
_NAMES = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "bars (|)",
    "::": "double colons (::)",
}
_MIN_FITTING_SHARE = 0.8  # of the lines, which have as many cells as the header


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the lines of a file are split into cells.

    Attributes:
        delimiter: What stands between cells.
        has_space_after: Whether spaces after a delimiter are no part of the cell.
        has_quotes: Whether quotes may enclose a cell.
        skipped_lines: Lines before the header, such as Excel's `sep=;`.
    """

    delimiter: str
    has_space_after: bool = False
    has_quotes: bool = True
    skipped_lines: int = 0

    def describe(self) -> str:
        """Return what stands between cells, for people."""
        return _NAMES.get(self.delimiter, repr(self.delimiter))


def detect_dialect(lines: Sequence[str], expected_delimiter: str) -> Dialect:
    """Return how a file is split.

    Args:
        lines: Its first lines, complete, with their line ends.
        expected_delimiter: What the file's name promises; taken if it fits.
    """
    if lines and (match := _SEP_LINE.fullmatch(lines[0])):
        return _describe_spaces(Dialect(match["delimiter"], skipped_lines=1), lines[1:])
    counted = [line for line in lines if not line.isspace()]
    if not counted:
        return Dialect(expected_delimiter)
    if _fits_double_colons(counted):
        return Dialect(_DOUBLE_COLON, has_quotes=False)
    candidates = (expected_delimiter, *(d for d in _DELIMITERS if d != expected_delimiter))
    dialects = [_describe_spaces(Dialect(delimiter), counted) for delimiter in candidates]
    fitting = [(d, *_measure_fit(d, counted)) for d in dialects]
    good = [(d, width) for d, width, share in fitting if width > 1 and share >= _MIN_FITTING_SHARE]
    if not good:
        good = [(d, width) for d, width, _ in fitting if width > 1] or [(dialects[0], 1)]
    if good[0][0].delimiter == expected_delimiter:
        return good[0][0]
    return max(good, key=lambda pair: pair[1])[0]


def _fits_double_colons(lines: Sequence[str]) -> bool:
    counts = {line.count(_DOUBLE_COLON) for line in lines}
    return len(counts) == 1 and min(counts) > 0


def _describe_spaces(dialect: Dialect, lines: Sequence[str]) -> Dialect:
    """The dialect, with spaces after delimiters if quotes follow them and the lines fit better."""
    if dialect.delimiter == _DOUBLE_COLON or not _QUOTE_AFTER_SPACE.search("".join(lines)):
        return dialect
    spaced = Dialect(dialect.delimiter, has_space_after=True, skipped_lines=dialect.skipped_lines)
    is_better = _measure_fit(spaced, lines)[1] > _measure_fit(dialect, lines)[1]
    return spaced if is_better or _is_quoted_whole(dialect, lines) else dialect


def _is_quoted_whole(dialect: Dialect, lines: Sequence[str]) -> bool:
    """Whether, split without regard to spaces, cells are enclosed in quotes after a space."""
    cells = [cell for record in _split(dialect, lines) for cell in record if cell.startswith(" ")]
    return any(re.fullmatch(r'\s+".*"\s*', cell) for cell in cells)


def _measure_fit(dialect: Dialect, lines: Sequence[str]) -> tuple[int, float]:
    """Return the cells of the header, and the share of records that have as many."""
    records = [record for record in _split(dialect, lines) if record]
    width = len(records[0]) if records else 0
    fitting = sum(len(record) == width for record in records)
    return width, fitting / max(1, len(records))


def _split(dialect: Dialect, lines: Sequence[str]) -> list[list[str]]:
    """The records of the lines; the last is left out, since it may go on after them."""
    records: list[list[str]] = []
    reader = csv.reader(
        iter(lines), delimiter=dialect.delimiter, skipinitialspace=dialect.has_space_after
    )
    with suppress(csv.Error):  # what was split before the error tells enough
        records.extend(reader)
    return records[:-1] if len(records) > 2 else records
