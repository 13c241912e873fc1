"""Item changes of the live store to the catalogue that requests see, on every worker.

A worker looks at the sequence number of the last item change with each request, and reads only
what it has not yet seen. Vectors come with the changes, so a text is encoded once, by the worker
that took the change, unless a snapshot of another model is served.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from indexer import Index, RequestError
from indexer.arrays import Vectors
from indexer.language import describe, hash_text
from indexer.live import LiveCatalogue, LiveItem, Tombstone
from indexer.reading import Item, Rejection, Row, to_item
from service.edge import Problem, unavailable
from service.store import ItemChange, LiveDatabase, load_changes, load_changes_after, store_changes
from service.store import SequenceNumbers as Seq

MAX_ITEMS_PER_CALL = 1_000
_MAX_TRIES = 5
_SNAPSHOT_ITEM = ItemChange("", None)


class StaleViewError(Exception):
    """A request began before changes that its worker has loaded already; it begins again."""


@dataclass(frozen=True, slots=True)
class _LoadedCatalogue:
    catalogue: LiveCatalogue
    items_seq: int

    @property
    def is_in_use(self) -> bool:
        """Whether the snapshot serves, or requests under way still use it."""
        return not self.catalogue.base.closed


class LiveItems:
    """The changed items of the live store; thread-safe."""

    def __init__(self, database: LiveDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._loaded: dict[str, _LoadedCatalogue] = {}
        self._lock = threading.Lock()

    def load_catalogue(self, index: Index, connection: sa.Connection, now: Seq) -> LiveCatalogue:
        """Return the catalogue as it is at a point of the sequence.

        Raises:
            StaleViewError: If a later one is loaded already.
        """
        if now.seq < index.manifest.applied_seq:  # another store than the one the build has read
            self._database.advance_to(index.manifest.applied_seq)
            raise StaleViewError
        with self._lock:
            known = self._loaded.get(index.id)
            # A snapshot that is activated again is opened anew; the old `Index` of it is closed.
            if known is None or known.catalogue.base is not index:
                known = _LoadedCatalogue(LiveCatalogue(index), index.manifest.applied_seq)
            if known.items_seq < now.items_seq:
                changes = load_changes_after(connection, known.items_seq)
                brought = _to_live_changes(index, changes)
                known = _LoadedCatalogue(known.catalogue.apply_changes(brought), now.items_seq)
            elif known.items_seq > max(now.items_seq, index.manifest.applied_seq):
                raise StaleViewError
            self._loaded[index.id] = known
            self._loaded = {name: one for name, one in self._loaded.items() if one.is_in_use}
            return known.catalogue

    def put(self, index: Index, bodies: Sequence[Mapping[str, Any]]) -> tuple[list[str], int]:
        """Keep whole items; return their ids and the sequence.

        Raises:
            RequestError: If one of them is no item; its place is named.
        """
        places = [f"items[{place}]: " if len(bodies) > 1 else "" for place in range(len(bodies))]
        items = [_parse_item(body, where) for body, where in zip(bodies, places, strict=True)]
        changes = self._attach_vectors(index, items, places)
        with self._database.begin_write() as write:
            seq = store_changes(write, changes, now=self._clock())
        return [item.id for item in items], seq

    def patch(
        self, index: Index, current: Callable[[], LiveCatalogue], patch: Mapping[str, Any]
    ) -> tuple[dict[str, Any], int]:
        """Change some fields of an item; null removes one. Return the item and the sequence.

        Args:
            index: The snapshot that serves.
            current: Returns the catalogue as it is at the time.
            patch: The id, and the fields that change.

        Raises:
            Problem: 404 if there is no such item; 503 if others keep changing it.
            RequestError: If the result is no item.
        """
        item_id: str = patch["id"]
        for _ in range(_MAX_TRIES):
            with self._database.begin_read() as connection:
                before = load_changes(connection, [item_id]).get(item_id)
            known = current().get(item_id)
            if known is None:
                raise Problem(HTTPStatus.NOT_FOUND, f"no item {item_id[:100]!r} in the catalogue")
            merged = {k: v for k, v in {**known, **patch}.items() if v is not None}
            item = _parse_item(merged, "")
            (change,) = self._attach_vectors(index, [item], [""], patched=before or _SNAPSHOT_ITEM)
            with self._database.begin_write() as write:
                last = load_changes(write.connection, [item_id]).get(item_id)
                if (last.seq if last else 0) == (before.seq if before else 0):
                    return item.fields, store_changes(write, [change], now=self._clock())
        raise unavailable(f"item {item_id[:100]!r} keeps changing; try again in a moment")

    def delete(self, item_id: str) -> int:
        """Take an item away; return the sequence."""
        with self._database.begin_write() as write:
            return store_changes(write, [ItemChange(item_id, None)], now=self._clock())

    def _attach_vectors(
        self,
        index: Index,
        items: Sequence[Item],
        places: Sequence[str],
        *,
        patched: ItemChange | None = None,
    ) -> list[ItemChange]:
        """Changes with their raw vectors: given, known, or encoded, all at once.

        Args:
            index: The snapshot that serves.
            items: What to keep.
            places: How a message names each.
            patched: The change that a patch builds upon, or `_SNAPSHOT_ITEM`.
        """
        key = index.manifest.encoder.key if index.manifest.encoder else ""
        found: dict[int, tuple[NDArray[np.float16], str]] = {}
        texts: dict[int, str] = {}
        for place, item in enumerate(items):
            if item.vector is not None:
                found[place] = _normalise_vector(index, item, places[place]), ""
                continue
            text = describe(item.fields, rating_scale=index.manifest.rating_scale)
            known = _find_known_vector(index, item.id, text, patched)
            if known is not None:
                found[place] = known
            elif index.manifest.encoder is None:
                raise RequestError(
                    f"{places[place]}item {item.id[:60]!r} has no vector, and this index was built "
                    f"with --model none; send its vector"
                )
            else:
                texts[place] = text
        if texts:
            encoded = index.encoder.encode_items(list(texts.values())).astype(np.float16)
            found |= {place: (raw, key) for place, raw in zip(texts, encoded, strict=True)}
        return [ItemChange(item.id, item.fields, *found[place]) for place, item in enumerate(items)]


def _parse_item(body: Mapping[str, Any], where: str) -> Item:
    if not isinstance(body, Mapping):
        raise RequestError(f"{where}an item must be an object, got {str(body)[:60]!r}")
    found = to_item(Row("request", 1, body))
    if isinstance(found, Rejection):
        raise RequestError(f"{where}the item is refused: {found.reason}")
    return found


def _normalise_vector(index: Index, item: Item, where: str) -> NDArray[np.float16]:
    width = get_raw_dimension(index)
    if item.vector is None or len(item.vector) != width:
        size = 0 if item.vector is None else len(item.vector)
        raise RequestError(f"{where}vector has {size} numbers, expected {width}")
    wide = item.vector.astype(np.float64)
    unit: NDArray[np.float16] = (wide / np.linalg.norm(wide)).astype(np.float16)
    return unit


def get_raw_dimension(index: Index) -> int:
    """Return how many numbers a raw vector of a snapshot has."""
    encoder = index.manifest.encoder
    return encoder.dim if encoder else index.manifest.layout.meaning


def _find_known_vector(
    index: Index, item_id: str, text: str, patched: ItemChange | None
) -> tuple[NDArray[np.float16], str] | None:
    """The vector that an item has, if its text says the same still.

    A patch also leaves a vector in place that the caller once gave, whatever the text says.
    """
    key = index.manifest.encoder.key if index.manifest.encoder else ""
    if patched is not None and patched.raw_vector is not None and patched.fields is not None:
        same = text == describe(patched.fields, rating_scale=index.manifest.rating_scale)
        fits = len(patched.raw_vector) == get_raw_dimension(index)
        if fits and (not patched.encoder_key or (patched.encoder_key == key and same)):
            return patched.raw_vector, patched.encoder_key
        return None
    row = index.rows([item_id]).get(item_id)
    if row is None:
        return None
    raw, name = index.load_raw_vector(row)
    if name is None:  # it came with a vector of its own
        return (raw, "") if patched else None
    return (raw, key) if name == hash_text(key, text) else None


def _to_live_changes(index: Index, changes: Sequence[ItemChange]) -> list[LiveItem | Tombstone]:
    """Changes as the overlay takes them; what another model has encoded is encoded again."""
    key = index.manifest.encoder.key if index.manifest.encoder else ""
    width = get_raw_dimension(index)
    foreign = [
        change
        for change in changes
        if change.fields is not None
        and (
            change.raw_vector is None
            or len(change.raw_vector) != width
            or change.encoder_key not in ("", key)
        )
    ]
    again = dict(zip((c.item_id for c in foreign), _encode_changes(index, foreign), strict=True))
    brought: list[LiveItem | Tombstone] = []
    for change in changes:
        if change.fields is None:
            brought.append(Tombstone(change.item_id))
        elif change.item_id in again:
            brought.append(LiveItem(change.item_id, change.fields, again[change.item_id]))
        elif change.raw_vector is not None:
            brought.append(
                LiveItem(change.item_id, change.fields, change.raw_vector.astype(np.float32))
            )
    return brought


def _encode_changes(index: Index, changes: Sequence[ItemChange]) -> Vectors:
    scale = index.manifest.rating_scale
    texts = [describe(change.fields or {}, rating_scale=scale) for change in changes]
    if not texts or index.manifest.encoder is None:
        # Without a model such an item can still be listed, filtered and rated, not compared.
        return np.zeros((len(texts), get_raw_dimension(index)), np.float32)
    return index.encoder.encode_items(texts).astype(np.float16).astype(np.float32)
