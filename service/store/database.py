"""A database URL to short transactions over the live store: one writer, and readers beside it.

Every write takes its sequence numbers from one counter, under the database's write lock, so the
order of sequence numbers is the order of commits.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from service.edge import Problem, unavailable
from service.store.connections import Connections
from service.store.current_connections import CurrentConnections
from service.store.damage import Damage, find_damage
from service.store.database_errors import describe_damage, raise_as_problem
from service.store.engine import BUSY_TIMEOUT_S, hide_password
from service.store.generation import HighestSequence, Mark
from service.store.schema import MIGRATIONS, counter, version
from service.store.sequence_reader import BoundQuery, NewOwners, SequenceReader
from service.store.write_transaction import SequenceNumbers, WriteTransaction

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_MARK_OPTION = "zhiyin_mark"  # execution option: what was seen before the transaction began
_SEQUENCE_QUERY = sa.select(
    counter.c.seq, counter.c.items_seq, counter.c.removals_seq, version.c.version
).join_from(counter, version, sa.true())


class LiveDatabase:
    """The live store; thread-safe.

    A SQLite file that somebody deletes, replaces or cuts short is noticed before a write is
    acknowledged, and within half a second by reads: calls are refused until a sound store is back.
    """

    def __init__(self, url: str, *, busy_s: float) -> None:
        self._current = CurrentConnections(url, busy_s, self._start_again)
        self._busy_s = busy_s
        self._writer_lock = threading.Lock()
        self._highest = HighestSequence()
        self._name = f"the live store {self.file or hide_password(url)}"
        self._damage = Damage(self.file)
        self._least_seq = 0  # of writes, see `continue_after`

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
        return cls(url, busy_s=busy_s)

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the kind of database, such as "sqlite"."""
        return self._current.get().engine.dialect.name

    @property
    def file(self) -> Path | None:
        """The file of a SQLite store; None for another kind."""
        return self._current.get().path

    def check(self) -> None:
        """Check that the store can be read, and is of this release.

        Of one that was found damaged everything is read, every few seconds at most, and by one
        thread at a time.

        Raises:
            GivenUpError: If nobody waits for it any more.
            Problem: 503 if it is not.
        """
        with self.begin_read() as connection:
            self.read_sequence(connection)
        with self._damage.claim_look() as is_due:
            if is_due:
                self._look_over(limit_s=None)
        self.raise_if_damaged()

    def raise_if_damaged(self) -> None:
        """Go on only if no damage is known.

        Raises:
            Problem: 503 if the store was found damaged, and not sound since.
        """
        sentence = self._damage.sentence
        if sentence is not None:
            raise unavailable(sentence)

    def look_over(self, *, limit_s: float) -> None:
        """Look for damage, as long as `limit_s` at most; `is_damaged` tells, and the log.

        Raises:
            Problem: 503 if the store cannot be read at all.
        """
        self._look_over(limit_s=limit_s)

    @property
    def is_damaged(self) -> bool:
        """Whether damage was met, by this process or another, and the store not sound since."""
        self._damage.ask_others()
        return self._damage.sentence is not None

    @contextmanager
    def begin_read(self) -> Iterator[sa.Connection]:
        """Lend a connection that sees one state of the store throughout.

        Raises:
            Problem: 503 if the store cannot be read now.
        """
        with (
            self._current.use() as connections,
            self._raise_as_problem(),
            connections.engine.connect() as connection,
        ):
            mark = {_MARK_OPTION: self._highest.mark()}
            connection = connection.execution_options(**mark)
            if self.dialect != "sqlite":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def begin_write(self) -> Iterator[WriteTransaction]:
        """Lend a transaction; it is durable when the context ends, or undone if that raises.

        Raises:
            Problem: 503 if others write for too long, or the store is gone.
        """
        # Threads of one process queue here, first come first served; SQLite's own lock only polls.
        if not self._writer_lock.acquire(timeout=self._busy_s):
            raise unavailable("the live store is busy; try again in a moment", retry_after_s=1)
        try:
            with (
                self._current.use() as connections,
                self._raise_as_problem(),
                connections.write_engine.begin() as connection,
            ):
                mark = self._highest.mark()  # nobody else writes from here on
                query = _SEQUENCE_QUERY.with_for_update(of=counter)
                transaction = WriteTransaction(
                    connection, self._to_sequence(connection.execute(query).one(), mark)
                )
                if transaction.seq < self._least_seq:
                    transaction.reserve(self._least_seq - transaction.seq)
                yield transaction
                transaction.write_sequence()
                self._confirm(connections)  # before anything is written to files that are lost
            self._confirm(connections)
            self._highest.raise_to(transaction.seq)
        finally:
            self._writer_lock.release()

    def read_sequence(self, connection: sa.Connection) -> SequenceNumbers:
        """Return the sequence numbers that a connection sees.

        Raises:
            Problem: 503 if the store is of another release.
        """
        mark = connection.get_execution_options().get(_MARK_OPTION, self._highest.mark())
        found = self._to_sequence(connection.execute(_SEQUENCE_QUERY).one(), mark)
        connection.execution_options(**{_MARK_OPTION: Mark(found.seq, found.generation)})
        return found

    def peek_sequence(self) -> SequenceNumbers | None:
        """Return the sequence numbers as they are now, without a transaction.

        Returns:
            None if they must be read in a transaction: in PostgreSQL, or if the store is busy.
        """
        connections = self._current.get()
        if connections.reader is None or not self._current.look_well(connections):
            return None
        mark = self._highest.mark()
        try:
            return self._to_sequence(connections.reader.read_sequence(), mark)
        except (sqlite3.Error, Problem):  # the transaction that comes next says what is wrong
            return None

    def list_new_owners(self, after: int, last: int) -> NewOwners | None:
        """Return the owners of the events with sequence numbers in `(after, last]`.

        Returns:
            None if they are not known.
        """
        reader = self._current.get().reader
        return None if reader is None else reader.list_owners(after, last)

    def fetch_at(
        self, sequence: SequenceNumbers, queries: Sequence[BoundQuery]
    ) -> list[list[Any]] | None:
        """Return the rows of each query as the store is at some sequence numbers.

        Returns:
            None if it must be read in a transaction: in PostgreSQL, if the store has come further,
            or if it is busy.
        """
        return self._read_at(sequence, lambda reader, seq: reader.fetch_at(seq, queries))

    def scan_until(
        self,
        sequence: SequenceNumbers,
        queries: Sequence[BoundQuery],
        take: Callable[[list[Any]], None],
    ) -> bool:
        """Hand over the rows of all queries, see `SequenceReader.scan_until`.

        Returns:
            False if they must be read in a transaction; what was handed over is worth nothing then.
        """
        numbers = sequence.seq, sequence.removals_seq
        read = self._read_at(sequence, lambda reader, _: reader.scan_until(numbers, queries, take))
        return bool(read)

    def _read_at(
        self, sequence: SequenceNumbers, read: Callable[[SequenceReader, int], _T]
    ) -> _T | None:
        connections = self._current.get()
        is_same_store = sequence.generation == self._highest.mark().generation
        if connections.reader is None or not is_same_store:
            return None
        try:
            return read(connections.reader, sequence.seq)
        except sqlite3.ProgrammingError:
            if connections is self._current.get() and connections.find_fault() is None:
                raise
            return None  # another thread has closed this store meanwhile, or opened another one

    def advance_to(self, seq: int) -> None:
        """Continue counting after a number that a snapshot has from another store."""
        with self.begin_write() as transaction:
            transaction.reserve(max(0, seq - transaction.seq))

    def continue_after(self, seq: int) -> None:
        """Let every later write of this process count on after a number, in whatever store.

        A snapshot shows no item change up to the number that its build has applied. A store that
        is behind it, such as a backup that was put back, would give new changes such numbers.
        """
        with self._writer_lock:
            self._least_seq = max(self._least_seq, seq)

    def close(self) -> None:
        """Close the idle connections, and refuse all further transactions."""
        try:
            self._current.close()
        except Problem as problem:
            _log.error("what was in the live store's log may be lost: %s", problem.detail)

    def _start_again(self) -> None:
        """Count from the numbers of another store, of which no damage is known."""
        self._highest.start_again()
        self._damage.start_again()

    def _to_sequence(self, row: Sequence[int], mark: Mark) -> SequenceNumbers:
        """Return the numbers in a row of `_SEQUENCE_QUERY`.

        Raises:
            Problem: 503 if the store is of another release.
        """
        seq, items_seq, removals_seq, found_version = row
        if found_version != len(MIGRATIONS):
            raise unavailable(
                f"the live store has version {found_version} now, made by another release, and "
                f"this one uses {len(MIGRATIONS)}; restart the service with that release"
            )
        generation = self._highest.compare(seq, mark)
        return SequenceNumbers(seq, items_seq, removals_seq, generation)

    def _look_over(self, *, limit_s: float | None) -> None:
        """Note whether the store is damaged."""
        known = self._damage.known
        with self.begin_read() as connection:
            found = find_damage(connection, limit_s=limit_s)
        if found is None:
            self._damage.clear(known)
        else:
            self._damage.note(describe_damage(self._name, found).detail)

    def _raise_as_problem(self) -> AbstractContextManager[None]:
        return raise_as_problem(self._name, self._damage.note)

    def _confirm(self, connections: Connections) -> None:
        """Raise if what was just committed may have gone into a file that is not the store."""
        fault = connections.find_fault()
        if fault is not None or connections is not self._current.get():
            raise unavailable(
                f"the live store {fault or 'was opened again'} while this was written, so it may "
                f"not be kept; try again once the store is back"
            )
