"""Lines of separated cells to records of as many cells as the first one, and the bad lines.

An unclosed quote loses only the line it is on: the lines after it, which the csv module took for
part of the cell, are read again.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TextIO, TypeAlias

from indexer.reading.dialect import UNIT_SEPARATOR, Dialect
from indexer.reading.rows import BadRow, clip

MAX_CELL_CHARS = 16 * 1024 * 1024
_MAX_LINE_CHARS = 4 * MAX_CELL_CHARS
_CHUNK_LINES, _CHUNK_CHARS = 512, 1 << 22
_MAX_FAILED_CHUNKS = 4
_BOM = "\ufeff"

Record: TypeAlias = tuple[int, list[str]]  # the number of its first line, from 1, and its cells


def read_chunks(source: str, text: TextIO, dialect: Dialect) -> Iterator[list[Record | BadRow]]:
    """Yield the records of a text, many at once.

    Lines with a record each, which nearly all are, go through the csv module together, since that
    is much quicker. Where a cell has several lines, or a line is bad, records are read one by one.

    Args:
        source: Its name, for bad rows.
        text: Opened with `newline=""`, its undecodable bytes as surrogates.
        dialect: How it is split.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_CHARS))
    lines = _LineReader(text, dialect)
    reader = _make_csv_reader(lines, dialect)
    width = read_count = failed_count = 0
    while True:
        is_quick = width > 1 and failed_count <= _MAX_FAILED_CHUNKS + read_count
        if is_quick and not lines.has_pushback:
            first, chunk = lines.take_chunk()
            if not chunk:
                return
            cells = _split_lines(chunk, dialect, width)
            if cells is not None:
                read_count += 1
                yield list(enumerate(cells, start=first))
                continue
            failed_count += 1
            lines.put_back(chunk)
        singles: list[Record | BadRow] = []
        chars = 0
        for record in _read_singles(source, lines, reader, width):
            singles.append(record)
            chars += _count_chars(record)
            is_enough = not width or (is_quick and not lines.has_pushback)
            if is_enough or len(singles) == _CHUNK_LINES or chars >= _CHUNK_CHARS:
                break
        if not singles:
            return
        yield singles
        width = width or next((len(r[1]) for r in singles if isinstance(r, tuple)), 0)


def _count_chars(record: Record | BadRow) -> int:
    return sum(map(len, record[1])) if isinstance(record, tuple) else 0


def _split_lines(chunk: list[str], dialect: Dialect, width: int) -> list[list[str]] | None:
    """Return the cells of lines that are a record of so many cells each; None if any is not."""
    joined = "".join(chunk)
    if not joined.isascii() and (_BOM in joined or _find_flaw([joined], 1)):
        return None
    try:
        records = list(_make_csv_reader(chunk, dialect))
    except csv.Error:
        return None
    # Every record takes at least one line, so that as many records take one each.
    is_whole = len(records) == len(chunk) and set(map(len, records)) == {width}
    return records if is_whole else None


def _read_singles(
    source: str, lines: "_LineReader", reader: Iterator[list[str]], width: int
) -> Iterator[Record | BadRow]:
    """Yield records one by one; the first one's width is that of all if none is known."""
    while True:
        line = lines.begin_record()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield BadRow(source, line, _describe_csv_error(error), lines.rewind())
            continue
        if cells is None:
            return
        if len(cells) <= 1 and not "".join(cells).strip():
            continue
        width = width or len(cells)
        reason = _find_flaw(cells, width)
        yield BadRow(source, line, reason, lines.rewind()) if reason else (line, cells)


def _make_csv_reader(lines: Iterable[str], dialect: Dialect) -> Iterator[list[str]]:
    is_single = len(dialect.delimiter) == 1
    return csv.reader(
        lines,
        delimiter=dialect.delimiter if is_single else UNIT_SEPARATOR,
        skipinitialspace=dialect.has_space_after,
        quoting=csv.QUOTE_MINIMAL if dialect.has_quotes else csv.QUOTE_NONE,
        strict=True,
    )


class _LineReader:
    """Iterator over physical lines that can put back the lines of a malformed record."""

    def __init__(self, text: TextIO, dialect: Dialect) -> None:
        lines = iter(partial(text.readline, _MAX_LINE_CHARS), "")
        for _ in range(dialect.skipped_lines):
            next(lines, None)
        if len(dialect.delimiter) > 1:
            lines = (line.replace(dialect.delimiter, UNIT_SEPARATOR) for line in lines)
        self._source = iter(lines)
        self._pushback: deque[str] = deque()
        self._record: list[str] = []
        self._line = dialect.skipped_lines

    @property
    def has_pushback(self) -> bool:
        """Whether lines were put back and not read again yet."""
        return bool(self._pushback)

    def take_chunk(self) -> tuple[int, list[str]]:
        """Return the number of the next line, from 1, and many lines from it on; none at the end.

        They are as they are, with byte order marks.
        """
        first, chars = self._line + 1, 0
        chunk: list[str] = []
        for line in self._source:
            chunk.append(line)
            chars += len(line)
            if len(chunk) == _CHUNK_LINES or chars >= _CHUNK_CHARS:
                break
        self._line += len(chunk)
        return first, chunk

    def put_back(self, chunk: list[str]) -> None:
        """Put back the lines that were taken last."""
        self._pushback.extendleft(reversed(chunk))
        self._line -= len(chunk)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._pushback.popleft() if self._pushback else next(self._source)
        if text[0] == _BOM:  # of a file that was joined to another
            text = text[1:]
        self._record.append(text)
        self._line += 1
        return text

    def begin_record(self) -> int:
        """Start a new record; return the number of its first line, from 1."""
        self._record.clear()
        return self._line + 1

    def rewind(self) -> str:
        """Put back all lines of the record except the first; return that one, clipped."""
        self._pushback.extendleft(reversed(self._record[1:]))
        self._line -= len(self._record) - 1
        first = clip(self._record[0].rstrip("\r\n"))
        return first.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _find_flaw(cells: list[str], width: int) -> str:
    """Describe what is wrong with a record; an empty string if nothing is."""
    if len(cells) != width:
        return f"has {len(cells)} cells where the header has {width}"
    joined = "".join(cells)
    if joined.isascii():
        return ""
    try:
        joined.encode()
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) - 0xDC00
        return f"has the byte 0x{byte:02x}, which is not UTF-8; save the file as UTF-8"
    return ""


def _describe_csv_error(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "has a quoted cell that is never closed"
    if "field limit" in text:
        return f"has a cell of more than {MAX_CELL_CHARS} characters; is a quote unclosed?"
    return f"cannot be split into cells: {text}"
