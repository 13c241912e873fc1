"""Items to one SQLite file: JSON by row, ids, titles and full text."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateTable

from indexer.errors import CatalogError
from indexer.metadata.full_text import build_indexed_text, compute_title_key

METADATA_VERSION = 1
_BATCH_ROWS = 1_000

items_table = sa.Table(
    "items",
    sa.MetaData(),
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("title_key", sa.Text, nullable=True),
    sa.Column("body", sa.LargeBinary, nullable=False),  # JSON; bytes may hold a lone surrogate
)
# Built after the rows are in: one sort instead of a search for each row.
_INDEXES = (
    sa.Index("items_by_id", items_table.c.id, unique=True),
    sa.Index("items_by_title", items_table.c.title_key),
)
_CREATE_WORDS_SQL = """
CREATE VIRTUAL TABLE words USING fts5(
    title, tags, rest, content='', tokenize='unicode61 remove_diacritics 2'
)
"""
_BM25_WEIGHTS_SQL = "INSERT INTO words(words, rank) VALUES ('rank', 'bm25(10.0, 4.0, 1.0)')"
_INSERT_WORDS_SQL = sa.text(
    "INSERT INTO words(rowid, title, tags, rest) VALUES (:row, :title, :tags, :rest)"
)


class MetadataWriter:
    """Writes the items of rows 0, 1, … to a new file; use it as a context manager.

    A file left by an earlier try is replaced. There is no journal: a build that dies leaves a
    file to throw away.
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path).resolve()
        path.unlink(missing_ok=True)
        self._engine = sa.create_engine(
            "sqlite://", creator=lambda: _connect(path), poolclass=StaticPool
        )
        self._pending_items: list[dict[str, Any]] = []
        self._pending_words: list[dict[str, Any]] = []
        self._count = 0
        with self._engine.begin() as connection:
            connection.execute(CreateTable(items_table))
            connection.exec_driver_sql(_CREATE_WORDS_SQL)
            connection.exec_driver_sql(_BM25_WEIGHTS_SQL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, row: int, fields: Mapping[str, Any]) -> None:
        """Take the item of the next row.

        Raises:
            CatalogError: If the row is not the next one, or the item cannot be stored as JSON.
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
        """Index what was added; afterwards there is this one file and nothing beside it.

        Raises:
            CatalogError: If two rows have the same id.
        """
        self._flush()
        try:
            with self._engine.begin() as connection:
                for index in _INDEXES:
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
            connection.execute(sa.insert(items_table), self._pending_items)
            connection.execute(_INSERT_WORDS_SQL, self._pending_words)
        self._pending_items, self._pending_words = [], []

    def _describe_duplicate(self) -> str:
        query = sa.select(
            items_table.c.id, sa.func.min(items_table.c.row), sa.func.max(items_table.c.row)
        )
        query = query.group_by(items_table.c.id).having(sa.func.count() > 1).limit(1)
        with self._engine.connect() as connection:
            item_id, first, last = connection.execute(query).one()
        return f"id {item_id!r} is on rows {first} and {last}; ids must differ"


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
