"""A database URL to short transactions over the live store: one writer, and readers beside it.

SQLite runs in WAL mode with `synchronous=FULL`: what was answered survives a crash of the machine.
Every write takes its numbers from one sequence, under the database's write lock, so the order of
sequence numbers is the order of commits.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from indexer.reading import explain_missing_driver, parse_url
from service.edge import Problem, unavailable
from service.settings import SettingsError
from service.store.database_errors import get_first_line, to_problem
from service.store.schema import MIGRATIONS, counter, version

BUSY_TIMEOUT_S = 10.0
_POOL_SIZE, _MAX_OVERFLOW = 4, 28
_WRITE_OPTION = "zhiyin_writing"
_MIGRATION_LOCK_ID = 0x5A486979  # PostgreSQL's name for the lock of who brings the store up to date

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SequenceNumbers:
    """How far the store has come; see `live_schema.counter`."""

    seq: int
    items_seq: int
    removals_seq: int


class WriteTransaction:
    """A transaction that writes, and the sequence numbers it takes."""

    def __init__(self, connection: sa.Connection, before: SequenceNumbers) -> None:
        self.connection = connection
        self._before = before
        self.seq = before.seq
        self._items_seq, self._removals_seq = before.items_seq, before.removals_seq

    def reserve(self, count: int = 1) -> int:
        """Return the first of `count` new sequence numbers."""
        self.seq += count
        return self.seq - count + 1

    def mark_items_changed(self) -> None:
        """Tell every worker to look at the items."""
        self._items_seq = self.seq

    def mark_events_removed(self) -> None:
        """Tell every worker that what it has added up from the log is no longer right."""
        self._removals_seq = self.seq

    def write_sequence(self) -> None:
        """Write the new sequence numbers, if any were taken."""
        after = SequenceNumbers(self.seq, self._items_seq, self._removals_seq)
        if after != self._before:
            values = {"seq": after.seq, "items_seq": after.items_seq}
            self.connection.execute(
                counter.update().values(**values, removals_seq=after.removals_seq)
            )


class LiveDatabase:
    """The live store; thread-safe."""

    def __init__(self, engine: sa.Engine, *, busy_s: float) -> None:
        self._engine = engine
        self._write_engine = engine.execution_options(**{_WRITE_OPTION: True})
        self._busy_s = busy_s
        self._writer_lock = threading.Lock()

    @classmethod
    def open(cls, url: str, *, busy_s: float = BUSY_TIMEOUT_S) -> Self:
        """Connect, and bring the store up to date.

        Args:
            url: SQLAlchemy URL.
            busy_s: How long a call waits for a writer before it gives up.

        Raises:
            SettingsError: If the URL is wrong, or the store cannot be opened or is of a newer
                release.
        """
        safe_url = hide_password(url)
        try:
            engine = _create_engine(url, busy_s)
        except ImportError as error:
            raise SettingsError(f"--db {safe_url} {explain_missing_driver(error)}") from error
        except (ArgumentError, NoSuchModuleError) as error:
            raise SettingsError(
                f"--db {safe_url} cannot be used ({get_first_line(error)}); give a SQLAlchemy URL such "
                f"as sqlite:////srv/live.sqlite"
            ) from error
        database = cls(engine, busy_s=busy_s)
        try:
            database._migrate(safe_url)
        except (SQLAlchemyError, Problem) as error:
            cause = error.detail if isinstance(error, Problem) else get_first_line(error)
            database.close()
            raise SettingsError(
                f"the live store {safe_url} cannot be opened ({cause}); check that it is there and "
                f"can be written, or give another --db"
            ) from error
        except SettingsError:
            database.close()
            raise
        return database

    @property
    def dialect(self) -> str:
        """The kind of database."""
        return self._engine.dialect.name

    @property
    def file(self) -> Path | None:
        """The file of a SQLite store."""
        name = self._engine.url.database
        return Path(name) if self.dialect == "sqlite" and name else None

    @contextmanager
    def begin_read(self) -> Iterator[sa.Connection]:
        """Lend a connection that sees one state of the store throughout.

        Raises:
            Problem: 503 if the store cannot be read now.
        """
        with _raise_as_problem(), self._engine.connect() as connection:
            if self.dialect != "sqlite":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def begin_write(self) -> Iterator[WriteTransaction]:
        """Lend a transaction; it is durable when the context ends, or undone if that raises.

        Raises:
            Problem: 503 if others write for too long.
        """
        # Threads of one process queue here, first come first served; SQLite's own lock only polls.
        if not self._writer_lock.acquire(timeout=self._busy_s):
            raise unavailable("the live store is busy; try again in a moment", retry_after_s=1)
        try:
            with _raise_as_problem(), self._write_engine.begin() as connection:
                row = connection.execute(sa.select(counter).with_for_update()).one()
                transaction = WriteTransaction(
                    connection, SequenceNumbers(row.seq, row.items_seq, row.removals_seq)
                )
                yield transaction
                transaction.write_sequence()
        finally:
            self._writer_lock.release()

    def read_sequence(self, connection: sa.Connection) -> SequenceNumbers:
        """Return how far the store has come."""
        row = connection.execute(sa.select(counter)).one()
        return SequenceNumbers(row.seq, row.items_seq, row.removals_seq)

    def advance_to(self, seq: int) -> None:
        """Go on counting after a number that a snapshot knows from another store."""
        with self.begin_write() as transaction:
            transaction.reserve(max(0, seq - transaction.seq))

    @contextmanager
    def open_exclusively(self) -> Iterator[Any]:
        """Lend a bare connection without a transaction, while no thread of this process writes."""
        with self._writer_lock:
            raw = self._engine.raw_connection()
            try:
                yield raw.driver_connection
            finally:
                raw.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()

    def _migrate(self, safe_url: str) -> None:
        with _raise_as_problem(), self._write_engine.begin() as connection:
            if self.dialect == "postgresql":  # which lets two make the same table, and one fail
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK_ID)))
            version.create(connection, checkfirst=True)
            row = connection.execute(sa.select(version.c.version)).scalar()
            before = row or 0
            if before > len(MIGRATIONS):
                raise SettingsError(
                    f"the live store {safe_url} has version {before}, this release knows up to "
                    f"{len(MIGRATIONS)}; install a newer release"
                )
            for step in MIGRATIONS[before:]:
                step(connection)
            if before < len(MIGRATIONS):
                change = version.insert() if row is None else version.update()
                connection.execute(change.values(version=len(MIGRATIONS)))


def hide_password(url: str) -> str:
    """Return a URL without its password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url[:60])


def _create_engine(url: str, busy_s: float) -> sa.Engine:
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        engine = sa.create_engine(
            parsed, pool_size=_POOL_SIZE, max_overflow=_MAX_OVERFLOW, pool_pre_ping=True
        )
        if parsed.get_backend_name() == "postgresql":
            sa.event.listen(engine, "begin", partial(_limit_lock_wait, int(1_000 * busy_s)))
        return engine
    engine = sa.create_engine(
        parsed,
        poolclass=sa.pool.QueuePool,
        pool_size=_POOL_SIZE,
        max_overflow=_MAX_OVERFLOW,
        # The driver must not begin transactions of its own: ours say of which kind they are.
        connect_args={"timeout": busy_s, "isolation_level": None, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, record: Any) -> None:
    """Durable, patient, and leaving no deleted content behind."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    cursor = connection.cursor()
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except connection.OperationalError:  # two workers may make the file at the same time
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later could not wait for its turn: it would fail.
    immediate = connection.get_execution_options().get(_WRITE_OPTION)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _limit_lock_wait(busy_ms: int, connection: sa.Connection) -> None:
    # Without a limit a writer would wait for ever for one that hangs.
    if connection.get_execution_options().get(_WRITE_OPTION):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {busy_ms}")


@contextmanager
def _raise_as_problem() -> Iterator[None]:
    """Turn what the database refuses into an answer, with the reason in the log."""
    try:
        yield
    except DBAPIError as error:
        problem = to_problem(error)
        if problem is None:
            raise
        _log.warning("the live store refused: %s", get_first_line(error.orig or error))
        raise problem from error
    except sa.exc.TimeoutError as error:
        raise unavailable("the live store is busy; try again in a moment") from error
