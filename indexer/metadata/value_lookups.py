"""Keys to values of a SQLite file that never changes, and queries of it, quickly."""

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote


class ValueLookups:
    """Values by key and rows of queries, over one connection for each thread.

    Written against the driver: building and compiling a statement for ten rows takes SQLAlchemy
    longer than all the rest of an answer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._is_closed = False

    def fetch(self, sql: str, value: Any) -> Any:
        """Return the first column of the first row; None if there is no row."""
        row = self._get_cursor().execute(sql, (value,)).fetchone()
        return None if row is None else row[0]

    def fetch_all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self._get_cursor().execute(sql, values).fetchall()

    def _get_cursor(self) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor | None = getattr(self._local, "cursor", None)
        if cursor is None:
            if self._is_closed:
                raise sqlite3.ProgrammingError("the file was closed")
            connection = connect_immutable(self._path)
            self._connections.append(connection)
            cursor = self._local.cursor = connection.cursor()
        return cursor

    def close(self) -> None:
        """Close the connections of all threads."""
        self._is_closed = True
        while self._connections:
            self._connections.pop().close()


def connect_immutable(path: Path) -> sqlite3.Connection:
    """Return a connection to a file that nobody changes: it takes no locks."""
    uri = f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)
