"""A store to whether its files are sound, as far as is known; looked at anew once they were not.

Damage shows at whatever statement meets it. From then on the store counts as damaged, until all of
it was read without a fault. A file beside a SQLite store tells the other processes that use it.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import sqlalchemy as sa

from indexer.cancellation import raise_if_given_up
from indexer.errors import GivenUpError
from service.store.schema import tables

LOOK_AGAIN_S = 5.0  # between two looks at a store that was found damaged
_OPCODES_PER_LOOK = 10_000  # of SQLite, between two looks at the clock
_MARK_SUFFIX = "-damaged"  # of the file beside a store that tells of its damage
_MET_BY_ANOTHER = "another process met damage in the live store, which is being read through"

_Mark: TypeAlias = tuple[int, int]  # inode of the file, and when it was last left, nanoseconds

_log = logging.getLogger(__name__)


class Known(NamedTuple):
    """What was known of the damage of a store at some time.

    Attributes:
        times: How often damage was met by this process, or another store opened.
        mark: The file that tells of damage, as it was; None: there was none.
    """

    times: int
    mark: _Mark | None


class Damage:
    """What is known of the damage of one store; thread-safe.

    Args:
        store: Path of a SQLite store; None: nothing is told to other processes.
    """

    def __init__(self, store: Path | None) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._sentence: str | None = None
        self._count = 0
        self._lasting_mark: _Mark | None = None  # that cannot be removed, and tells nothing more
        self._next_look_at = 0.0
        self._is_looking = False

    @property
    def known(self) -> Known:
        """What is known by now; see `clear`."""
        return Known(self._count, self._read_mark())

    @property
    def sentence(self) -> str | None:
        """What was met last; None: nothing since the store was sound."""
        return self._sentence

    def note(self, sentence: str) -> None:
        """Count the store as damaged from now on."""
        with self._lock:
            if self._sentence is None:
                _log.error("%s", sentence)
            self._sentence = sentence
            self._count += 1
            self._next_look_at = time.monotonic() + LOOK_AGAIN_S
            with suppress(OSError):  # the folder may be read-only
                if self._store is not None:
                    self._find_mark(self._store).touch(mode=0o600)

    def ask_others(self) -> None:
        """Count the store as damaged, and to be looked at now, if another process met damage."""
        if self._sentence is not None or self._store is None:
            return
        mark = self._read_mark()
        with self._lock:
            if mark in (None, self._lasting_mark):
                return
            if self._sentence is None:
                self._sentence = f"{_MET_BY_ANOTHER} (it left {self._find_mark(self._store)})"
                self._count += 1
                self._next_look_at = time.monotonic()
                _log.error("%s", self._sentence)

    @contextmanager
    def claim_look(self) -> Iterator[bool]:
        """Yield whether to look at the store now: it is known to be damaged, and nobody looks."""
        with self._lock:
            is_late = time.monotonic() >= self._next_look_at
            is_due = self._sentence is not None and is_late and not self._is_looking
            self._is_looking |= is_due
        try:
            yield is_due
        finally:
            if is_due:
                with self._lock:
                    self._is_looking = False
                    self._next_look_at = time.monotonic() + LOOK_AGAIN_S

    def clear(self, known: Known) -> None:
        """Count the store as sound, since all of it was read without a fault.

        Args:
            known: `known` from before it was read; damage that any process met since is kept.
        """
        with self._lock:
            is_news = self._count != known.times or self._read_mark() not in (None, known.mark)
            if is_news or self._sentence is None:
                return
            _log.warning("the live store reads well again")
            self._remove_mark()
            self._sentence = None

    def start_again(self) -> None:
        """Forget what was met, since the store is another one; a look at the former tells nothing.

        A mark stays, which another process may have left for this store: who asks next has it read.
        """
        with self._lock:
            self._count += 1
            self._sentence = None

    def _remove_mark(self) -> None:
        if self._store is None:
            return
        mark = self._find_mark(self._store)
        try:
            mark.unlink(missing_ok=True)
        except OSError as error:  # another account left it, or the folder is read-only
            self._lasting_mark = self._read_mark()
            _log.warning("%s tells of damage that is no more; delete it (%s)", mark, error)

    def _read_mark(self) -> _Mark | None:
        if self._store is None:
            return None
        try:
            found = self._find_mark(self._store).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    @staticmethod
    def _find_mark(store: Path) -> Path:
        file = store.resolve()  # one for all paths that lead to the store
        return file.with_name(f"{file.name}{_MARK_SUFFIX}")


def find_damage(connection: sa.Connection, *, limit_s: float | None = None) -> str | None:
    """Return what is wrong with the structure of a store; None: nothing was found.

    Args:
        connection: Reads the store.
        limit_s: After which a larger SQLite file is taken for sound; None: all of it is read.

    Raises:
        GivenUpError: If nobody waits for it any more.
        sa.exc.DBAPIError: If a table is missing, or cannot be read at all.
    """
    for table in tables.sorted_tables:
        connection.execute(sa.select(table).limit(1)).all()
    if connection.dialect.name != "sqlite":
        return None
    driver = connection.connection.driver_connection
    if driver is None:
        raise TypeError(connection)
    is_over = partial(_has_passed, None if limit_s is None else time.monotonic() + limit_s)
    driver.execute("PRAGMA shrink_memory")  # else pages come from memory as they once were
    driver.set_progress_handler(lambda: is_over() or _is_given_up(), _OPCODES_PER_LOOK)
    try:
        found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    except sa.exc.OperationalError:
        raise_if_given_up()
        if is_over():  # interrupted: what could be read was sound
            return None
        raise
    finally:
        driver.set_progress_handler(None, 0)
    return None if found == "ok" else " ".join(found.split())


def _is_given_up() -> bool:
    try:
        raise_if_given_up()
    except GivenUpError:  # which would be lost within SQLite
        return True
    return False


def _has_passed(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline
