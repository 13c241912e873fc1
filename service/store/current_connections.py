"""Connections to the store that is at a URL now: opened anew when its file is another one."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from indexer.reading import explain_missing_driver
from service.edge import Problem, unavailable
from service.settings import SettingsError
from service.store.connections import Connections, prepare, reopen
from service.store.database_errors import get_first_line
from service.store.engine import hide_password

_LOOK_EVERY_S = 0.5  # how often reads that need no transaction look at the file


class CurrentConnections:
    """The connections to a store, of which a file may be replaced while it is open; thread-safe.

    Args:
        url: SQLAlchemy URL.
        busy_s: How long a call waits for another writer before it gives up.
        on_reopening: Called when another store was opened in the place of the former one.

    Raises:
        SettingsError: See `connect`.
    """

    def __init__(self, url: str, busy_s: float, on_reopening: Callable[[], None]) -> None:
        self._url, self._busy_s, self._on_reopening = url, busy_s, on_reopening
        self._connections = connect(url, busy_s)
        self._lock = threading.Lock()  # of opening again, and of closing
        # On the monotonic clock: when a read looks at the file again, and when it is opened again.
        self._next_look_at = self._next_reopening_at = 0.0
        self._refusal = ""
        self._is_closed = False

    def get(self) -> Connections:
        """Return the connections as they are, which may be closed or lost."""
        return self._connections

    def look_well(self, connections: Connections) -> bool:
        """Whether nothing has become of the file, as far as was seen within half a second."""
        now = time.monotonic()
        if now < self._next_look_at:
            return True
        if connections.find_fault() is not None:
            return False
        self._next_look_at = now + _LOOK_EVERY_S
        return True

    @contextmanager
    def use(self) -> Iterator[Connections]:
        """Lend connections that nobody closes before the end.

        Raises:
            Problem: 503 if there is no store, or it cannot be used.
        """
        connections = self._find()
        while not connections.start_use():  # closed since: there are others, or why there are none
            connections = self._find()
        try:
            yield connections
        finally:
            connections.end_use()

    def _find(self) -> Connections:
        """Return connections to the store at its path, opened again if it is another one by now.

        Raises:
            Problem: 503 if there is none, or it cannot be used.
        """
        if self._is_closed:
            raise unavailable("the live store is closed, since the service stops; try again")
        connections = self._connections
        fault = connections.find_fault()
        if fault is None:
            return connections
        self._next_look_at = 0.0
        if not connections.path or not connections.path.exists():
            raise unavailable(
                f"the live store {fault}; put the file back, or restart the service to begin with "
                f"an empty one"
            )
        with self._lock:
            if self._connections is connections and not self._is_closed:
                if time.monotonic() < self._next_reopening_at:
                    raise unavailable(self._refusal)
                self._reopen(connections, fault)
            return self._connections

    def _reopen(self, connections: Connections, fault: str) -> None:
        try:
            self._connections = reopen(connections, self._url, self._busy_s, fault)
        except Problem as problem:  # nobody else looks through the file for a while
            self._refusal = problem.detail
            self._next_reopening_at = time.monotonic() + _LOOK_EVERY_S
            raise
        self._on_reopening()

    def close(self) -> None:
        """Close the idle connections, and refuse all further uses.

        Raises:
            Problem: If what was in the log of a SQLite file that is gone may be lost; the
                connections are closed.
        """
        with self._lock:
            self._is_closed = True
            try:
                self._connections.save_lost_log()
            finally:
                self._connections.close()


def connect(url: str, busy_s: float) -> Connections:
    """Return connections to a store, migrated to the present schema.

    Raises:
        SettingsError: If the URL is wrong, or the store cannot be opened or is of a newer release.
    """
    safe_url = hide_password(url)
    try:
        connections = Connections(url, busy_s)
    except ImportError as error:
        raise SettingsError(f"--db {safe_url} {explain_missing_driver(error)}") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(
            f"--db {safe_url} cannot be used ({get_first_line(error)}); give a SQLAlchemy URL "
            f"such as sqlite:////srv/live.sqlite"
        ) from error
    if connections.is_by_uri:
        connections.close()
        raise SettingsError(
            f"--db {safe_url} names a file by a URI, whose file cannot be watched; give its "
            f"path, such as sqlite:////srv/live.sqlite"
        )
    try:
        prepare(connections, safe_url)
    except (sqlite3.Error, SQLAlchemyError, Problem, OSError) as error:
        cause = error.detail if isinstance(error, Problem) else get_first_line(error)
        connections.close()
        raise SettingsError(
            f"the live store {safe_url} cannot be opened ({cause}); check that it is there and "
            f"can be written, or give another --db"
        ) from error
    except SettingsError:
        connections.close()
        raise
    return connections
