"""Rows, ids and words to the items of a SQLite file.

The file is opened immutable: without locks, journal and writes, so that any number of processes may
share it and it may lie on read-only storage.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from indexer.errors import SnapshotError
from indexer.metadata.close_on_exit import CloseOnExit
from indexer.metadata.full_text import (
    build_match_expression,
    fold_case_and_width,
    fold_for_search,
    list_exact_keys,
    parse_query_terms,
)
from indexer.metadata.query_weights import PREFIX_SHARE, weigh_query
from indexer.metadata.store_writer import METADATA_VERSION, define_items_table
from indexer.metadata.value_lookups import ValueLookups, connect_immutable

if TYPE_CHECKING:  # sqlalchemy is slow to import: only when a file is opened
    import sqlalchemy as sa

_FOLDS = {1: fold_case_and_width, METADATA_VERSION: fold_for_search}
_MAX_SQL_PARAMETERS = 500
_MAX_EXACT = 1_000
_PAGE_ROWS = 1_000  # read at once where all are wanted
_IDLE_CONNECTIONS = 16

_MAX_CACHED_ROWS = 500_000
_MAX_CACHED_PHRASES = 50_000
_FEW_ROWS = 64  # read one by one: a prepared statement takes a few microseconds
StoredItem: TypeAlias = bytes | dict[str, Any]  # an item as JSON, or parsed
_T = TypeVar("_T")
_ID_SQL = "SELECT id FROM items WHERE row = ?"
_BODY_SQL = "SELECT body FROM items WHERE row = ?"
_ROW_SQL = "SELECT row FROM items WHERE id = ?"
_SEARCH_SQL = "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?"
_COUNT_SQL = "SELECT count(*) FROM words WHERE words MATCH ?"
_TITLE_SQL = f"SELECT row FROM items WHERE title_key = ? ORDER BY row LIMIT {_MAX_EXACT}"


class MetadataStore(CloseOnExit):
    """The items of a file that `MetadataWriter` wrote; safe to use from many threads.

    A connection serves one thread at a time and is then kept for the next call; a thread never
    waits for a connection, since as many as needed are opened.
    """

    def __init__(self, engine: "sa.Engine", path: Path) -> None:
        import sqlalchemy as sa

        self._engine = engine
        self._path = path
        self._columns = define_items_table().c
        self._row_cache: dict[str, int] = {}  # never out of date, since the file never changes
        self._id_cache: dict[int, str] = {}
        self._phrase_counts: dict[str, int] = {}
        self._lookups = ValueLookups(path)
        with self._engine.connect() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version not in _FOLDS:
                raise SnapshotError(
                    f"{path} is of version {version}, this program reads {METADATA_VERSION}; "
                    f"rebuild the index"
                )
            self._fold = _FOLDS[version]
            last = connection.execute(sa.select(sa.func.max(self._columns.row))).scalar_one()
        self._count = 0 if last is None else int(last) + 1

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a finished file.

        Raises:
            SnapshotError: If it is missing, damaged, or of another version.
        """
        import sqlalchemy as sa
        from sqlalchemy.exc import DatabaseError
        from sqlalchemy.pool import QueuePool

        path = Path(path).resolve()
        engine = sa.create_engine(
            "sqlite://",
            creator=lambda: connect_immutable(path),
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

    def __len__(self) -> int:
        return self._count

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._count

    def read_items(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the items of some rows, in the order of `rows`.

        Raises:
            SnapshotError: If the file has no such row.
        """
        return [self._parse_item(body) for body in self.read_bodies(rows)]

    def read_bodies(self, rows: Sequence[int]) -> list[bytes]:
        """Return the items of some rows as JSON, in the order of `rows`.

        Raises:
            SnapshotError: If the file has no such row.
        """
        if len(rows) > _FEW_ROWS:
            bodies = self._read_column(self._columns.body, rows)
        else:
            bodies = [self._look_up_one(_BODY_SQL, int(row), row) for row in rows]
        for body in bodies:
            if not (body.startswith(b"{") and body.endswith(b"}")):
                raise self._make_damage_error("an item is no JSON object")
        return bodies

    def read_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of some rows, in the order of `rows`.

        Raises:
            SnapshotError: If the file has no such row.
        """
        known = self._id_cache
        missing = [row for row in rows if row not in known]
        if len(missing) > _FEW_ROWS:
            return self._read_column(self._columns.id, rows)
        for row in missing:
            known[row] = self._look_up_one(_ID_SQL, int(row), row)
        ids = [known[row] for row in rows]
        if len(known) > _MAX_CACHED_ROWS:
            self._id_cache = {}
        return ids

    def _look_up_one(self, sql: str, value: int, row: int) -> Any:
        try:
            found = self._lookups.fetch(sql, value)
        except sqlite3.DatabaseError as error:
            raise self._make_damage_error(error) from error
        if found is None:
            raise SnapshotError(f"{self._path} has no row {row}; it holds {self._count} rows")
        return found

    def find_rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each id that exists, in the order of `ids`."""
        known = self._row_cache
        rows = {item_id: known[item_id] for item_id in ids if item_id in known}
        missing = list(dict.fromkeys(item_id for item_id in ids if item_id not in rows))
        if not missing:
            return rows
        found_rows = self._look_up(missing)
        if len(known) + len(found_rows) > _MAX_CACHED_ROWS:
            self._row_cache = found_rows
        else:
            known.update(found_rows)
        rows |= found_rows
        return {item_id: rows[item_id] for item_id in ids if item_id in rows}

    def _look_up(self, ids: Sequence[str]) -> dict[str, int]:
        from sqlalchemy import select

        columns = self._columns
        rows: dict[str, int] = {}
        if len(ids) <= _FEW_ROWS:
            try:
                looked_up = ((i, self._lookups.fetch(_ROW_SQL, i)) for i in _drop_unstorable(ids))
                return {item_id: row for item_id, row in looked_up if row is not None}
            except sqlite3.DatabaseError as error:
                raise self._make_damage_error(error) from error
        with self._borrow_connection() as connection:
            for chunk in _split_into_chunks(_drop_unstorable(ids)):
                query = select(columns.id, columns.row).where(columns.id.in_(chunk))
                rows.update((item_id, row) for item_id, row in connection.execute(query))
        return rows

    def read_page(self, after_row: int, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the next `limit` rows with their items, ascending; row -1 is before the first."""
        from sqlalchemy import select

        columns = self._columns
        query = select(columns.row, columns.body).where(columns.row > int(after_row))
        with self._borrow_connection() as connection:
            page = connection.execute(query.order_by(columns.row).limit(int(limit)))
            return [(row, self._parse_item(body)) for row, body in page]

    def iterate(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield every row with its item, ascending."""
        last = -1
        while page := self.read_page(last, _PAGE_ROWS):
            yield from page
            last = page[-1][0]

    def find_exact(self, text: str) -> list[int]:
        """Return the row whose id is the text, then those whose title equals it.

        Titles are compared without differences of width, case, white space, traditional or
        simplified Chinese, and quotes around them, such as 《》; at most 1,000 of each writing are
        returned.
        """
        by_id = list(self.find_rows([text]).values())
        keys = list_exact_keys(text, self._fold)
        by_title = [row for key in keys for (row,) in self._fetch_all(_TITLE_SQL, key)]
        return list(dict.fromkeys([*by_id, *by_title]))

    def search(
        self, text: str, limit: int, *, is_finished: bool = False
    ) -> list[tuple[int, float]]:
        """Return `(row, share)` of the items with any word of the text, best first, ties by row.

        The share is what of the query an item holds, 0 to 1: BM25 as FTS5 computes it, divided by
        that of a perfect match. A word in the title weighs more than one in the tags, and that one
        more than a word elsewhere.

        Args:
            text: Words or a sentence.
            limit: The most rows to return.
            is_finished: Whether the last word is complete; else longer words that begin so count
                a little.
        """
        query = weigh_query(parse_query_terms(text, self._fold), self._count, self.count_phrase)
        if not query.terms:
            return []
        expression = build_match_expression(query.terms)
        scores: dict[int, float] = dict(self._fetch_all(_SEARCH_SQL, expression, int(limit)))
        if query.typed is not None and not is_finished:
            word = query.typed.text
            longer = self._fetch_all(_SEARCH_SQL, f'"{word}" * NOT "{word}"', int(limit))
            for row, score in longer:
                scores[row] = scores.get(row, 0.0) + PREFIX_SHARE * score
        matches = [(row, query.to_share(score)) for row, score in scores.items()]
        return sorted(matches, key=lambda match: (-match[1], match[0]))[:limit]

    def count_phrase(self, phrase: str) -> int:
        """Return how many items contain a phrase, the text of a term of `parse_query_terms`."""
        known = self._phrase_counts.get(phrase)
        if known is None:
            ((known,),) = self._fetch_all(_COUNT_SQL, f'"{phrase}"')
            if len(self._phrase_counts) >= _MAX_CACHED_PHRASES:
                self._phrase_counts = {}
            self._phrase_counts[phrase] = known
        return int(known)

    def _fetch_all(self, sql: str, *values: Any) -> list[Any]:
        """Return the rows of a query.

        Raises:
            SnapshotError: If SQLite cannot read the file any more.
        """
        try:
            return self._lookups.fetch_all(sql, *values)
        except sqlite3.DatabaseError as error:
            raise self._make_damage_error(error) from error

    def close(self) -> None:
        """Close the idle connections; one in use is closed when its call returns."""
        self._engine.dispose()
        self._lookups.close()

    @contextmanager
    def _borrow_connection(self) -> Iterator["sa.Connection"]:
        """Lend a connection and turn errors of the database into errors that name the file.

        Raises:
            SnapshotError: If SQLite cannot read the file any more.
        """
        from sqlalchemy.exc import DatabaseError

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
            f"{self._path} is damaged ({cause}); roll back with zhiyin snapshots, or rebuild"
        )

    def _read_column(self, column: "sa.Column[_T]", rows: Sequence[int]) -> list[_T]:
        from sqlalchemy import select

        wanted = [int(row) for row in rows]
        row_column = self._columns.row
        values: dict[int, _T] = {}
        with self._borrow_connection() as connection:
            if isinstance(rows, range) and rows.step == 1:  # four times as quick as by number
                conditions = [row_column.between(rows.start, rows.stop - 1)]
            else:
                conditions = [row_column.in_(chunk) for chunk in _split_into_chunks(wanted)]
            for condition in conditions:
                found = connection.execute(select(row_column, column).where(condition))
                values.update((row, value) for row, value in found)
        missing = next((row for row in wanted if row not in values), None)
        if missing is not None:
            raise SnapshotError(f"{self._path} has no row {missing}; it holds {self._count} rows")
        return [values[row] for row in wanted]


def _split_into_chunks(values: Sequence[_T]) -> Iterator[list[_T]]:
    distinct = iter(dict.fromkeys(values))
    while chunk := list(islice(distinct, _MAX_SQL_PARAMETERS)):
        yield chunk


def _drop_unstorable(ids: Sequence[str]) -> list[str]:
    """Return the ids without lone surrogates: SQLite stores UTF-8, so no others can exist."""
    return [item_id for item_id in ids if not any("\ud800" <= char <= "\udfff" for char in item_id)]
