"""A database URL to all that is open of one store: pools, readers, and the file behind them."""

import logging
import sqlite3
import threading
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from service.edge import Problem, unavailable
from service.settings import SettingsError
from service.store.database_errors import get_first_line, raise_as_problem
from service.store.engine import WRITE_OPTION, create_engine, hide_password
from service.store.schema import migrate
from service.store.sequence_reader import SequenceReader
from service.store.store_file import StoreFile, check_content

_log = logging.getLogger(__name__)


class Connections:
    """The connections to a store; thread-safe.

    Args:
        url: SQLAlchemy URL.
        busy_s: How long a connection waits for another writer before it gives up.

    Attributes:
        engine: Lends connections that read.
        write_engine: Lends connections that write.
        reader: None: the sequence numbers cannot be read without a transaction.
        store_file: None: there is no file, or `watch_file` was not called yet.

    Raises:
        ImportError: If the driver of the database is not installed.
        ArgumentError: If the URL is wrong.
        NoSuchModuleError: If the URL names an unknown kind of database.
    """

    def __init__(self, url: str, busy_s: float) -> None:
        self.engine = create_engine(url, busy_s)
        self.write_engine = self.engine.execution_options(**{WRITE_OPTION: True})
        self.reader = SequenceReader(self.engine) if self.path is not None else None
        self.store_file: StoreFile | None = None
        self._lock = threading.Lock()  # of the next two
        self._users = 0  # transactions under way
        self._is_closed = False

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store; None for another kind."""
        name = self.engine.url.database
        is_sqlite = self.engine.dialect.name == "sqlite"
        return Path(name) if is_sqlite and name and not self.is_by_uri else None

    @property
    def is_by_uri(self) -> bool:
        """Whether a SQLite store is named by a URI instead of a path."""
        is_sqlite = self.engine.dialect.name == "sqlite"
        return is_sqlite and (self.engine.url.database or "").startswith("file:")

    def watch_file(self) -> None:
        """Remember which file is open; the store has been read or written by now."""
        if self.path is not None:
            self.store_file = StoreFile(self.path)

    def find_fault(self) -> str | None:
        """Return what has become of the file; None: nothing, or there is no file."""
        return None if self.store_file is None else self.store_file.find_fault()

    def start_use(self) -> bool:
        """Return whether a transaction may begin; if so, `end_use` must follow."""
        with self._lock:
            self._users += not self._is_closed
            return not self._is_closed

    def end_use(self) -> None:
        """Note that a transaction has ended; nothing stays open of what was closed meanwhile."""
        with self._lock:
            self._users -= 1
            is_last = self._is_closed and not self._users
        if is_last:
            self.engine.pool.dispose()

    def close(self, fault: str = "was closed") -> None:
        """Close the idle connections; those that are in use are closed after their transaction.

        Args:
            fault: What `find_fault` returns from now on.
        """
        if self.store_file is not None:  # first, so that who finds a closed connection finds why
            self.store_file.close(fault)
        with self._lock:
            self._is_closed = True
        if self.reader is not None:
            self.reader.close()
        # Not the engine's `dispose`: it would begin another pool, and leave what is lent to nobody.
        self.engine.pool.dispose()


def prepare(connections: Connections, safe_url: str) -> None:
    """Migrate the store behind new connections, and remember its file."""
    with raise_as_problem(), connections.write_engine.begin() as connection:
        migrate(connection, safe_url)
    connections.watch_file()


def reopen(connections: Connections, url: str, busy_s: float, fault: str) -> Connections:
    """Close connections to what is not the store any more; return new ones to what is.

    Raises:
        Problem: 503 if that holds no sound store.
    """
    connections.close(fault)  # first: the last one to close a file writes its log into it
    if connections.path is None:
        raise TypeError(f"no file is behind {hide_password(url)}, so that nothing becomes of it")
    fresh = Connections(url, busy_s)
    try:
        check_content(connections.path)
        prepare(fresh, hide_password(url))
    except (sqlite3.Error, SQLAlchemyError, Problem, SettingsError, OSError) as error:
        fresh.close()
        cause = error.detail if isinstance(error, Problem) else get_first_line(error)
        raise unavailable(
            f"the live store {fault}, and what is there now cannot be used ({cause}); put the "
            f"right file back, without a -wal or -shm file of another one beside it"
        ) from error
    _log.warning("the live store %s; what is there now is used from here on", fault)
    return fresh
