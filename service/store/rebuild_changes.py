"""The live store to what a build folds in, and what the store may forget afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from indexer import SnapshotError
from indexer.build import DeletedId
from indexer.language import VectorCache, describe, hash_text
from indexer.reading import Interaction, Item
from indexer.snapshot import find_snapshot, list_ids, read_manifest
from service.store.database import LiveDatabase
from service.store.event_log import UserHasher, event_from_row
from service.store.events import IMPRESSION, Event
from service.store.item_changes import (
    ItemChange,
    drop_changes,
    iterate_undropped_changes,
    prune_changes,
)
from service.store.schema import erasures, events


@dataclass(frozen=True, slots=True)
class LiveChanges:
    """What a build lays over its sources.

    Attributes:
        items: The last change of each item.
        events: The log, in order of (time, event id).
        is_erased: Whether an interaction belongs to somebody who was erased after it.
        applied_seq: How far the store had come.
    """

    items: list[Item | DeletedId]
    events: list[Interaction]
    is_erased: Callable[[Interaction], bool]
    applied_seq: int


def read_changes(
    database: LiveDatabase, secret: str, *, with_items: bool = True
) -> tuple[LiveChanges, list[ItemChange]]:
    """Return what to fold in, all of one moment, and the item changes with their vectors."""
    with database.begin_read() as connection:
        changes = list(iterate_undropped_changes(connection)) if with_items else []
        live_changes = LiveChanges(
            items=[_to_item(change) for change in changes],
            events=_load_interactions(connection),
            is_erased=_build_erasure_check(connection, UserHasher(secret)),
            applied_seq=database.read_sequence(connection).seq,
        )
    return live_changes, changes


def cache_live_vectors(root: Path, changes: list[ItemChange]) -> None:
    """Let the next build find the vectors that the service has made with the model it serves."""
    try:
        manifest = read_manifest(find_snapshot(root))
    except SnapshotError:
        return
    if manifest.encoder is None:
        return
    key = manifest.encoder.key
    vectors = {
        hash_text(
            key, describe(change.fields, rating_scale=manifest.rating_scale)
        ): change.raw_vector
        for change in changes
        if change.fields is not None and change.raw_vector is not None and change.encoder_key == key
    }
    if vectors:
        cache = VectorCache(root / "encoded" / f"{key}.bin", manifest.encoder.dim)
        stacked = np.stack(list(vectors.values())).astype(np.float32)
        cache.append(list(vectors), stacked)


def prune_applied_changes(
    database: LiveDatabase, root: Path, *, drop_up_to_seq: int | None
) -> None:
    """Drop changes if asked to; forget those that every kept snapshot knows.

    Until then a dropped change stays: an older snapshot, rolled back to, still needs it.
    """
    if drop_up_to_seq is not None:
        drop_changes(database, up_to=drop_up_to_seq)
    applied = []
    for name in list_ids(root):
        try:
            manifest = read_manifest(find_snapshot(root, name))
        except SnapshotError:
            continue  # damaged: nobody can roll back to it
        applied.append(manifest.applied_seq)
    if applied:
        prune_changes(database, applied_seq=min(applied))


def _to_item(change: ItemChange) -> Item | DeletedId:
    """Texts are encoded by the build's own model; only vectors that callers gave are taken over."""
    if change.fields is None:
        return DeletedId(change.item_id)
    has_own_vector = change.raw_vector is not None and not change.encoder_key
    vector = (
        change.raw_vector.astype(np.float32)
        if has_own_vector and change.raw_vector is not None
        else None
    )
    return Item(change.item_id, change.fields, vector)


def _load_interactions(connection: sa.Connection) -> list[Interaction]:
    query = sa.select(events).where(events.c.event != IMPRESSION)
    rows = connection.execute(query.order_by(events.c.at, events.c.event_id)).mappings()
    return [_to_interaction(event_from_row(row)) for row in rows]


def _to_interaction(event: Event) -> Interaction:
    return Interaction(
        user_id=event.user_id or f"session {event.session_id}",
        item_id=event.item_id or "",
        event=event.event,
        value=event.value,
        at=event.at,
        text=event.text,
        context={name: str(value) for name, value in event.context.items()},
    )


def _build_erasure_check(
    connection: sa.Connection, user_hasher: UserHasher
) -> Callable[[Interaction], bool]:
    erasure_times = {
        row.user_hash: row.erased_at for row in connection.execute(sa.select(erasures))
    }

    def is_erased(interaction: Interaction) -> bool:
        at = (
            erasure_times.get(user_hasher.hash_user_id(interaction.user_id))
            if erasure_times
            else None
        )
        return at is not None and (interaction.at is None or interaction.at <= at)

    return is_erased
