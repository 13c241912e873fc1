"""Interactions of a source to events whose ids say what they hold, so that each counts once. Pure.

A row read again has the id that it had before, in whatever file it comes and whatever its cells are
taken for. Rows that say the same are as many events as there are rows: the second of them has an id
of its own, the third another.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.reading import Interaction
from service.store.events import IMPORT_DIGEST_BYTES, IMPORT_PREFIX, Event

_KEY_BYTES = 8
_ROW_SPACING_S = 1e-6  # between rows without times: their order is the order

Keys = NDArray[np.uint64]


class Occurrences:
    """Counts how often each key has come, in eight bytes for each time."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []  # sorted; each at least twice as long as the next

    def count(self, keys: Keys) -> NDArray[np.int64]:
        """Return how often each of `(n,) uint64` keys has come by then, itself included."""
        order = np.argsort(keys, kind="stable")
        run = keys[order]
        counts = np.empty(len(keys), np.int64)
        counts[order] = 1 + np.arange(len(keys)) - np.searchsorted(run, run, "left")
        for earlier in self._runs:
            counts += np.searchsorted(earlier, keys, "right")
            counts -= np.searchsorted(earlier, keys, "left")
        self._append(run)
        return counts

    def _append(self, run: Keys) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)


class ImportIds:
    """The event ids of the rows of one source, which are given in order, some at a time."""

    def __init__(self) -> None:
        self._occurrences = Occurrences()

    def build(self, rows: Sequence[Interaction]) -> list[str]:
        """Return the id of the event of each row."""
        digests = list(map(_hash_content, rows))
        keys = np.frombuffer(b"".join(d[:_KEY_BYTES] for d in digests), np.dtype(">u8"))
        counts = self._occurrences.count(keys.astype(np.uint64)).tolist()
        return [_build_id(digest, count) for digest, count in zip(digests, counts, strict=True)]


class ImportedPlaces:
    """Where in a list the event of each id of an imported event is, in sixteen bytes for each."""

    def __init__(self, event_ids: Sequence[str], places: Sequence[int]) -> None:
        """Take ids of imported events, and the place of each."""
        keys = _parse_keys(event_ids)
        order = np.argsort(keys, kind="stable")
        self._keys, self._places = keys[order], np.array(places, np.int64)[order]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, event_ids: Iterable[str]) -> list[int]:
        """Return the place of each of some ids of imported events; -1 for one that is not here."""
        keys = _parse_keys(event_ids)
        found = np.full(len(keys), -1, np.int64)
        if len(self._keys):
            spots = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            is_here = self._keys[spots] == keys
            found[is_here] = self._places[spots[is_here]]
        places: list[int] = found.tolist()
        return places


def to_imported_events(
    rows: Sequence[Interaction], event_ids: Sequence[str], *, now: float, first: int
) -> list[Event]:
    """Return the events of rows.

    Args:
        rows: Of users.
        event_ids: Of the rows, from `ImportIds`.
        now: Of rows without a time, Unix seconds; each follows the one before.
        first: How many rows of the source were before these.
    """
    return [
        Event(
            event_id,
            row.user_id,
            None,
            row.item_id or None,
            row.event,
            row.value,
            row.text,
            now + place * _ROW_SPACING_S if row.at is None else row.at,
            row.context,
            None,
            row.at is None,
        )
        for place, (row, event_id) in enumerate(zip(rows, event_ids, strict=True), first)
    ]


def _hash_content(row: Interaction) -> bytes:
    """Return a digest of what a row says somebody did.

    What it was taken for is not in it: that depends on the rows beside it and on options. Nor are
    the circumstances: which of them are kept depends on how the row is read.
    """
    said: list[object] = (
        [str(row.event), row.value] if row.raw_event is None else [row.raw_event, row.raw_value]
    )
    user_id = row.user_id if row.raw_user_id is None else row.raw_user_id
    item_id = row.item_id if row.raw_item_id is None else row.raw_item_id
    act = [user_id, item_id, *said, row.at if row.raw_at is None else row.raw_at, row.text]
    return hashlib.blake2b(orjson.dumps(act), digest_size=IMPORT_DIGEST_BYTES).digest()


def _parse_keys(event_ids: Iterable[str]) -> Keys:
    first, last = len(IMPORT_PREFIX), len(IMPORT_PREFIX) + 2 * _KEY_BYTES
    return np.fromiter((int(event_id[first:last], 16) for event_id in event_ids), np.uint64)


def _build_id(digest: bytes, count: int) -> str:
    name = digest if count == 1 else digest + count.to_bytes(8, "big")
    return IMPORT_PREFIX + hashlib.blake2b(name, digest_size=IMPORT_DIGEST_BYTES).hexdigest()
