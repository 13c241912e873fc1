"""A database URL to a SQLAlchemy engine for the live store: SQLite or PostgreSQL.

SQLite runs in WAL mode with `synchronous=FULL`: what was answered survives a crash of the machine.
"""

import time
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from indexer.reading import parse_url

BUSY_TIMEOUT_S = 10.0
WRITE_OPTION = "zhiyin_writing"  # execution option of the connections that write
# Of one connection while it writes much. A transaction whose pages do not fit writes them twice.
_LARGE_CACHE_KB = 65_536
_PAGES_PER_CHECKPOINT = 16_384
_POOL_SIZE, _MAX_OVERFLOW = 4, 28


def create_engine(url: str, busy_s: float) -> sa.Engine:
    """Return an engine whose connections wait at most `busy_s` for another writer.

    Raises:
        ImportError: If the driver of the database is not installed.
        ArgumentError: If the URL is wrong.
        NoSuchModuleError: If the URL names an unknown kind of database.
    """
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
        # The driver must not begin transactions by itself: `_begin_sqlite` chooses their kind.
        connect_args={"timeout": busy_s, "isolation_level": None, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def hide_password(url: str) -> str:
    """Return a URL without its password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url[:60])


def _configure_sqlite(connection: Any, record: Any) -> None:
    """Make a new connection durable, and let it overwrite deleted content with zeros."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    cursor = connection.cursor()
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except connection.OperationalError:  # two workers may create the file at the same time
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A plain BEGIN that reads first and writes later fails at once if another writer came between;
    # BEGIN IMMEDIATE takes the write lock at the start, and waits for it.
    immediate = connection.get_execution_options().get(WRITE_OPTION)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _limit_lock_wait(busy_ms: int, connection: sa.Connection) -> None:
    # Without a limit a writer would wait for ever for one that hangs.
    if connection.get_execution_options().get(WRITE_OPTION):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {busy_ms}")


def make_room_for_many(connection: sa.Connection) -> None:
    """Let a connection keep more pages in memory and in the log, before it inserts many rows."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA cache_size = -{_LARGE_CACHE_KB}")
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {_PAGES_PER_CHECKPOINT}")
