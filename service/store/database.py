"""A database URL to short transactions over the live store: one writer, and readers beside it.

Every write takes its sequence numbers from one counter, under the database's write lock, so the
order of sequence numbers is the order of commits.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from indexer.reading import explain_missing_driver
from service.edge import Problem, unavailable
from service.settings import SettingsError
from service.store.database_errors import get_first_line, to_problem
from service.store.engine import BUSY_TIMEOUT_S, WRITE_OPTION, create_engine, hide_password
from service.store.schema import MIGRATIONS, counter, version
from service.store.sequence_reader import Owner, SequenceReader

_MAX_SQL_PARAMETERS = 500  # in one statement; older SQLite allows 999
_MIGRATION_LOCK_ID = 0x5A486979  # PostgreSQL's advisory lock of the process that migrates

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SequenceNumbers:
    """How far the store has come; see `service.store.schema.counter`.

    Attributes:
        seq: Of the last change of any kind.
        items_seq: Of the last change of an item.
        removals_seq: Of the last change that removed events.
    """

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
        """Make every worker load the item changes up to now."""
        self._items_seq = self.seq

    def mark_events_removed(self) -> None:
        """Make every worker discard the sums it has computed from the log."""
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
        self._write_engine = engine.execution_options(**{WRITE_OPTION: True})
        self._busy_s = busy_s
        self._writer_lock = threading.Lock()
        self._reader = SequenceReader(engine) if self.file is not None else None

    @classmethod
    def open(cls, url: str, *, busy_s: float = BUSY_TIMEOUT_S) -> Self:
        """Connect, and migrate the store to the present schema.

        Args:
            url: SQLAlchemy URL.
            busy_s: How long a call waits for another writer before it gives up.

        Raises:
            SettingsError: If the URL is wrong, or the store cannot be opened or is of a newer
                release.
        """
        safe_url = hide_password(url)
        try:
            engine = create_engine(url, busy_s)
        except ImportError as error:
            raise SettingsError(f"--db {safe_url} {explain_missing_driver(error)}") from error
        except (ArgumentError, NoSuchModuleError) as error:
            raise SettingsError(
                f"--db {safe_url} cannot be used ({get_first_line(error)}); give a SQLAlchemy URL "
                f"such as sqlite:////srv/live.sqlite"
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
        """SQLAlchemy's name of the kind of database, such as "sqlite"."""
        return self._engine.dialect.name

    @property
    def file(self) -> Path | None:
        """The file of a SQLite store; None for another kind."""
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
        """Return the sequence numbers that a connection sees."""
        row = connection.execute(sa.select(counter)).one()
        return SequenceNumbers(row.seq, row.items_seq, row.removals_seq)

    def peek_sequence(self) -> SequenceNumbers | None:
        """Return the sequence numbers as they are now, without a transaction.

        Returns:
            None if they must be read in a transaction: in PostgreSQL, or if the store is busy.
        """
        if self._reader is None:
            return None
        try:
            return SequenceNumbers(*self._reader.read_sequence())
        except sqlite3.Error:  # the transaction that comes next says what is wrong
            return None

    def list_new_owners(self, after: int, last: int) -> set[Owner] | None:
        """Return the owners of the events with sequence numbers in `(after, last]`.

        Returns:
            None if they are not known, or a change among them is neither of an event nor an item.
        """
        return None if self._reader is None else self._reader.list_owners(after, last)

    def advance_to(self, seq: int) -> None:
        """Continue counting after a number that a snapshot has from another store."""
        with self.begin_write() as transaction:
            transaction.reserve(max(0, seq - transaction.seq))

    def close(self) -> None:
        """Close the idle connections."""
        if self._reader is not None:
            self._reader.close()
        self._engine.dispose()

    def _migrate(self, safe_url: str) -> None:
        """Run the migrations that the store has not had yet."""
        with _raise_as_problem(), self._write_engine.begin() as connection:
            if self.dialect == "postgresql":  # else two processes create one table, and one fails
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


def split_parameters(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield values in lists that are short enough for the parameters of one SQL statement."""
    remaining = iter(values)
    while chunk := list(islice(remaining, _MAX_SQL_PARAMETERS)):
        yield chunk


@contextmanager
def _raise_as_problem() -> Iterator[None]:
    """Turn errors of the database into answers, with the reason in the log."""
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
