"""A database URL to all that is open of one store: pools, readers, and the file behind them."""

import logging
import sqlite3
import threading
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from service.edge import Problem, unavailable
from service.settings import SettingsError
from service.store.close_guard import CloseGuard
from service.store.database_errors import get_first_line, get_sqlite_code, raise_as_problem
from service.store.engine import WRITE_OPTION, create_engine, hide_password
from service.store.schema import migrate
from service.store.sequence_reader import SequenceReader
from service.store.store_file import StoreFile, check_content

_KEEPER_BUSY_MS = 1_000
# After these, what is in a lost log is not lost yet: another holds it, or the disk is full.
_SAVE_AGAIN_CODES = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
)

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
        # Stays open to the files that were opened first, whatever becomes of them.
        self._keeper: sqlite3.Connection | None = None
        self._keeper_lock = threading.Lock()
        self._guard: CloseGuard | None = None  # while anything is open beside which files are lost

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
        if self.path is None:
            return
        pooled = self.engine.raw_connection()
        keeper = pooled.driver_connection
        pooled.detach()
        if not isinstance(keeper, sqlite3.Connection):
            raise TypeError(keeper)
        self._keeper = keeper
        keeper.execute(f"PRAGMA busy_timeout = {_KEEPER_BUSY_MS}")
        keeper.execute("SELECT version FROM live_version").fetchall()  # opens the log
        # So that the tables themselves do not depend on the log alone.
        keeper.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self.store_file = StoreFile(self.path, self._count_logged_pages)

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
            self._release_guard()

    def save_lost_log(self) -> None:
        """Move a log that no path leads to into the file; it holds what was acknowledged.

        Raises:
            Problem: 503 if that cannot be done now; it is to be tried again.
        """
        file = self.store_file
        if file is None or not file.has_lost_log or not file.is_in_place:
            return
        if file.is_log_replaced:  # another process has saved it, and written since
            return
        try:
            is_busy = bool(self._checkpoint("TRUNCATE")[0])
        except sqlite3.Error as error:
            if get_sqlite_code(error) not in _SAVE_AGAIN_CODES:
                _log.warning("what was in the live store's log may be lost: %s", error)
                return
            is_busy = True
        if is_busy:
            raise unavailable(
                f"the live store {file.path} has lost its write-ahead log, which is being saved; "
                f"try again in a moment"
            )

    def close(self, fault: str = "was closed") -> None:
        """Close the idle connections; those that are in use are closed after their transaction.

        Args:
            fault: What `find_fault` returns from now on.
        """
        if self.store_file is not None:  # first, so that who finds a closed connection finds why
            self.store_file.close(fault)
        self._start_guard()
        with self._lock:
            self._is_closed = True
            is_used = self._users > 0
        if self.reader is not None:
            self.reader.close()
        with self._keeper_lock:
            keeper, self._keeper = self._keeper, None
            if keeper is not None:
                keeper.close()
        # Not the engine's `dispose`: it would begin another pool, and leave what is lent to nobody.
        self.engine.pool.dispose()
        if not is_used:
            self._release_guard()

    def _start_guard(self) -> None:
        file = self.store_file
        if file is None or not (file.is_beside_lost and file.is_in_place):
            return
        with self._lock:
            if not self._is_closed:
                self._guard = CloseGuard(file.path)

    def _release_guard(self) -> None:
        with self._lock:
            guard, self._guard = self._guard, None
        if guard is not None:
            guard.release()

    def _checkpoint(self, kind: str) -> tuple[int, int, int]:
        """Run a checkpoint over the first files; see SQLite's `wal_checkpoint`."""
        with self._keeper_lock:
            if self._keeper is None:
                raise sqlite3.ProgrammingError("the store was closed")
            busy, logged, moved = self._keeper.execute(f"PRAGMA wal_checkpoint({kind})").fetchone()
        return busy, logged, moved

    def _count_logged_pages(self) -> int | None:
        """Return how many pages are in the log, as SQLite sees it; None: another one is busy.

        An empty log is a reason to ask: a checkpoint fails there unless nothing should be in it.
        """
        try:
            busy, logged, _ = self._checkpoint("PASSIVE")
        except sqlite3.ProgrammingError:
            return None
        except sqlite3.Error as error:
            return 1 if get_sqlite_code(error) == sqlite3.SQLITE_IOERR else None
        return None if busy else logged


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
    connections.save_lost_log()
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
