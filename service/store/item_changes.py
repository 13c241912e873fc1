"""Item changes to rows of the live store, the last change of each item, and back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa
from numpy.typing import NDArray

from service.store.database import LiveDatabase
from service.store.parameters import split_parameters
from service.store.schema import items
from service.store.write_transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class ItemChange:
    """A new state of an item.

    Attributes:
        fields: All fields of the item; None: it was deleted.
        raw_vector: `(r,) float16`, unit length; None if `fields` is None.
        encoder_key: Key of the encoder that made `raw_vector`; empty: the caller sent the vector.
        seq: Sequence number; 0 until the change is stored.
    """

    item_id: str
    fields: dict[str, Any] | None
    raw_vector: NDArray[np.float16] | None = None
    encoder_key: str = ""
    seq: int = 0


def store_changes(
    transaction: WriteTransaction, changes: Sequence[ItemChange], *, now: float
) -> int:
    """Store changes in place of earlier ones of the same items.

    Returns:
        The sequence number of the store afterwards.
    """
    last = {change.item_id: change for change in changes}
    for chunk in split_parameters(last):
        transaction.connection.execute(items.delete().where(items.c.item_id.in_(chunk)))
    first = transaction.reserve(len(last))
    rows = [
        {**_to_row(change), "seq": seq, "changed_at": now, "dropped": False}
        for seq, change in enumerate(last.values(), first)
    ]
    if rows:
        transaction.connection.execute(items.insert(), rows)
    transaction.mark_items_changed()
    return transaction.seq


def load_changes_after(connection: sa.Connection, seq: int) -> list[ItemChange]:
    """Return the changes after a sequence number, in order; of each item the last one only."""
    query = sa.select(items).where(items.c.seq > seq).order_by(items.c.seq)
    return [_to_change(row) for row in connection.execute(query)]


def load_changes(connection: sa.Connection, ids: Sequence[str]) -> dict[str, ItemChange]:
    """Return the last change of each of some items; items without a change are left out."""
    changes_by_id = {}
    for chunk in split_parameters(ids):
        for row in connection.execute(sa.select(items).where(items.c.item_id.in_(chunk))):
            changes_by_id[row.item_id] = _to_change(row)
    return changes_by_id


def iterate_undropped_changes(connection: sa.Connection) -> Iterator[ItemChange]:
    """Yield the changes that a build applies to its catalogue, in order of sequence number."""
    query = sa.select(items).where(items.c.dropped.is_(False)).order_by(items.c.seq)
    for row in connection.execute(query):
        yield _to_change(row)


def drop_changes(database: LiveDatabase, *, up_to: int) -> None:
    """Make later builds leave out the changes up to a sequence number."""
    with database.begin_write() as transaction:
        transaction.connection.execute(
            items.update().where(items.c.seq <= up_to).values(dropped=True)
        )


def prune_changes(database: LiveDatabase, *, applied_seq: int) -> None:
    """Delete the dropped changes up to `applied_seq`, which every kept snapshot has applied."""
    is_applied = sa.and_(items.c.dropped.is_(True), items.c.seq <= applied_seq)
    with database.begin_write() as transaction:
        transaction.connection.execute(items.delete().where(is_applied))


def _to_row(change: ItemChange) -> dict[str, Any]:
    fields, vector = change.fields, change.raw_vector
    return {
        "item_id": change.item_id,
        "fields": None if fields is None else orjson.dumps(fields).decode(),
        "vector": None if vector is None else vector.astype("<f2").tobytes(),
        "encoder": change.encoder_key,
    }


def _to_change(row: sa.Row[Any]) -> ItemChange:
    return ItemChange(
        row.item_id,
        None if row.fields is None else orjson.loads(row.fields),
        None if row.vector is None else np.frombuffer(row.vector, "<f2"),
        row.encoder or "",
        row.seq,
    )
