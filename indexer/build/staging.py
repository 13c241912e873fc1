"""Items in any order to items sorted by id; the last of equal ids wins. In bounded memory."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from indexer.reading import Item

_BATCH_SIZE = 2_000


class Staging:
    """A scratch SQLite file of items, deleted after the build.

    Attributes:
        added_count: Items added so far, duplicates among them.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE items (id TEXT PRIMARY KEY, fields BLOB NOT NULL, vector BLOB)"
            " WITHOUT ROWID; BEGIN"
        )
        self._pending: dict[str, tuple[str, bytes, bytes | None]] = {}
        self.added_count = 0

    def add(self, item: Item) -> None:
        """Store an item, in place of an earlier one of the same id."""
        vector = None if item.vector is None else item.vector.astype("<f4").tobytes()
        fields = _dump_fields(item.fields)
        self._pending[item.id] = (item.id, fields, vector)
        self.added_count += 1
        if len(self._pending) >= _BATCH_SIZE:
            self._flush()

    def remove(self, item_id: str) -> None:
        """Delete an item, if it is there."""
        self._flush()
        self._connection.execute("DELETE FROM items WHERE id = ?", (item_id,))

    def __contains__(self, item_id: str) -> bool:
        self._flush()
        matching = self._connection.execute("SELECT 1 FROM items WHERE id = ?", (item_id,))
        return matching.fetchone() is not None

    def commit(self) -> int:
        """Write what is pending, and return the number of distinct items."""
        self._flush()
        self._connection.execute("COMMIT")
        (count,) = self._connection.execute("SELECT count(*) FROM items").fetchone()
        return int(count)

    def compute_digest(self) -> bytes:
        """Return a SHA-256 of all items that does not depend on the order they came in."""
        digest = hashlib.sha256()
        for parts in self._connection.execute("SELECT id, fields, vector FROM items ORDER BY id"):
            for part in parts:
                content = part.encode() if isinstance(part, str) else part or b""
                digest.update(len(content).to_bytes(8, "little") + content)
        return digest.digest()

    def iter_items(self) -> Iterator[Item]:
        """Yield the items in order of id, by code point."""
        cursor = self._connection.execute("SELECT id, fields, vector FROM items ORDER BY id")
        for item_id, fields, vector in cursor:
            yield Item(
                item_id,
                _load_fields(fields),
                None if vector is None else np.frombuffer(vector, "<f4"),
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _flush(self) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO items VALUES (?, ?, ?)", self._pending.values()
        )
        self._pending.clear()


def _dump_fields(fields: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields)
    except TypeError:  # a lone surrogate: JSON can escape it, UTF-8 cannot encode it
        return json.dumps(fields).encode("ascii")


def _load_fields(content: bytes) -> dict[str, Any]:
    decoded: dict[str, Any]
    try:
        decoded = orjson.loads(content)
    except orjson.JSONDecodeError:
        decoded = json.loads(content)
    return decoded
