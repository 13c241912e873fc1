"""The path of a SQLite store to whether it still leads to the file that was opened.

SQLite does not notice that somebody has deleted or replaced its file, and goes on writing to what
no path leads to; nor that its log was cut short, or its shared memory deleted, whereupon the next
process writes under other locks. Nothing here opens the file beside SQLite, see
`service.store.page_slack`, nor its shared memory.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

_Identity = tuple[int, int]  # device and inode
_LOG_HEADER_BYTES = 32
_LOG_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")


class _Log(NamedTuple):
    """A write-ahead log as it was found.

    Attributes:
        salts: Others each time that the log begins anew; empty: it is empty.
    """

    size: int
    changed_ns: int
    salts: bytes = b""


class StoreFile:
    """The file of a store, its write-ahead log and its shared memory, as they were when opened.

    Args:
        path: Of the file; the store is open.
        count_logged_pages: Returns how many pages SQLite believes to be in the log; None: it is not
            known now.
    """

    def __init__(self, path: Path, count_logged_pages: Callable[[], int | None]) -> None:
        self.path = path
        self._count_logged_pages = count_logged_pages
        self._name, self._log_name = str(path), f"{path.resolve()}-wal"
        self._memory_name = f"{path.resolve()}-shm"
        found = os.stat(self._name)  # noqa: PTH116  # thrice as quick as pathlib; for each call
        self._identity: _Identity = (found.st_dev, found.st_ino)
        self._size = found.st_size
        self._log_identity = _identify(self._log_name)
        self._memory_identity = _identify(self._memory_name)
        self._log = _Log(0, 0)
        self._is_log_cut = False
        self._lasting_fault: str | None = None
        self._is_log_damaged()

    def find_fault(self) -> str | None:
        """Return what has become of the file, as words after "the live store …"; None: nothing."""
        least_size = self._size  # before looking: another thread may look later and see more
        try:
            found = os.stat(self._name)  # noqa: PTH116
        except OSError as error:
            return f"{self.path} is gone ({error.strerror})"
        if self._lasting_fault is not None:
            return self._lasting_fault
        if self._identity != (found.st_dev, found.st_ino):
            return f"{self.path} was replaced by another file"
        if found.st_size < least_size:
            return f"{self.path} was cut short"
        if self.has_lost_log:
            return f"{self.path} has lost its write-ahead log"
        if self._has_lost_memory:
            return f"{self.path} has lost its shared memory, {self._memory_name}"
        if self._is_log_damaged():
            self._is_log_cut = True  # for ever: it may look sound once it was written again
            return self.close(f"{self.path} had its write-ahead log cut short")
        self._size = found.st_size
        return None

    @property
    def has_lost_log(self) -> bool:
        """Whether the path of the log does not lead to the log that was opened."""
        return self._log_identity not in (None, _identify(self._log_name))

    @property
    def is_log_replaced(self) -> bool:
        """Whether there is another log with content in the place of the one that was opened."""
        try:
            return self.has_lost_log and os.stat(self._log_name).st_size > 0  # noqa: PTH116
        except OSError:
            return False

    @property
    def is_beside_lost(self) -> bool:
        """Whether the log or the shared memory is not what was opened, or was cut short."""
        return self._is_log_cut or self.has_lost_log or self._has_lost_memory

    @property
    def is_in_place(self) -> bool:
        """Whether the path of the file leads to the file that was opened."""
        return _identify(self._name) == self._identity

    def close(self, fault: str) -> str:
        """Let `find_fault` find this fault from now on, and return it: nothing is open any more."""
        self._lasting_fault = self._lasting_fault or fault
        return self._lasting_fault

    @property
    def _has_lost_memory(self) -> bool:
        return self._memory_identity not in (None, _identify(self._memory_name))

    def _is_log_damaged(self) -> bool:
        """Whether the log has lost what was in it, by another hand than SQLite's.

        SQLite itself empties it after all was moved into the file, and begins it with new salts.
        """
        before = self._log
        try:
            found = os.stat(self._log_name)  # noqa: PTH116
        except OSError:
            return False  # gone; the next look says so
        if (found.st_size, found.st_mtime_ns) == (before.size, before.changed_ns):
            return False
        if found.st_size == 0:
            count = self._count_logged_pages() if before.size else 0
            if count is not None and _stat_size(self._log_name) == 0:
                self._log = _Log(0, found.st_mtime_ns)
                return count > 0
            return False
        header = _read_header(self._log_name)
        salts = header[16:24]
        if _stat_size(self._log_name) != found.st_size:  # written meanwhile; the next look tells
            return False
        if len(header) == _LOG_HEADER_BYTES and header[:4] not in _LOG_MAGIC:
            return True
        self._log = _Log(found.st_size, found.st_mtime_ns, salts)
        return salts == before.salts and found.st_size < before.size


def _identify(name: str) -> _Identity | None:
    try:
        found = os.stat(name)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _stat_size(name: str) -> int | None:
    try:
        return os.stat(name).st_size  # noqa: PTH116
    except OSError:
        return None


def _read_header(name: str) -> bytes:
    """Return the first bytes of a log. SQLite locks no byte of it, so closing it drops no lock."""
    try:
        descriptor = os.open(name, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, _LOG_HEADER_BYTES, 0)
    finally:
        os.close(descriptor)


def check_content(path: Path) -> None:
    """Check that a file holds a sound live store; nothing is changed.

    Raises:
        sqlite3.Error: If it does not.
        OSError: If it cannot be looked at.
    """
    if path.stat().st_size == 0:  # SQLite would delete the log beside it
        raise sqlite3.DatabaseError("it is empty")
    uri = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(" ".join(str(found).split()))
        connection.execute("SELECT version FROM live_version").fetchone()
