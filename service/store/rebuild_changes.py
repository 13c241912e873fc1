"""The live store to the changes that a build applies; later, the removal of applied changes."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import sqlalchemy as sa

from indexer import SnapshotError
from indexer.language import VectorCache, describe_item, hash_text
from indexer.reading import MAX_AHEAD_S, DeletedId, Interaction, Item
from indexer.snapshot import find_snapshot, list_ids, read_manifest
from service.store.database import LiveDatabase
from service.store.event_rows import EVENT_COLUMNS, to_event
from service.store.events import IMPRESSION, Event, is_import_id
from service.store.hidden_events import is_visible
from service.store.imported_events import ImportedPlaces, ImportIds
from service.store.item_changes import (
    ItemChange,
    drop_changes,
    iterate_undropped_changes,
    prune_changes,
)
from service.store.ownership import UserHasher
from service.store.retractions import RetractedIds, load_retracted_ids
from service.store.schema import erasures, events


@dataclass(frozen=True, slots=True)
class LiveChanges:
    """The content of the live store as a build applies it on top of its sources.

    Attributes:
        items: The last change of each item; deleted items as `DeletedId`.
        events: The log as interactions, in order of (time, event id), without impressions.
        has_history: Whether imported interactions are among the events.
        select_new: Returns the rows of a source that are neither in the log, nor retracted, nor of
            users who were erased after them. What the source takes a row of the log for holds: the
            event among `events` is changed.
        state: A hash of the events, of the erased users and of the retracted events.
        applied_seq: Sequence number of the store that this content reflects.
    """

    items: list[Item | DeletedId]
    events: list[Interaction]
    has_history: bool
    select_new: Callable[[Sequence[Interaction]], list[Interaction]]
    state: str
    applied_seq: int


def read_changes(
    database: LiveDatabase, secret: str, *, now: float, with_items: bool = True
) -> tuple[LiveChanges, list[ItemChange]]:
    """Return what a build applies, and the item changes with their vectors.

    Args:
        database: The live store; it is read at one point of its sequence.
        secret: Key of the hashes of erased users.
        now: Unix seconds; events more than a day ahead, which are refused today, are left out.
        with_items: Whether to read the items too.
    """
    with database.begin_read() as connection:
        changes = list(iterate_undropped_changes(connection)) if with_items else []
        log = _load_log(connection, now + MAX_AHEAD_S)
        hasher = UserHasher(secret)
        removed = _load_removed(connection, hasher)
        live_changes = LiveChanges(
            items=[_to_item(change) for change in changes],
            events=log.interactions,
            has_history=bool(len(log.imported)),
            select_new=_build_selection(removed, log, hasher),
            state=_hash_state(log, removed),
            applied_seq=database.read_sequence(connection).seq,
        )
    return live_changes, changes


def cache_live_vectors(root: Path, changes: list[ItemChange]) -> None:
    """Add the vectors that the service encoded to the cache in which the next build looks.

    Args:
        root: Index directory.
        changes: Item changes; those of another encoder than the live snapshot's are left out.
    """
    try:
        manifest = read_manifest(find_snapshot(root))
    except SnapshotError:
        return
    if manifest.encoder is None:
        return
    key = manifest.encoder.key
    vectors = {
        hash_text(
            key, describe_item(change.fields, rating_scale=manifest.rating_scale)
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
    """Drop item changes, and delete those dropped changes that every kept snapshot has applied.

    A dropped change stays until then, because an older snapshot needs it after a roll-back.

    Args:
        database: The live store.
        root: Index directory.
        drop_up_to_seq: Later builds leave out the changes up to this number; None: drop none.
    """
    if drop_up_to_seq is not None:
        drop_changes(database, up_to=drop_up_to_seq)
    applied = []
    for name in list_ids(root):
        try:
            manifest = read_manifest(find_snapshot(root, name))
        except SnapshotError:
            continue  # a damaged snapshot cannot be rolled back to
        applied.append(manifest.applied_seq)
    if applied:
        prune_changes(database, applied_seq=min(applied))


def _to_item(change: ItemChange) -> Item | DeletedId:
    """Keep only vectors that callers sent; texts are encoded again, with the build's encoder."""
    if change.fields is None:
        return DeletedId(change.item_id)
    vector = None
    if change.raw_vector is not None and not change.encoder_key:
        vector = change.raw_vector.astype(np.float32)
    return Item(change.item_id, change.fields, vector)


class _Log(NamedTuple):
    """The log as a build learns from it.

    Attributes:
        imported: Where among the interactions those are that were imported.
        digest: Changes with any event.
    """

    interactions: list[Interaction]
    imported: ImportedPlaces
    digest: str


class _Removed(NamedTuple):
    """What may not come back from a source.

    Attributes:
        erasure_times: Keyed hash of an erased user to when they were erased, Unix seconds.
        retracted: The ids of retracted events.
    """

    erasure_times: dict[bytes, float]
    retracted: RetractedIds


def _load_log(connection: sa.Connection, latest_at: float) -> _Log:
    is_learned_from = sa.and_(events.c.event != IMPRESSION, events.c.at <= latest_at)
    query = sa.select(*EVENT_COLUMNS).where(is_learned_from, is_visible())
    rows = connection.execute(query.order_by(events.c.at, events.c.event_id))
    interactions: list[Interaction] = []
    import_ids, places, digest = [], [], hashlib.sha256()
    shared: dict[str, str] = {}  # users, items and events come again and again
    for event in map(to_event, rows):
        interaction = _to_interaction(event, shared)
        interactions.append(interaction)
        said = (event.event_id, interaction.user_id, event.event, event.value)
        digest.update(orjson.dumps(said))
        if is_import_id(event.event_id):
            import_ids.append(event.event_id)
            places.append(len(interactions) - 1)
    return _Log(interactions, ImportedPlaces(import_ids, places), digest.hexdigest())


def _load_removed(connection: sa.Connection, hasher: UserHasher) -> _Removed:
    erasure_times = {
        row.user_hash: row.erased_at for row in connection.execute(sa.select(erasures))
    }
    return _Removed(erasure_times, load_retracted_ids(connection, hasher))


def _hash_state(log: _Log, removed: _Removed) -> str:
    parts = (log.digest, sorted(removed.erasure_times.items()), sorted(removed.retracted.hashes))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _to_interaction(event: Event, shared: dict[str, str]) -> Interaction:
    user_id = event.user_id or f"session {event.session_id}"
    item_id = event.item_id or ""
    return Interaction(
        user_id=shared.setdefault(user_id, user_id),
        item_id=shared.setdefault(item_id, item_id),
        event=shared.setdefault(event.event, event.event),
        value=event.value,
        at=event.at,
        text=event.text,
        context={name: str(value) for name, value in event.context.items()},
    )


def _build_selection(
    removed: _Removed, log: _Log, user_hasher: UserHasher
) -> Callable[[Sequence[Interaction]], list[Interaction]]:
    is_erased = _build_erasure_check(removed.erasure_times, user_hasher)

    def select_new(rows: Sequence[Interaction]) -> list[Interaction]:
        event_ids = ImportIds().build(rows)
        new_rows = []
        for row, event_id, place in zip(rows, event_ids, log.imported.find(event_ids), strict=True):
            if place >= 0:
                _update_meaning(log.interactions, place, row)
            elif not is_erased(row) and event_id not in removed.retracted:
                new_rows.append(row)
        return new_rows

    return select_new


def _update_meaning(interactions: list[Interaction], place: int, row: Interaction) -> None:
    known = interactions[place]
    interactions[place] = replace(
        known,
        event=row.event,
        value=row.value,
        item_id=row.item_id,
        at=known.at if row.at is None else row.at,
    )


def _build_erasure_check(
    erasure_times: dict[bytes, float], user_hasher: UserHasher
) -> Callable[[Interaction], bool]:
    def is_erased(interaction: Interaction) -> bool:
        if not erasure_times:
            return False
        erased_at = erasure_times.get(user_hasher.hash_user_id(interaction.user_id))
        return erased_at is not None and (interaction.at is None or interaction.at <= erased_at)

    return is_erased
