"""SQLAlchemy URL and query to rows, streamed and read-only; messages never show the password."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from indexer.errors import CatalogError
from indexer.reading.cells import parse_json_cell, parse_json_text, to_plain
from indexer.reading.column_names import Role
from indexer.reading.database_url import explain_missing_driver, parse_url
from indexer.reading.rows import BadRow, Row, clip, suggest_name

if TYPE_CHECKING:  # sqlalchemy is slow to import: only when a database is read
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.exc import SQLAlchemyError

_BATCH_ROWS = 1000
_TABLE = re.compile(r"[^\W\d][\w$]*(?:\.[^\W\d][\w$]*)?")
_SELECT = re.compile(r"\s*\(*\s*(?:select|with|values|table)\b", re.IGNORECASE)
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


def read_database(
    address: str, query: str | None, role: Role = Role.CATALOGUE
) -> Iterator[Row | BadRow]:
    """Return the rows of a SELECT or of a whole table; `line` is the row number, from 1.

    Args:
        address: SQLAlchemy URL.
        query: The SELECT, or the name of the table.
        role: What the rows are, for what messages call the query.

    Raises:
        CatalogError: If the URL, the driver, the connection or the query does not work.
    """
    url = _parse_address(address)
    name = url.render_as_string(hide_password=True)
    if not query or not query.strip():
        raise CatalogError(f"{name} needs {role.query_option}: a SELECT, or the name of a table")
    if not (_TABLE.fullmatch(query.strip()) or _SELECT.match(query)):
        raise CatalogError(
            f"{role.query_option} {clip(query)!r} is neither a SELECT nor the name of a table"
        )
    return _stream_rows(name, _create_engine(url, name), query.strip(), role.query_option)


def _parse_address(address: str) -> "URL":
    from sqlalchemy.exc import ArgumentError

    try:
        return parse_url(address)
    except (ArgumentError, ValueError) as error:
        scheme = address.partition("://")[0]
        raise CatalogError(
            f"the database URL {clip(scheme)}://… cannot be parsed; "
            "write it as driver://user:password@host/database"
        ) from error


def _create_engine(url: "URL", name: str) -> "Engine":
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

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


def _create_sqlite_engine(url: "URL", name: str) -> "Engine":
    """Return an engine that opens the file read-only: SQLite would create one that is missing."""
    from sqlalchemy import NullPool, create_engine

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


def _stream_rows(name: str, engine: "Engine", query: str, option: str) -> Iterator[Row | BadRow]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with engine.connect() as connection:
            select = _build_select(name, connection, query)
            json_columns = _find_json_columns(connection, select)
            if engine.dialect.name in _READ_ONLY:
                connection.rollback()  # the look-ups above opened a transaction
                connection.exec_driver_sql(_READ_ONLY[engine.dialect.name])
            yield from _read_rows(name, connection, select, json_columns)
    except SQLAlchemyError as error:
        raise CatalogError(
            f"{name} failed ({_describe_cause(error)}); check the URL and {option} {clip(query)!r}"
        ) from error
    finally:
        engine.dispose()


def _build_select(name: str, connection: "Connection", query: str) -> str:
    """Return the query, or a SELECT of everything if the query is the name of a table or view."""
    from sqlalchemy import inspect

    if not _TABLE.fullmatch(query):
        return query
    schema, _, table = query.rpartition(".")
    inspector = inspect(connection)
    if not inspector.has_table(table, schema or None):
        known = inspector.get_table_names(schema or None) + inspector.get_view_names(schema or None)
        raise CatalogError(f"{name} has no table {query!r}; {suggest_name(table, known)}")
    quoted = connection.dialect.identifier_preparer.quote
    return f"SELECT * FROM {'.'.join(quoted(part) for part in query.split('.'))}"


def _find_json_columns(connection: "Connection", select: str) -> frozenset[str]:
    """Return the columns of a SELECT that are declared as JSON in SQLite; empty elsewhere.

    Drivers of other databases decode JSON themselves; SQLite stores it as ordinary text.
    """
    from sqlalchemy.exc import SQLAlchemyError

    if connection.dialect.name != "sqlite":
        return frozenset()
    view = f"CREATE TEMP VIEW zhiyin_columns AS {select}"
    try:
        # A view reports the declared types of the columns it selects and runs no query.
        connection.execution_options(no_parameters=True).exec_driver_sql(view)
    except SQLAlchemyError:
        return frozenset()  # not a valid SELECT: running it will raise the error to report
    columns = connection.exec_driver_sql("PRAGMA temp.table_info(zhiyin_columns)").all()
    return frozenset(column.name for column in columns if "JSON" in column.type.upper())


def _read_rows(
    name: str, connection: "Connection", select: str, json_columns: frozenset[str]
) -> Iterator[Row]:
    # With no_parameters the driver does not interpret % and : in the query.
    streamed = connection.execution_options(
        stream_results=True, yield_per=_BATCH_ROWS, no_parameters=True
    )
    result = streamed.exec_driver_sql(select)
    columns = list(result.keys())
    readers = [parse_json_cell if column in json_columns else parse_json_text for column in columns]
    for line, cells in enumerate(result, start=1):
        plain_cells = map(to_plain, cells)
        values = [read(*pair) for read, *pair in zip(readers, columns, plain_cells, strict=True)]
        yield Row(name, line, dict(zip(columns, values, strict=True)))


def _describe_cause(error: "SQLAlchemyError") -> str:
    cause = getattr(error, "orig", None) or error
    return clip(str(cause).partition("\n")[0])
