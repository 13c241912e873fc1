"""The path of a SQLite store to whether it still leads to the file that was opened.

SQLite does not notice that somebody has deleted or replaced its file, and goes on writing to what
no path leads to. Nothing here opens the file beside SQLite: see `service.store.page_slack`.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_Identity = tuple[int, int]  # device and inode


class StoreFile:
    """The file of a store, and its write-ahead log, as they were when the store was opened.

    Args:
        path: Of the file; the store is open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name, self._log_name = str(path), f"{path.resolve()}-wal"
        found = os.stat(self._name)  # noqa: PTH116  # thrice as quick as pathlib; for each call
        self._identity: _Identity = (found.st_dev, found.st_ino)
        self._size = found.st_size
        self._log_identity = self._identify_log()
        self._lasting_fault: str | None = None

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
        if self._log_identity is not None and self._identify_log() != self._log_identity:
            return f"{self.path} has lost its write-ahead log"
        self._size = found.st_size
        return None

    def close(self, fault: str) -> None:
        """Let `find_fault` find this fault from now on: nothing is open any more."""
        self._lasting_fault = fault

    def _identify_log(self) -> _Identity | None:
        try:
            found = os.stat(self._log_name)  # noqa: PTH116
        except OSError:
            return None
        return found.st_dev, found.st_ino


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
