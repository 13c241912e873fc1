"""Item ↔ SQLite: rows, ids and words to items. The truth for what an item is.

The file is opened immutable: no locks, no journal, no write, so any number of processes may share
it and it may lie on read-only storage.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from indexer.errors import SnapshotError
from indexer.metadata.full_text import build_match_expression, compute_exact_key
from indexer.metadata.store_writer import METADATA_VERSION, MetadataWriter, items_table

__all__ = ["MetadataStore", "MetadataWriter"]

_MAX_SQL_PARAMETERS = 500
_MAX_EXACT = 1_000
_IDLE_CONNECTIONS = 16

_MAX_CACHED_ROWS = 500_000
_T = TypeVar("_T")
_SEARCH_SQL = sa.text(
    "SELECT rowid, -rank FROM words WHERE words MATCH :expression "
    "ORDER BY rank, rowid LIMIT :at_most"
)

_COUNT_SQL = sa.text("SELECT count(*) FROM words WHERE words MATCH :expression")


class MetadataStore:
    """What `MetadataWriter` wrote; safe to use from many threads.

    A connection serves one thread at a time and then waits for the next; a thread never waits for
    a connection.
    """

    def __init__(self, engine: sa.Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._row_cache: dict[str, int] = {}  # the file never changes, so they stay right
        with self._engine.connect() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version != METADATA_VERSION:
                raise SnapshotError(
                    f"{path} is of version {version}, this program reads {METADATA_VERSION}; "
                    f"rebuild the index"
                )
            last = connection.execute(sa.select(sa.func.max(items_table.c.row))).scalar_one()
        self._count = 0 if last is None else int(last) + 1

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a finished file.

        Raises:
            SnapshotError: If it is missing, no such file, damaged, or of another version.
        """
        path = Path(path).resolve()
        uri = f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1"
        engine = sa.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(uri, uri=True, check_same_thread=False),
            poolclass=QueuePool,
            pool_size=_IDLE_CONNECTIONS,
            max_overflow=-1,
            pool_reset_on_return=None,  # nothing is ever written
        )
        try:
            return cls(engine, path)
        except (DatabaseError, SnapshotError) as error:
            engine.dispose()
            if isinstance(error, SnapshotError):
                raise
            raise SnapshotError(
                f"{path} cannot be read ({error.orig}); rebuild the index"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._count

    def read_items(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the items of some rows, in the order asked.

        Raises:
            SnapshotError: If a row is not there.
        """
        return [self._parse_item(body) for body in self._read_column(items_table.c.body, rows)]

    def read_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of some rows, in the order asked.

        Raises:
            SnapshotError: If a row is not there.
        """
        return self._read_column(items_table.c.id, rows)

    def find_rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each id that is known, in the order asked."""
        known = self._row_cache
        rows = {item_id: known.get(item_id) for item_id in ids}
        missing = [item_id for item_id, row in rows.items() if row is None]
        if missing:
            found_rows = self._look_up(missing)
            rows |= found_rows
            if len(known) + len(found_rows) > _MAX_CACHED_ROWS:
                self._row_cache = found_rows
            else:
                known.update(found_rows)
        return {item_id: row for item_id, row in rows.items() if row is not None}

    def _look_up(self, ids: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        with self._borrow_connection() as connection:
            for chunk in _split_into_chunks(_drop_unstorable(ids)):
                query = sa.select(items_table.c.id, items_table.c.row).where(
                    items_table.c.id.in_(chunk)
                )
                found.update((item_id, row) for item_id, row in connection.execute(query))
        return found

    def read_page(self, after_row: int, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the next rows with their items, in order; the first page is after row -1."""
        query = sa.select(items_table.c.row, items_table.c.body).where(
            items_table.c.row > int(after_row)
        )
        with self._borrow_connection() as connection:
            found = connection.execute(query.order_by(items_table.c.row).limit(int(limit)))
            return [(row, self._parse_item(body)) for row, body in found]

    def find_exact(self, text: str) -> list[int]:
        """Return the rows whose id is the text, then those whose title reads the same.

        Titles are compared without differences of width, case and white space; at most 1,000.
        """
        by_id = list(self.find_rows([text]).values())
        key = compute_exact_key(text)
        if not key:
            return by_id
        query = sa.select(items_table.c.row).where(items_table.c.title_key == key)
        query = query.order_by(items_table.c.row).limit(_MAX_EXACT)
        with self._borrow_connection() as connection:
            by_title = connection.execute(query).scalars().all()
        return list(dict.fromkeys([*by_id, *by_title]))

    def search(self, text: str, limit: int) -> list[tuple[int, float]]:
        """Return `(row, score)` of the items with words of the text, best first, ties by row.

        The score is BM25: higher is better, comparable within one query only. A word in the title
        weighs more than one in the tags, and that more than one elsewhere.
        """
        expression = build_match_expression(text)
        if not expression:
            return []
        parameters = {"expression": expression, "at_most": int(limit)}
        with self._borrow_connection() as connection:
            return [(row, score) for row, score in connection.execute(_SEARCH_SQL, parameters)]

    def count_phrase(self, phrase: str) -> int:
        """Return how many items hold a phrase, the text of one of `parse_query_terms`."""
        parameters = {"expression": f'"{phrase}"'}
        with self._borrow_connection() as connection:
            return int(connection.execute(_COUNT_SQL, parameters).scalar_one())

    def close(self) -> None:
        """Close the idle connections; one in use closes when its call returns."""
        self._engine.dispose()

    @contextmanager
    def _borrow_connection(self) -> Iterator[sa.Connection]:
        """Lend a connection; what SQLite cannot read in it is named.

        Raises:
            SnapshotError: If the file was damaged after it was opened.
        """
        try:
            with self._engine.connect() as connection:
                yield connection
        except DatabaseError as error:
            raise self._make_damage_error(error.orig) from error

    def _parse_item(self, body: bytes) -> dict[str, Any]:
        try:
            item: dict[str, Any] = json.loads(body)
        except ValueError as error:
            raise self._make_damage_error(error) from error
        return item

    def _make_damage_error(self, cause: object) -> SnapshotError:
        return SnapshotError(
            f"{self._path} is damaged ({cause}); roll back with scripts/snapshots.py, or rebuild"
        )

    def _read_column(self, column: sa.Column[_T], rows: Sequence[int]) -> list[_T]:
        wanted = [int(row) for row in rows]
        found: dict[int, _T] = {}
        with self._borrow_connection() as connection:
            for chunk in _split_into_chunks(wanted):
                query = sa.select(items_table.c.row, column).where(items_table.c.row.in_(chunk))
                found.update((row, value) for row, value in connection.execute(query))
        missing = next((row for row in wanted if row not in found), None)
        if missing is not None:
            raise SnapshotError(f"{self._path} has no row {missing}; it holds {self._count} rows")
        return [found[row] for row in wanted]


def _split_into_chunks(values: Sequence[_T]) -> Iterator[list[_T]]:
    different = iter(dict.fromkeys(values))
    while chunk := list(islice(different, _MAX_SQL_PARAMETERS)):
        yield chunk


def _drop_unstorable(ids: Sequence[str]) -> list[str]:
    """The ids that can be in the file at all: SQLite stores UTF-8, so no lone surrogates."""
    return [item_id for item_id in ids if not any("\ud800" <= char <= "\udfff" for char in item_id)]
