"""Live changes to what an overlay shows: which slot in which row, what is new, what is gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask, Vectors
from indexer.index import Index
from indexer.live.delta import Delta
from indexer.live.vectors import LiveVectors

FROM_SNAPSHOT = -1  # in place of a slot: the row shows the snapshot's own item


@dataclass(frozen=True, slots=True)
class LiveItem:
    """A change that brings an item, new or in place of an old one.

    Attributes:
        raw: `(r,) float32`, its vector as the snapshot's encoder gives it.
    """

    id: str
    fields: dict[str, Any]
    raw: Vectors


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A change that takes an item away."""

    id: str


@dataclass(frozen=True, slots=True)
class LiveState:
    """What one overlay shows.

    Attributes:
        positions: Live id to its slot.
        insertion_points: Live id that the snapshot lacks to the number of snapshot ids before it.
        base_positions: `(n,) int32`, the slot in each row of the snapshot, or `FROM_SNAPSHOT`.
        tombstones: Rows of the snapshot whose item is gone, `(n,) bool`.
    """

    positions: Mapping[str, int]
    insertion_points: Mapping[str, int]
    base_positions: NDArray[np.int32]
    tombstones: Mask


def apply_changes(
    base: Index,
    vectors: LiveVectors,
    delta: Delta,
    before: LiveState,
    changes: Sequence[LiveItem | Tombstone],
) -> LiveState:
    """Return what is shown after some changes; the last one of an id counts."""
    last = {change.id: change for change in changes}
    brought = [change for change in last.values() if isinstance(change, LiveItem)]
    rows = base.rows(list(last))
    slots, places = dict(before.positions), dict(before.insertion_points)
    base_slots, deleted = before.base_positions.copy(), before.tombstones.copy()
    fresh = _add_to_delta(vectors, delta, brought, rows)
    strangers = [item_id for item_id in fresh if item_id not in rows and item_id not in places]
    places.update(zip(strangers, find_insertion_points(base, strangers), strict=True))
    for item_id in last:
        slot = fresh.get(item_id)
        if item_id in rows:
            base_slots[rows[item_id]] = FROM_SNAPSHOT if slot is None else slot
            deleted[rows[item_id]] = slot is None
        if slot is None:
            slots.pop(item_id, None)
            places.pop(item_id, None)
        else:
            slots[item_id] = slot
    return LiveState(slots, places, base_slots, deleted)


def compact_delta(base: Index, delta: Delta, shown: LiveState) -> tuple[Delta, LiveState]:
    """Return the same in a delta of its own, without the slots that nobody sees any more."""
    smaller = Delta(base)
    ids = list(shown.positions)
    old = np.array([shown.positions[item_id] for item_id in ids], np.int64)
    fresh = smaller.add([delta.get_item(slot) for slot in old.tolist()], delta.vectors(old))
    renumbered = np.full(len(delta) + 1, FROM_SNAPSHOT, np.int32)  # the last is for BASE itself
    renumbered[old] = fresh
    slots = dict(zip(ids, fresh, strict=True))
    return smaller, LiveState(
        slots, shown.insertion_points, renumbered[shown.base_positions], shown.tombstones
    )


def find_insertion_points(base: Index, ids: Sequence[str]) -> list[int]:
    """Return how many of the snapshot's ids come before each id: all are bisected together."""
    low = np.zeros(len(ids), np.int64)
    high = np.full(len(ids), base.count, np.int64)
    while np.any(open_ := low < high):
        middle = (low + high) // 2
        wanted = np.unique(middle[open_]).tolist()
        known = dict(zip(wanted, base.ids(wanted), strict=True))
        for place in np.flatnonzero(open_).tolist():
            if known[int(middle[place])] < ids[place]:
                low[place] = middle[place] + 1
            else:
                high[place] = middle[place]
    return [int(place) for place in low]


def _add_to_delta(
    vectors: LiveVectors, delta: Delta, brought: Sequence[LiveItem], rows: Mapping[str, int]
) -> dict[str, int]:
    """The slot of each item that is brought."""
    if not brought:
        return {}
    items = [change.fields for change in brought]
    raw = np.stack([change.raw for change in brought]).astype(np.float32)
    laid_out = vectors.lay_out(raw, items, [rows.get(change.id) for change in brought])
    return dict(zip((change.id for change in brought), delta.add(items, laid_out), strict=True))
