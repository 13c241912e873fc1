"""SQLAlchemy URL and query to rows: streamed, read-only, never with a password in a message."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, inspect
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from indexer.errors import CatalogError
from indexer.reading.cells import parse_json_cell, parse_json_text, to_plain
from indexer.reading.database_url import explain_missing_driver, parse_url
from indexer.reading.rows import BadRow, Row, clip, suggest_name

_BATCH_ROWS = 1000
_TABLE = re.compile(r"[^\W\d][\w$]*(?:\.[^\W\d][\w$]*)?")
_SELECT = re.compile(r"\s*\(*\s*(?:select|with|values|table)\b", re.IGNORECASE)
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


def read_database(address: str, query: str | None) -> Iterator[Row | BadRow]:
    """Return the rows of a SELECT or of a whole table; `line` is the row number, from 1.

    Raises:
        CatalogError: If the URL, the driver, the connection or the query does not work.
    """
    url = _parse_address(address)
    name = url.render_as_string(hide_password=True)
    if not query or not query.strip():
        raise CatalogError(f"{name} needs --query: a SELECT, or the name of a table")
    if not (_TABLE.fullmatch(query.strip()) or _SELECT.match(query)):
        raise CatalogError(f"--query {clip(query)!r} is neither a SELECT nor the name of a table")
    return _stream_rows(name, _create_engine(url, name), query.strip())


def _parse_address(address: str) -> URL:
    try:
        return parse_url(address)
    except (ArgumentError, ValueError) as error:
        scheme = address.partition("://")[0]
        raise CatalogError(
            f"the database URL {clip(scheme)}://… cannot be parsed; "
            "write it as driver://user:password@host/database"
        ) from error


def _create_engine(url: URL, name: str) -> Engine:
    try:
        if url.get_backend_name() == "sqlite":
            return _create_sqlite_engine(url, name)
        return create_engine(url, poolclass=NullPool)
    except NoSuchModuleError as error:
        raise CatalogError(
            f"{name} is not a database URL; use one such as sqlite:///shop.db or "
            "postgresql://user@host/shop, or the path of a file"
        ) from error
    except ImportError as error:
        raise CatalogError(f"{name} {explain_missing_driver(error)}") from error
    except SQLAlchemyError as error:
        raise CatalogError(f"{name} cannot be used ({_describe_cause(error)}); check it") from error


def _create_sqlite_engine(url: URL, name: str) -> Engine:
    """An engine that cannot create the file: SQLite would, for any path that does not exist."""
    path = url.database or ""
    if path.startswith("file:") or path in ("", ":memory:") or url.get_driver_name() != "pysqlite":
        return create_engine(url, poolclass=NullPool)
    if not Path(path).is_file():
        raise CatalogError(f"{name} does not exist; check the path after sqlite:///")
    address = f"file:{quote(path)}?mode=ro"
    return create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(address, uri=True, check_same_thread=False),
        poolclass=NullPool,
    )


def _stream_rows(name: str, engine: Engine, query: str) -> Iterator[Row | BadRow]:
    try:
        with engine.connect() as connection:
            select = _build_select(name, connection, query)
            json_columns = _find_json_columns(connection, select)
            if engine.dialect.name in _READ_ONLY:
                connection.rollback()  # what was looked up so far opened a transaction
                connection.exec_driver_sql(_READ_ONLY[engine.dialect.name])
            yield from _read_rows(name, connection, select, json_columns)
    except SQLAlchemyError as error:
        raise CatalogError(
            f"{name} failed ({_describe_cause(error)}); check the URL and --query {clip(query)!r}"
        ) from error
    finally:
        engine.dispose()


def _build_select(name: str, connection: Connection, query: str) -> str:
    """The SELECT for a query that may be the name of a table or view."""
    if not _TABLE.fullmatch(query):
        return query
    schema, _, table = query.rpartition(".")
    inspector = inspect(connection)
    if not inspector.has_table(table, schema or None):
        known = inspector.get_table_names(schema or None) + inspector.get_view_names(schema or None)
        raise CatalogError(f"{name} has no table {query!r}; {suggest_name(table, known)}")
    quoted = connection.dialect.identifier_preparer.quote
    return f"SELECT * FROM {'.'.join(quoted(part) for part in query.split('.'))}"


def _find_json_columns(connection: Connection, select: str) -> frozenset[str]:
    """The columns of a SELECT that SQLite's tables declare JSON; other databases decode theirs.

    SQLite itself does not tell a document from a text that happens to be one.
    """
    if connection.dialect.name != "sqlite":
        return frozenset()
    view = f"CREATE TEMP VIEW zhiyin_columns AS {select}"
    try:
        # A view has the declared types of what it selects, and costs nothing until it is read.
        connection.execution_options(no_parameters=True).exec_driver_sql(view)
    except SQLAlchemyError:
        return frozenset()  # no SELECT after all: reading it will say so
    columns = connection.exec_driver_sql("PRAGMA temp.table_info(zhiyin_columns)").all()
    return frozenset(column.name for column in columns if "JSON" in column.type.upper())


def _read_rows(
    name: str, connection: Connection, select: str, documents: frozenset[str]
) -> Iterator[Row]:
    # Without parameters the driver leaves % and : in the query alone.
    streamed = connection.execution_options(
        stream_results=True, yield_per=_BATCH_ROWS, no_parameters=True
    )
    result = streamed.exec_driver_sql(select)
    columns = list(result.keys())
    readers = [parse_json_cell if column in documents else parse_json_text for column in columns]
    for line, cells in enumerate(result, start=1):
        plain_cells = map(to_plain, cells)
        values = [read(*pair) for read, *pair in zip(readers, columns, plain_cells, strict=True)]
        yield Row(name, line, dict(zip(columns, values, strict=True)))


def _describe_cause(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return clip(str(cause).partition("\n")[0])
