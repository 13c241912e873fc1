"""Item changes to rows of the live store, the last one of each item, and back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa
from numpy.typing import NDArray

from service.store.database import LiveDatabase, WriteTransaction
from service.store.schema import items

_MAX_SQL_PARAMETERS = 500


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What became of an item.

    Attributes:
        fields: None: it was deleted.
        raw_vector: `(r,) float16`, unit length; None with `fields` None.
        encoder_key: Key of the encoder that made `raw`; empty: the caller gave it.
        seq: 0 until it is kept.
    """

    item_id: str
    fields: dict[str, Any] | None
    raw_vector: NDArray[np.float16] | None = None
    encoder_key: str = ""
    seq: int = 0


def store_changes(write: WriteTransaction, changes: Sequence[ItemChange], *, now: float) -> int:
    """Keep changes in place of earlier ones of the same items; return the new sequence."""
    last = {change.item_id: change for change in changes}
    for chunk in _split_chunks(list(last)):
        write.connection.execute(items.delete().where(items.c.item_id.in_(chunk)))
    first = write.reserve(len(last))
    rows = [
        {
            "item_id": change.item_id,
            "seq": seq,
            "fields": None if change.fields is None else orjson.dumps(change.fields).decode(),
            "vector": None
            if change.raw_vector is None
            else change.raw_vector.astype("<f2").tobytes(),
            "encoder": change.encoder_key,
            "changed_at": now,
            "dropped": False,
        }
        for seq, change in enumerate(last.values(), first)
    ]
    if rows:
        write.connection.execute(items.insert(), rows)
    write.mark_items_changed()
    return write.seq


def load_changes_after(connection: sa.Connection, seq: int) -> list[ItemChange]:
    """Return the last change of each item that changed after a sequence number, in order."""
    query = sa.select(items).where(items.c.seq > seq).order_by(items.c.seq)
    return [_change_from_row(row) for row in connection.execute(query)]


def load_changes(connection: sa.Connection, ids: Sequence[str]) -> dict[str, ItemChange]:
    """Return the last change of each of some items, if it has one."""
    changes_by_id = {}
    for chunk in _split_chunks(ids):
        for row in connection.execute(sa.select(items).where(items.c.item_id.in_(chunk))):
            changes_by_id[row.item_id] = _change_from_row(row)
    return changes_by_id


def iterate_undropped_changes(connection: sa.Connection) -> Iterator[ItemChange]:
    """Yield what a build lays over its catalogue: every change that no build has dropped."""
    query = sa.select(items).where(items.c.dropped.is_(False)).order_by(items.c.seq)
    for row in connection.execute(query):
        yield _change_from_row(row)


def drop_changes(database: LiveDatabase, *, up_to: int) -> None:
    """Make later builds leave out the changes up to a sequence number."""
    with database.begin_write() as transaction:
        transaction.connection.execute(
            items.update().where(items.c.seq <= up_to).values(dropped=True)
        )


def prune_changes(database: LiveDatabase, *, applied_seq: int) -> None:
    """Forget dropped changes that every kept snapshot has applied."""
    is_applied = sa.and_(items.c.dropped.is_(True), items.c.seq <= applied_seq)
    with database.begin_write() as transaction:
        transaction.connection.execute(items.delete().where(is_applied))


def _change_from_row(row: sa.Row[Any]) -> ItemChange:
    return ItemChange(
        row.item_id,
        None if row.fields is None else orjson.loads(row.fields),
        None if row.vector is None else np.frombuffer(row.vector, "<f2"),
        row.encoder or "",
        row.seq,
    )


def _split_chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (
        ids[start : start + _MAX_SQL_PARAMETERS]
        for start in range(0, len(ids), _MAX_SQL_PARAMETERS)
    )
