"""An error of the database to the HTTP problem that the caller gets."""

import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
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
# A table or a column of the store that somebody took away.
_MISSING = re.compile(
    r"no such (table|column): (main\.)?live_|table live_\w+ has no column"
    r"|(relation|column) .*\blive_\w+.* does not exist"
)

# Classes of SQLSTATE: no connection, rolled back, no resources, object in use, operator
# intervention, system error; and a read-only standby, as during a failover.
_SQLSTATE_TRANSIENT = ("08", "40", "53", "55", "57", "58", "25006")
_SQLSTATE_DAMAGE = ("XX001", "XX002")


@contextmanager
def raise_as_problem(
    store: str = "the live store", on_damage: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Turn errors of the database into answers, with the reason in the log.

    Args:
        store: How sentences name it.
        on_damage: Gets the sentence if the store is found damaged.
    """
    try:
        yield
    except DBAPIError as error:
        if _is_damage(error):
            problem = describe_damage(store, get_first_line(error.orig or error))
            if on_damage is not None:
                on_damage(problem.detail)
            raise problem from error
        refusal = to_problem(error)
        if refusal is None:
            raise
        _log.warning("the live store refused: %s", get_first_line(error.orig or error))
        raise refusal from error
    except TimeoutError as error:
        raise unavailable("the live store is busy; try again in a moment") from error


def describe_damage(store: str, what: str) -> Problem:
    """Return the 503 of a store that is damaged, which it is until another one is there."""
    return unavailable(f"{store} is damaged ({what}); restore it from a backup")


def to_problem(error: DBAPIError) -> Problem | None:
    """Return the problem of an error; None if the error is a fault of this program.

    503: a later try may succeed. 422: no column can hold a value of the call.
    """
    message = get_first_line(error.orig or error)
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
    """Whether the files of the database are broken, or lack what belongs in them."""
    is_broken = get_sqlite_code(error.orig) in _SQLITE_DAMAGE
    is_broken |= (_get_sqlstate(error) or "") in _SQLSTATE_DAMAGE
    return is_broken or _MISSING.search(get_first_line(error.orig or error)) is not None


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
