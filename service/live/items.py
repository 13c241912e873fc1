"""Item changes, stored and loaded: calls to the live store, and the store to the live catalogue.

With each request a worker compares the sequence number of the last item change with what it has
loaded, and loads only later changes. Changes hold vectors, so a text is encoded once, by the worker
that took the change, unless a snapshot of another encoder serves.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa

from indexer import Index, RequestError
from indexer.live import MAX_LIVE_FIELDS, LiveCatalogue
from indexer.metadata import collect_path_values
from indexer.reading import Item, Rejection, Row, apply_patch, to_item
from service.edge import Problem, unavailable
from service.live.item_changes import take_changes
from service.live.item_vectors import SNAPSHOT_ITEM, ItemDrafts, draft_items
from service.store import (
    ItemChange,
    LiveDatabase,
    SequenceNumbers,
    load_changes,
    load_changes_after,
    store_changes,
)

MAX_ITEMS_PER_CALL = 1_000
_MAX_TRIES = 5


class StaleViewError(Exception):
    """A view is older than the changes its worker has loaded already; it must be opened again."""


@dataclass(frozen=True, slots=True)
class KeptItems:
    """Items that were stored.

    Attributes:
        seq: The sequence number afterwards.
        notes: What was kept in another way than it came, one sentence each.
    """

    ids: list[str]
    seq: int
    notes: list[str]

    def describe(self) -> dict[str, Any]:
        """Return the sequence number, and the notes if there are any, as an answer has them."""
        return {"live_seq": self.seq, **({"notes": self.notes} if self.notes else {})}


@dataclass(frozen=True, slots=True)
class _LoadedCatalogue:
    """A live catalogue with the changes up to a sequence number of some generation.

    Attributes:
        set_aside: See `take_changes`.
    """

    catalogue: LiveCatalogue
    items_seq: int
    generation: int
    set_aside: Mapping[str, str] = field(default_factory=dict)

    def belongs_to(self, index: Index, sequence: SequenceNumbers) -> bool:
        """Whether later changes can be added to it; a snapshot activated again is another one."""
        return self.catalogue.base is index and self.generation == sequence.generation

    @property
    def is_in_use(self) -> bool:
        """Whether its snapshot serves, or requests under way still use it."""
        return not self.catalogue.base.closed


class LiveItems:
    """The changed items of the live store; thread-safe.

    Args:
        database: The live store.
        clock: Returns the time, Unix seconds.
    """

    def __init__(self, database: LiveDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._loaded: dict[str, _LoadedCatalogue] = {}  # by snapshot id
        self._lock = threading.Lock()

    def load_catalogue(
        self, index: Index, connection: sa.Connection, sequence: SequenceNumbers
    ) -> LiveCatalogue:
        """Return the catalogue as of some sequence numbers.

        Args:
            index: The snapshot that serves.
            connection: Sees the store at `sequence`.
            sequence: What the connection sees.

        Raises:
            StaleViewError: If later changes are loaded already.
        """
        applied_seq = index.manifest.applied_seq
        if sequence.seq < applied_seq:  # the build read another store, or this one was put back
            self._database.advance_to(applied_seq)
            raise StaleViewError
        with self._lock:
            loaded = self._loaded.get(index.id)
            if loaded is not None and loaded.generation > sequence.generation:
                raise StaleViewError
            if loaded is None or not loaded.belongs_to(index, sequence):
                empty = LiveCatalogue(index)
                loaded = _LoadedCatalogue(empty, applied_seq, sequence.generation)
            if loaded.items_seq < sequence.items_seq:
                changes = load_changes_after(connection, loaded.items_seq)
                catalogue, set_aside = take_changes(loaded.catalogue, changes)
                later = {change.item_id for change in changes}
                earlier = {i: why for i, why in loaded.set_aside.items() if i not in later}
                loaded = _LoadedCatalogue(
                    catalogue, sequence.items_seq, sequence.generation, {**earlier, **set_aside}
                )
            elif loaded.items_seq > max(sequence.items_seq, applied_seq):
                raise StaleViewError
            self._loaded[index.id] = loaded
            self._loaded = {name: one for name, one in self._loaded.items() if one.is_in_use}
            return loaded.catalogue

    def get_loaded(self, index: Index, sequence: SequenceNumbers) -> LiveCatalogue | None:
        """Return the catalogue as of some sequence numbers; None if it is not in memory."""
        loaded = self._loaded.get(index.id)
        if loaded is None or not loaded.belongs_to(index, sequence):
            return None
        applied_seq = index.manifest.applied_seq
        is_current = loaded.items_seq == max(sequence.items_seq, applied_seq)
        return loaded.catalogue if is_current and sequence.seq >= applied_seq else None

    def list_set_aside(self, snapshot_id: str | None) -> Mapping[str, str]:
        """Return the items that the catalogue of a snapshot does not show, see `take_changes`."""
        loaded = self._loaded.get(snapshot_id or "")
        return loaded.set_aside if loaded else {}

    def draft(
        self,
        index: Index,
        bodies: Sequence[Mapping[str, Any]],
        load_current: Callable[[], LiveCatalogue],
    ) -> ItemDrafts:
        """Return whole items as they are to be stored, see `store`; nothing is encoded yet.

        Args:
            index: The snapshot that serves.
            bodies: The items as JSON.
            load_current: Returns the catalogue as it is at the time of the call.

        Raises:
            RequestError: If one of them is not an item; its place is named. Or if their new texts
                cost too much, or all live items would have too many different fields.
        """
        labels = [f"items[{n}]: " if len(bodies) > 1 else "" for n in range(len(bodies))]
        items = [_parse_item(body, label) for body, label in zip(bodies, labels, strict=True)]
        _check_fields(index, items, load_current)
        with self._database.begin_read() as connection:
            stored = load_changes(connection, [item.id for item in items])
        return draft_items(index, items, labels, stored_changes=stored)

    def store(self, index: Index, drafts: ItemDrafts) -> KeptItems:
        """Encode what is not encoded yet, then store all items or none."""
        changes = drafts.encode(index)  # before the transaction, so that no writer waits for it
        self._database.continue_after(index.manifest.applied_seq)
        with self._database.begin_write() as transaction:
            seq = store_changes(transaction, changes, now=self._clock())
        return KeptItems([item.id for item in drafts.items], seq, drafts.list_notes())

    def patch(
        self, index: Index, load_current: Callable[[], LiveCatalogue], patch: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[str]]:
        """Change some fields of an item; null removes a field.

        Args:
            index: The snapshot that serves.
            load_current: Returns the catalogue as it is at the time of the call.
            patch: The id, and the fields that change.

        Returns:
            The whole item, and what was changed in another way than it came, one sentence each.

        Raises:
            Problem: 404 if there is no such item; 503 if others keep changing it.
            RequestError: If the result is not an item.
        """
        item_id: str = patch["id"]
        self._database.continue_after(index.manifest.applied_seq)
        for _ in range(_MAX_TRIES):
            with self._database.begin_read() as connection:
                before = load_changes(connection, [item_id]).get(item_id)
            current = load_current().get(item_id)
            if current is None:
                raise Problem(HTTPStatus.NOT_FOUND, f"no item {item_id[:100]!r} in the catalogue")
            item = _require_item(apply_patch(current, patch), "")
            _check_fields(index, [item], load_current)
            base_change = before or SNAPSHOT_ITEM
            drafts = draft_items(index, [item], [""], stored_changes={}, base_change=base_change)
            (change,) = drafts.encode(index)
            with self._database.begin_write() as transaction:
                last = load_changes(transaction.connection, [item_id]).get(item_id)
                if (last.seq if last else 0) == (before.seq if before else 0):
                    store_changes(transaction, [change], now=self._clock())
                    return item.fields, drafts.list_notes()
        raise unavailable(f"item {item_id[:100]!r} keeps changing; try again in a moment")

    def delete(self, index: Index, item_id: str) -> int:
        """Delete an item; return the sequence number afterwards.

        The live catalogue is not asked, so that an item it cannot take can be deleted.

        Args:
            index: The snapshot that serves.
            item_id: Its id.

        Raises:
            Problem: 404 if there is no such item.
        """
        self._database.continue_after(index.manifest.applied_seq)
        with self._database.begin_write() as transaction:
            change = load_changes(transaction.connection, [item_id]).get(item_id)
            if change is not None and change.seq > index.manifest.applied_seq:
                is_known = change.fields is not None
            else:
                is_known = bool(index.rows([item_id]))
            if not is_known:
                raise Problem(HTTPStatus.NOT_FOUND, f"no item {item_id[:100]!r} in the catalogue")
            return store_changes(transaction, [ItemChange(item_id, None)], now=self._clock())


def _check_fields(
    index: Index, items: Sequence[Item], load_current: Callable[[], LiveCatalogue]
) -> None:
    """Refuse items with which all live items would have too many different fields.

    Calls of several workers at once may each pass, and together exceed the limit by what one call
    may hold.
    """
    known = index.schema.fields.keys()
    if all(collect_path_values(item.fields).keys() <= known for item in items):
        return
    count = load_current().count_fields_with([item.fields for item in items])
    if count > MAX_LIVE_FIELDS:
        raise RequestError(
            f"live items would have {count} different field names, at most {MAX_LIVE_FIELDS} are "
            f"taken; use fewer names, such as a list of objects with a name and a value each"
        )


def _parse_item(body: Mapping[str, Any], label: str) -> Item:
    if not isinstance(body, Mapping):
        raise RequestError(f"{label}an item must be an object, got {str(body)[:60]!r}")
    return _require_item(to_item(Row("request", 1, body)), label)


def _require_item(item: Item | Rejection, label: str) -> Item:
    if isinstance(item, Rejection):
        raise RequestError(f"{label}the item is refused: {item.reason}")
    return item
