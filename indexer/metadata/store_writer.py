"""Items to one SQLite file with their JSON by row, indexes of ids and titles, and full text."""

import json
import sqlite3
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import CatalogError
from indexer.metadata.close_on_exit import CloseOnExit
from indexer.metadata.full_text import build_indexed_text, compute_title_key

if TYPE_CHECKING:  # sqlalchemy is slow to import: only when a file is written or opened
    import sqlalchemy as sa

METADATA_VERSION = 2  # in version 1 traditional and simplified Chinese differed
_BATCH_ROWS = 1_000
_CREATE_WORDS_SQL = """
CREATE VIRTUAL TABLE words USING fts5(
    title, tags, rest, content='', tokenize='unicode61 remove_diacritics 2'
)
"""
_BM25_WEIGHTS_SQL = "INSERT INTO words(words, rank) VALUES ('rank', 'bm25(10.0, 4.0, 1.0)')"
_INSERT_WORDS_SQL = (
    "INSERT INTO words(rowid, title, tags, rest) VALUES (:row, :title, :tags, :rest)"
)


@cache
def define_items_table() -> "sa.Table":
    """Return the table of items, with its indexes."""
    import sqlalchemy as sa

    return sa.Table(
        "items",
        sa.MetaData(),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("title_key", sa.Text, nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=False),  # JSON; may hold a lone surrogate
        sa.Index("items_by_id", "id", unique=True),
        sa.Index("items_by_title", "title_key"),
    )


class MetadataWriter(CloseOnExit):
    """Writes the items of rows 0, 1, … to a new file; use it as a context manager.

    A file of an earlier build is replaced. There is no journal: a build that dies leaves a file
    that cannot be used.
    """

    def __init__(self, path: Path | str) -> None:
        import sqlalchemy as sa
        from sqlalchemy.pool import StaticPool
        from sqlalchemy.schema import CreateTable

        path = Path(path).resolve()
        path.unlink(missing_ok=True)
        self._engine = sa.create_engine(
            "sqlite://", creator=lambda: _connect(path), poolclass=StaticPool
        )
        self._table = define_items_table()
        self._insert_words = sa.text(_INSERT_WORDS_SQL)
        self._pending_items: list[dict[str, Any]] = []
        self._pending_words: list[dict[str, Any]] = []
        self._count = 0
        with self._engine.begin() as connection:
            connection.execute(CreateTable(self._table))
            connection.exec_driver_sql(_CREATE_WORDS_SQL)
            connection.exec_driver_sql(_BM25_WEIGHTS_SQL)

    def add(self, row: int, fields: Mapping[str, Any]) -> None:
        """Add the item of the next row.

        Raises:
            CatalogError: If `row` is not the next row, or the item cannot be stored as JSON.
        """
        if row != self._count:
            raise CatalogError(f"row {row} was added where row {self._count} is due")
        item_row = {
            "row": row,
            "id": _parse_id(fields, row),
            "title_key": compute_title_key(fields) or None,
        }
        self._pending_items.append({**item_row, "body": _encode_body(fields)})
        self._pending_words.append({"row": row, **build_indexed_text(fields)._asdict()})
        self._count += 1
        if len(self._pending_items) >= _BATCH_ROWS:
            self._flush()

    def finish(self) -> None:
        """Build the indexes and close the file; it then needs no other file beside it.

        Raises:
            CatalogError: If two rows have the same id.
        """
        from sqlalchemy.exc import IntegrityError

        self._flush()
        try:
            with self._engine.begin() as connection:
                # After all rows: one sort for each index instead of a search for each row.
                for index in sorted(self._table.indexes, key=lambda index: str(index.name)):
                    index.create(connection)
        except IntegrityError as error:
            raise CatalogError(self._describe_duplicate()) from error
        with self._engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO words(words) VALUES ('optimize')")
        with self._engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.exec_driver_sql(f"PRAGMA user_version = {METADATA_VERSION}")
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
            connection.commit()
        self.close()

    def close(self) -> None:
        """Close the file, finished or not."""
        self._engine.dispose()

    def _flush(self) -> None:
        if not self._pending_items:
            return
        with self._engine.begin() as connection:
            connection.execute(self._table.insert(), self._pending_items)
            connection.execute(self._insert_words, self._pending_words)
        self._pending_items, self._pending_words = [], []

    def _describe_duplicate(self) -> str:
        import sqlalchemy as sa

        item_id, row = self._table.c.id, self._table.c.row
        query = sa.select(item_id, sa.func.min(row), sa.func.max(row))
        query = query.group_by(item_id).having(sa.func.count() > 1).limit(1)
        with self._engine.connect() as connection:
            duplicate_id, first, last = connection.execute(query).one()
        return f"id {duplicate_id!r} is on rows {first} and {last}; ids must differ"


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -65536")  # 64 MiB
    return connection


def _parse_id(fields: Mapping[str, Any], row: int) -> str:
    item_id = fields.get("id")
    try:
        if isinstance(item_id, str) and item_id.encode("utf-8"):
            return item_id
    except UnicodeEncodeError:
        pass
    raise CatalogError(f"the id of row {row} must be a string of characters: {item_id!r}")


def _encode_body(fields: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError) as error:
        raise CatalogError(f"item {fields['id']!r} cannot be stored as JSON: {error}") from error
    return text.encode("utf-8", "surrogatepass")
