"""The file of a SQLite store to the same file, zeros where pages hold remnants of moved rows.

A program of its own, without imports from this package:

usage: page_slack.py FILE SECONDS

FILE is no symbolic link: SQLite keeps the write-ahead log beside the file itself.

SQLite overwrites a row that is deleted (`PRAGMA secure_delete`), but when rows move to another
page, their copies stay in the part of the old page between its cell pointers and its cells, the
slack. Only a process that serves nothing may open the file beside SQLite: closing it drops all
locks that SQLite holds in the same process ("How To Corrupt An SQLite Database File", 2.2).

Why writing here is safe: it happens while this process holds SQLite's write lock and the
write-ahead log is empty, so nobody else writes to the file; and no reader looks at slack. In the
end a transaction changes `user_version`, which makes every connection forget the pages that it
remembers. A process that is killed half-way leaves a sound file.

Exit codes: 0 if no slack holds anything any more; 3 if a reader, or other writers, did not make way
in time; 1 after any other error, which is on stderr.
"""

import os
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

EXIT_BLOCKED = 3

_BTREE_PAGES = {2: 12, 5: 12, 10: 8, 13: 8}  # type of a page to the length of its header
_HEADER_BYTES = 100
_BLOCK_PAGES = 256  # read at once
_LOCKED_PAGES = 1_000  # cleaned under the write lock at once, within some 20 ms
_BUSY_MS = 10  # that a checkpoint waits for readers, during which nobody can write
_WRITE_BUSY_MS = 500  # that it waits for another writer
_PAUSE_S = 0.03
# Beyond, the number of a next page can begin with a byte that looks like the type of a page.
_MAX_PAGES = 1 << 25


class StoreFile:
    """The pages of a database file, read and written beside SQLite.

    Args:
        path: The file.

    Raises:
        ValueError: If the file has too many pages.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        header = os.pread(self._descriptor, _HEADER_BYTES, 0)
        page_size = int.from_bytes(header[16:18], "big")
        self._page_size = 65_536 if page_size == 1 else page_size
        self._usable_size = self._page_size - header[20]
        # Of a file with `auto_vacuum`, some pages hold pointers alone.
        has_pointer_pages = any(header[52:56])
        self._pointer_spacing = self._usable_size // 5 + 1 if has_pointer_pages else 0

    def find_dirty_pages(self) -> list[int]:
        """Return the numbers, from 1, of the pages whose slack holds anything.

        Raises:
            ValueError: If the file has too many pages.
        """
        size = os.fstat(self._descriptor).st_size
        count = size // self._page_size
        if count >= _MAX_PAGES:
            raise ValueError(f"the file has {count} pages, at most {_MAX_PAGES - 1} can be cleaned")
        return [
            number
            for first in range(1, count + 1, _BLOCK_PAGES)
            for number in self._find_dirty_in_block(first)
        ]

    def clean(self, number: int) -> None:
        """Fill the slack of a page with zeros. SQLite's write lock must be held."""
        place = (number - 1) * self._page_size
        start, end = self._find_slack(number, os.pread(self._descriptor, self._page_size, place))
        if end > start:
            os.pwrite(self._descriptor, bytes(end - start), place + start)

    def flush(self) -> None:
        """Write what was cleaned to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; SQLite must have closed it before."""
        os.close(self._descriptor)

    def _find_dirty_in_block(self, first: int) -> Iterator[int]:
        size = self._page_size
        block = os.pread(self._descriptor, _BLOCK_PAGES * size, (first - 1) * size)
        for offset in range(0, len(block) - size + 1, size):
            number = first + offset // size
            start, end = self._find_slack(number, block[offset : offset + size])
            if block.count(0, offset + start, offset + end) < end - start:
                yield number

    def _find_slack(self, number: int, page: bytes) -> tuple[int, int]:
        """Return where the slack of a page begins and ends; (0, 0) if it has none.

        The first page is left out: it holds the schema, no rows.
        """
        header_bytes = _BTREE_PAGES.get(page[0]) if page else None
        is_pointer_page = self._pointer_spacing and (number - 2) % self._pointer_spacing == 0
        if number == 1 or header_bytes is None or is_pointer_page:
            return 0, 0
        cell_count, content_start = struct.unpack_from(">HH", page, 3)
        start, end = header_bytes + 2 * cell_count, content_start or 65_536
        return (start, end) if start <= end <= self._usable_size else (0, 0)


class Blocked(Exception):
    """A reader or other writers did not make way in time."""


def clean_slack(path: str, deadline: float) -> None:
    """Clean the slack of all pages.

    Args:
        path: The database file.
        deadline: When to give up, on the clock of `time.monotonic`.

    Raises:
        Blocked: If a reader, or other writers, did not make way before the deadline.
    """
    with closing(StoreFile(path)) as file:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete=ON")
            _empty_log(connection, deadline)
            dirty = file.find_dirty_pages()
            for first in range(0, len(dirty), _LOCKED_PAGES):
                numbers = dirty[first : first + _LOCKED_PAGES]
                while not _clean_locked(connection, path, file, numbers):
                    _pause(deadline)
                    _empty_log(connection, deadline)
        if dirty:
            file.flush()


def _empty_log(connection: sqlite3.Connection, deadline: float) -> None:
    """Move the write-ahead log into the file and empty it, once no reader needs it any more."""
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    while _is_busy(connection):
        _pause(deadline)


def _is_busy(connection: sqlite3.Connection) -> bool:
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return True
    return bool(busy)


def _clean_locked(
    connection: sqlite3.Connection, path: str, file: StoreFile, numbers: Sequence[int]
) -> bool:
    """Clean some pages under the write lock; False if the log was written to meanwhile."""
    connection.execute(f"PRAGMA busy_timeout={_WRITE_BUSY_MS}")
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    try:
        if not _is_log_empty(path):
            return False
        for number in numbers:
            file.clean(number)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version={(version + 1) % (1 << 31)}")
        connection.execute("COMMIT")
        return True
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _is_log_empty(path: str) -> bool:
    try:
        return os.stat(f"{path}-wal").st_size == 0  # noqa: PTH116  # pathlib is slow to import
    except FileNotFoundError:
        return True


def _pause(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Blocked
    time.sleep(_PAUSE_S)


def main() -> int:
    """Clean the file that is named on the command line; return the exit code."""
    path, seconds = sys.argv[1:]
    try:
        clean_slack(path, time.monotonic() + float(seconds))
    except Blocked:
        return EXIT_BLOCKED
    except (OSError, sqlite3.Error, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
