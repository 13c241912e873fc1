"""An error of the database to the HTTP problem that the caller gets."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    TimeoutError,
)

from indexer.errors import IndexerError
from service.edge import Problem, unavailable

# Primary result codes of SQLite for errors that are not the fault of a statement: another process
# writes, the disk is full or not mounted. A later try may succeed.
_SQLITE_TRANSIENT = frozenset(
    (
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
    )
)  # fmt: skip


class LiveStoreError(IndexerError):
    """The live store cannot be used now; for callers that know nothing of HTTP."""


_log = logging.getLogger(__name__)

_SQLITE_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))

# Classes of SQLSTATE: no connection, rolled back, no resources, object in use, operator
# intervention, system error; and a read-only standby, as during a failover.
_SQLSTATE_TRANSIENT = ("08", "40", "53", "55", "57", "58", "25006")
_SQLSTATE_DAMAGE = ("XX001", "XX002")


@contextmanager
def raise_as_problem() -> Iterator[None]:
    """Turn errors of the database into answers, with the reason in the log."""
    try:
        yield
    except DBAPIError as error:
        problem = to_problem(error)
        if problem is None:
            raise
        _log.warning("the live store refused: %s", get_first_line(error.orig or error))
        raise problem from error
    except TimeoutError as error:
        raise unavailable("the live store is busy; try again in a moment") from error


def to_problem(error: DBAPIError) -> Problem | None:
    """Return the problem of an error; None if the error is a fault of this program.

    503: a later try may succeed. 422: no column can hold a value of the call. 500: the store is
    damaged.
    """
    message = get_first_line(error.orig or error)
    if _is_damage(error):
        return Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            f"the live store is damaged ({message}); stop the service and restore the store from a "
            f"backup",
        )
    if isinstance(error, DataError):  # such as the character NUL, which PostgreSQL cannot store
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the live store cannot hold a value of this call ({message}); leave it out",
        )
    if _is_transient(error):
        return unavailable(f"the live store does not answer ({message}); try again in a moment")
    return None


def get_first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class name if there is none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _is_transient(error: DBAPIError) -> bool:
    """Whether the same call may succeed later."""
    if error.connection_invalidated:
        return True
    code = get_sqlite_code(error.orig)
    if code is not None:
        return code in _SQLITE_TRANSIENT
    state = _get_sqlstate(error)
    if state is None:  # the server did not answer: no connection, or it was lost
        return isinstance(error, OperationalError | InterfaceError)
    return state.startswith(_SQLSTATE_TRANSIENT)


def _is_damage(error: DBAPIError) -> bool:
    """Whether the files of the database are broken."""
    code = get_sqlite_code(error.orig)
    return code in _SQLITE_DAMAGE or (_get_sqlstate(error) or "") in _SQLSTATE_DAMAGE


def get_sqlite_code(error: BaseException | None) -> int | None:
    """Return the primary result code of an error of SQLite's driver; None for another error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF  # the higher bits of an extended code are detail


def _get_sqlstate(error: DBAPIError) -> str | None:
    sqlstate = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return str(sqlstate) if sqlstate else None


@contextmanager
def raise_as_failure() -> Iterator[None]:
    """Turn the problem that an HTTP caller would get into an error of commands and of Python."""
    try:
        yield
    except Problem as problem:
        raise LiveStoreError(problem.detail) from problem
