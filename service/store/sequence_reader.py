"""The SQLite file of a live store to what requests ask of it, quickly.

Every request asks how far the store has come, and the first of a user what is known of them.
Through SQLAlchemy that takes longer than the answer itself, so it is asked of the driver, over one
connection for each thread.
"""

import math
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

Owner: TypeAlias = tuple[str | None, str | None]  # a user, or an anonymous session
# A query without result processors, which must exist as long as the program, and its parameters.
BoundQuery: TypeAlias = tuple[sa.Select[Any], Mapping[str, Any]]
ROWS_AT_ONCE = 5_000  # of a log that may be long
_BUSY_MS = 20  # then it is read in a transaction, by a thread that may wait
_SEQUENCE_SQL = "SELECT seq, items_seq, removals_seq, version FROM live_counter, live_version"
_OWNERS_SQL = "SELECT user_id, session_id FROM live_events WHERE seq > ? AND seq <= ?"
_ITEMS_SQL = "SELECT count(*) FROM live_items WHERE seq > ? AND seq <= ?"


def to_owner(user_id: str | None, session_id: str | None) -> Owner:
    """Return whose a row is: of the user, whatever the session, or else of the session."""
    return (user_id, None) if user_id is not None else (None, session_id)


class NewOwners(NamedTuple):
    """Whose events came between two sequence numbers.

    Attributes:
        owners: Of the events.
        has_others: Whether a number belongs to another change than an event or an item as it is
            now: of a profile, of an item that has changed again, or a removal.
    """

    owners: set[Owner]
    has_others: bool


class SequenceReader:
    """Reads one SQLite store; thread-safe.

    Args:
        engine: Of the store; its settings of a connection hold here, too.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._local = threading.local()
        self._lock = threading.Lock()  # of the next two
        self._connections: list[sqlite3.Connection] = []
        self._is_closed = False

    def read_sequence(self) -> tuple[int, int, int, int]:
        """Return the numbers of all changes, of items, and of removals; and the schema's version.

        Raises:
            sqlite3.Error: If the store cannot be read now.
        """
        ((seq, items_seq, removals_seq, version),) = self._fetch(_SEQUENCE_SQL)
        return seq, items_seq, removals_seq, version

    def list_owners(self, after: int, last: int) -> NewOwners:
        """Return the owners of the events with sequence numbers in `(after, last]`.

        Raises:
            sqlite3.Error: If the store cannot be read now.
        """
        rows = self._fetch(_OWNERS_SQL, (after, last))
        others = last - after - len(rows)
        if others:
            ((item_count,),) = self._fetch(_ITEMS_SQL, (after, last))
            others -= item_count
        return NewOwners({to_owner(user, session) for user, session in rows}, others > 0)

    def fetch_at(self, seq: int, queries: Sequence[BoundQuery]) -> list[list[Any]] | None:
        """Return the rows of each query, all of one state of the store.

        Returns:
            None if the store is not at this sequence number, or cannot be read now.
        """
        try:
            connection = self._get_connection()
            connection.execute("BEGIN")
            try:
                if self.read_sequence()[0] != seq:
                    return None
                return [self._fetch_query(query, values) for query, values in queries]
            finally:
                connection.execute("ROLLBACK")  # nothing was written
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error:  # the transaction that comes next says what is wrong
            return None

    def scan_until(
        self,
        sequence: tuple[int, int],
        queries: Sequence[BoundQuery],
        take: Callable[[list[Any]], None],
    ) -> bool:
        """Hand over the rows of all queries, some thousands at a time.

        Each part is read in a transaction of its own: whoever cleans the files waits for no more.

        Args:
            sequence: The numbers of all changes, and of removals, when the read begins.
            queries: Of rows up to that number. The last two columns of a row are its place, which
                the parameters `after_at` and `after_id` take; `limit` is how many rows to read.
            take: Gets the rows.

        Returns:
            False if rows were removed meanwhile, or the store cannot be read now; then what was
            handed over is worth nothing.
        """
        try:
            for query, values in queries:
                after: tuple[float, str] = (-math.inf, "")
                rows: list[Any] | None = [None] * ROWS_AT_ONCE
                while rows is not None and len(rows) == ROWS_AT_ONCE:
                    place = {"after_at": after[0], "after_id": after[1], "limit": ROWS_AT_ONCE}
                    rows = self._fetch_unless_removed(sequence, query, {**values, **place})
                    if rows:
                        take([row[:-2] for row in rows])
                        after = rows[-1][-2:]
                if rows is None:
                    return False
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error:  # the transaction that comes next says what is wrong
            return False
        return True

    def _fetch_unless_removed(
        self, sequence: tuple[int, int], query: sa.Select[Any], values: Mapping[str, Any]
    ) -> list[Any] | None:
        connection = self._get_connection()
        connection.execute("BEGIN")
        try:
            seq, _, removals_seq, _ = self.read_sequence()
            if seq < sequence[0] or removals_seq != sequence[1]:
                return None
            return self._fetch_query(query, values)
        finally:
            connection.execute("ROLLBACK")  # nothing was written

    def close(self) -> None:
        """Close the connections of all threads; no more are opened."""
        with self._lock:
            self._is_closed = True
            while self._connections:
                self._connections.pop().close()

    def _fetch(self, sql: str, values: Sequence[int] | Mapping[str, Any] = ()) -> list[Any]:
        # All rows are fetched, since a statement that is not at its end keeps old pages alive.
        return self._get_connection().execute(sql, values).fetchall()

    def _fetch_query(self, query: sa.Select[Any], values: Mapping[str, Any]) -> list[Any]:
        sql, constants = _compile(query)
        return self._fetch(sql, {**constants, **values})

    def _get_connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        pooled = self._engine.raw_connection()
        connection = pooled.driver_connection
        pooled.detach()  # kept by this thread from now on
        if not isinstance(connection, sqlite3.Connection):
            raise TypeError(connection)
        # Requests are also answered by the event loop, which must not wait for a lock.
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        with self._lock:
            if self._is_closed:  # meanwhile, or before
                connection.close()
                raise sqlite3.ProgrammingError("the store was closed")
            self._connections.append(connection)
        return connection


@cache
def _compile(query: sa.Select[Any]) -> tuple[str, dict[str, Any]]:
    """Return the SQL of a query, with its parameters by name, and those that are constant."""
    compiled = query.compile(dialect=sqlite.dialect(paramstyle="named"))
    return str(compiled), dict(compiled.params)
