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

    def load_catalogue(
        self, index: Index, connection: sa.Connection, sequence: Seq
    ) -> LiveCatalogue:
        """Return the catalogue as it is at a point of the sequence.

        Raises:
            StaleViewError: If a later one is loaded already.
        """
        if (
            sequence.seq < index.manifest.applied_seq
        ):  # another store than the one the build has read
            self._database.advance_to(index.manifest.applied_seq)
            raise StaleViewError
        with self._lock:
            loaded = self._loaded.get(index.id)
            # A snapshot that is activated again is opened anew; the old `Index` of it is closed.
            if loaded is None or loaded.catalogue.base is not index:
                loaded = _LoadedCatalogue(LiveCatalogue(index), index.manifest.applied_seq)
            if loaded.items_seq < sequence.items_seq:
                changes = load_changes_after(connection, loaded.items_seq)
                live_changes = _to_live_changes(index, changes)
                loaded = _LoadedCatalogue(
                    loaded.catalogue.apply_changes(live_changes), sequence.items_seq
                )
            elif loaded.items_seq > max(sequence.items_seq, index.manifest.applied_seq):
                raise StaleViewError
            self._loaded[index.id] = loaded
            self._loaded = {name: one for name, one in self._loaded.items() if one.is_in_use}
            return loaded.catalogue

    def put(self, index: Index, bodies: Sequence[Mapping[str, Any]]) -> tuple[list[str], int]:
        """Keep whole items; return their ids and the sequence.

        Raises:
            RequestError: If one of them is no item; its place is named.
        """
        labels = [f"items[{place}]: " if len(bodies) > 1 else "" for place in range(len(bodies))]
        items = [_parse_item(body, where) for body, where in zip(bodies, labels, strict=True)]
        changes = self._attach_vectors(index, items, labels)
        with self._database.begin_write() as transaction:
            seq = store_changes(transaction, changes, now=self._clock())
        return [item.id for item in items], seq

    def patch(
        self, index: Index, load_current: Callable[[], LiveCatalogue], patch: Mapping[str, Any]
    ) -> tuple[dict[str, Any], int]:
        """Change some fields of an item; null removes one. Return the item and the sequence.

        Args:
            index: The snapshot that serves.
            load_current: Returns the catalogue as it is at the time.
            patch: The id, and the fields that change.

        Raises:
            Problem: 404 if there is no such item; 503 if others keep changing it.
            RequestError: If the result is no item.
        """
        item_id: str = patch["id"]
        for _ in range(_MAX_TRIES):
            with self._database.begin_read() as connection:
                before = load_changes(connection, [item_id]).get(item_id)
            loaded = load_current().get(item_id)
            if loaded is None:
                raise Problem(HTTPStatus.NOT_FOUND, f"no item {item_id[:100]!r} in the catalogue")
            merged = {k: v for k, v in {**loaded, **patch}.items() if v is not None}
            item = _parse_item(merged, "")
            (change,) = self._attach_vectors(
                index, [item], [""], base_change=before or _SNAPSHOT_ITEM
            )
            with self._database.begin_write() as transaction:
                last = load_changes(transaction.connection, [item_id]).get(item_id)
                if (last.seq if last else 0) == (before.seq if before else 0):
                    return item.fields, store_changes(transaction, [change], now=self._clock())
        raise unavailable(f"item {item_id[:100]!r} keeps changing; try again in a moment")

    def delete(self, item_id: str) -> int:
        """Take an item away; return the sequence."""
        with self._database.begin_write() as transaction:
            return store_changes(transaction, [ItemChange(item_id, None)], now=self._clock())

    def _attach_vectors(
        self,
        index: Index,
        items: Sequence[Item],
        labels: Sequence[str],
        *,
        base_change: ItemChange | None = None,
    ) -> list[ItemChange]:
        """Changes with their raw vectors: given, known, or encoded, all at once.

        Args:
            index: The snapshot that serves.
            items: What to keep.
            labels: How a message names each.
            base_change: The change that a patch builds upon, or `_SNAPSHOT_ITEM`.
        """
        key = index.manifest.encoder.key if index.manifest.encoder else ""
        vectors: dict[int, tuple[NDArray[np.float16], str]] = {}
        texts: dict[int, str] = {}
        for place, item in enumerate(items):
            if item.vector is not None:
                vectors[place] = _normalise_vector(index, item, labels[place]), ""
                continue
            text = describe(item.fields, rating_scale=index.manifest.rating_scale)
            loaded = _find_known_vector(index, item.id, text, base_change)
            if loaded is not None:
                vectors[place] = loaded
            elif index.manifest.encoder is None:
                raise RequestError(
                    f"{labels[place]}item {item.id[:60]!r} has no vector, and this index was built "
                    f"with --model none; send its vector"
                )
            else:
                texts[place] = text
        if texts:
            encoded = index.encoder.encode_items(list(texts.values())).astype(np.float16)
            vectors |= {place: (raw, key) for place, raw in zip(texts, encoded, strict=True)}
        return [
            ItemChange(item.id, item.fields, *vectors[place]) for place, item in enumerate(items)
        ]


def _parse_item(body: Mapping[str, Any], where: str) -> Item:
    if not isinstance(body, Mapping):
        raise RequestError(f"{where}an item must be an object, got {str(body)[:60]!r}")
    vectors = to_item(Row("request", 1, body))
    if isinstance(vectors, Rejection):
        raise RequestError(f"{where}the item is refused: {vectors.reason}")
    return vectors


def _normalise_vector(index: Index, item: Item, label: str) -> NDArray[np.float16]:
    dimension = get_raw_dimension(index)
    if item.vector is None or len(item.vector) != dimension:
        size = 0 if item.vector is None else len(item.vector)
        raise RequestError(f"{label}vector has {size} numbers, expected {dimension}")
    unscaled = item.vector.astype(np.float64)
    unit: NDArray[np.float16] = (unscaled / np.linalg.norm(unscaled)).astype(np.float16)
    return unit


def get_raw_dimension(index: Index) -> int:
    """Return how many numbers a raw vector of a snapshot has."""
    encoder = index.manifest.encoder
    return encoder.dim if encoder else index.manifest.layout.meaning


def _find_known_vector(
    index: Index, item_id: str, text: str, base_change: ItemChange | None
) -> tuple[NDArray[np.float16], str] | None:
    """The vector that an item has, if its text says the same still.

    A patch also leaves a vector in place that the caller once gave, whatever the text says.
    """
    key = index.manifest.encoder.key if index.manifest.encoder else ""
    if (
        base_change is not None
        and base_change.raw_vector is not None
        and base_change.fields is not None
    ):
        same = text == describe(base_change.fields, rating_scale=index.manifest.rating_scale)
        fits = len(base_change.raw_vector) == get_raw_dimension(index)
        if fits and (not base_change.encoder_key or (base_change.encoder_key == key and same)):
            return base_change.raw_vector, base_change.encoder_key
        return None
    row = index.rows([item_id]).get(item_id)
    if row is None:
        return None
    raw, name = index.load_raw_vector(row)
    if name is None:  # it came with a vector of its own
        return (raw, "") if base_change else None
    return (raw, key) if name == hash_text(key, text) else None


def _to_live_changes(index: Index, changes: Sequence[ItemChange]) -> list[LiveItem | Tombstone]:
    """Changes as the overlay takes them; what another model has encoded is encoded again."""
    key = index.manifest.encoder.key if index.manifest.encoder else ""
    dimension = get_raw_dimension(index)
    foreign = [
        change
        for change in changes
        if change.fields is not None
        and (
            change.raw_vector is None
            or len(change.raw_vector) != dimension
            or change.encoder_key not in ("", key)
        )
    ]
    reencoded = dict(
        zip((c.item_id for c in foreign), _encode_changes(index, foreign), strict=True)
    )
    live_changes: list[LiveItem | Tombstone] = []
    for change in changes:
        if change.fields is None:
            live_changes.append(Tombstone(change.item_id))
        elif change.item_id in reencoded:
            live_changes.append(LiveItem(change.item_id, change.fields, reencoded[change.item_id]))
        elif change.raw_vector is not None:
            live_changes.append(
                LiveItem(change.item_id, change.fields, change.raw_vector.astype(np.float32))
            )
    return live_changes


def _encode_changes(index: Index, changes: Sequence[ItemChange]) -> Vectors:
    scale = index.manifest.rating_scale
    texts = [describe(change.fields or {}, rating_scale=scale) for change in changes]
    if not texts or index.manifest.encoder is None:
        # Without a model such an item can still be listed, filtered and rated, not compared.
        return np.zeros((len(texts), get_raw_dimension(index)), np.float32)
    return index.encoder.encode_items(texts).astype(np.float16).astype(np.float32)
