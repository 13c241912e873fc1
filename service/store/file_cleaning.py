"""The files of a SQLite store to the same files without a byte of what was deleted.

The work is done in a process of its own, see `service.store.page_slack`. What is still to be
cleaned is noted in the store, so that a process that is killed before leaves it to the next one.
"""

import logging
import subprocess
import sys
import threading
from pathlib import Path

import sqlalchemy as sa

from service.edge import Problem, unavailable
from service.store.database import LiveDatabase
from service.store.page_slack import EXIT_BLOCKED
from service.store.schema import uncleaned
from service.store.write_transaction import WriteTransaction

CLEANING_TIMEOUT_S = 5.0
_STARTING_S = 30.0  # that the process may take beyond its own time limit
_PROGRAM = Path(__file__).with_name("page_slack.py")
_NOT_CLEAN = (
    "the user is erased, but bytes of what was deleted are still in the store's files; repeat the "
    "call to clean them"
)

_log = logging.getLogger(__name__)


class FileCleaner:
    """Cleans the files of one store; thread-safe.

    Args:
        database: The live store. In PostgreSQL there is nothing to do: it removes dead rows itself.
    """

    def __init__(self, database: LiveDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        # Nothing that was deleted up to this number of this generation is in the files.
        self._clean_generation, self._clean_seq = -1, -1

    def clean(self, seq: int) -> None:
        """Remove every byte of what was deleted up to a sequence number from the files.

        Raises:
            Problem: 503 if a long read keeps old pages of the files alive, or the files cannot be
                written. Repeating the call cleans them.
        """
        file = self._database.file
        if file is not None:
            self._clean_once(file.resolve(), seq)  # a log lies beside the file a link leads to
        with self._database.begin_write() as transaction:
            transaction.connection.execute(uncleaned.delete().where(uncleaned.c.seq <= seq))

    def find_uncleaned(self) -> int | None:
        """Return up to which number there is something to clean, of whatever process; None: no."""
        with self._database.begin_read() as connection:
            last: int | None = connection.execute(sa.select(sa.func.max(uncleaned.c.seq))).scalar()
        return last

    def _clean_once(self, file: Path, seq: int) -> None:
        with self._lock:
            with self._database.begin_read() as connection:
                reached = self._database.read_sequence(connection)
            is_same_store = reached.generation == self._clean_generation
            if is_same_store and self._clean_seq >= seq:  # another call has cleaned for this one
                return
            _clean_files(file)
            self._clean_generation, self._clean_seq = reached.generation, reached.seq


def note_uncleaned(transaction: WriteTransaction) -> None:
    """Note that a transaction deletes what must leave the files; `FileCleaner.clean` must follow.

    Args:
        transaction: Has taken its sequence numbers.
    """
    is_noted = uncleaned.c.seq == transaction.seq
    transaction.connection.execute(uncleaned.delete().where(is_noted))
    transaction.connection.execute(uncleaned.insert().values(seq=transaction.seq))


def _clean_files(file: Path) -> None:
    command = [sys.executable, "-I", "-S", str(_PROGRAM), str(file), str(CLEANING_TIMEOUT_S)]
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=CLEANING_TIMEOUT_S + _STARTING_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _report(str(error)) from error
    if ran.returncode == EXIT_BLOCKED:
        raise unavailable(f"{_NOT_CLEAN} once nobody reads the store as it was before")
    if ran.returncode:
        raise _report((ran.stderr.strip().splitlines() or [f"code {ran.returncode}"])[-1])


def _report(cause: str) -> Problem:
    _log.warning("the live store's files could not be cleaned: %s", cause)
    return unavailable(f"{_NOT_CLEAN} ({cause})")
