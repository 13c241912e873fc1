"""Item changes to the next `LiveState`: which item each row shows, what is new, what is deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask, Vectors
from indexer.index import Index
from indexer.live.delta import Delta
from indexer.live.vectors import LiveVectors

FROM_SNAPSHOT = -1  # instead of a delta position: the row shows the snapshot's own item


@dataclass(frozen=True, slots=True)
class LiveItem:
    """A change that adds an item or replaces the one of the same id.

    Attributes:
        raw: `(r,) float32`, its vector as the snapshot's encoder gives it.
    """

    id: str
    fields: dict[str, Any]
    raw: Vectors


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A change that deletes an item."""

    id: str


@dataclass(frozen=True, slots=True)
class LiveState:
    """What one live catalogue shows.

    Attributes:
        delta: Holds the live items; later states share it, and only append to it.
        positions: Id of each live item to its position in the delta.
        insertion_points: Id of each live item that the snapshot lacks to the number of snapshot
            ids before it.
        base_positions: `(n,) int32`, for each row of the snapshot the delta position of the item
            shown in it, or `FROM_SNAPSHOT`.
        tombstones: `(n,) bool`, rows of the snapshot whose item is deleted.
    """

    delta: Delta
    positions: Mapping[str, int]
    insertion_points: Mapping[str, int]
    base_positions: NDArray[np.int32]
    tombstones: Mask


def build_unchanged_state(base: Index) -> LiveState:
    """Return the state that shows a snapshot as it is."""
    n = base.count
    base_positions = np.full(n, FROM_SNAPSHOT, np.int32)
    return LiveState(Delta(base), {}, {}, base_positions, np.zeros(n, np.bool_))


def apply_changes(
    base: Index,
    live_vectors: LiveVectors,
    state: LiveState,
    changes: Sequence[LiveItem | Tombstone],
) -> LiveState:
    """Return the state after some changes; the last change of an id counts."""
    last = {change.id: change for change in changes}
    upserts = [change for change in last.values() if isinstance(change, LiveItem)]
    rows = base.rows(list(last))
    positions, insertion_points = dict(state.positions), dict(state.insertion_points)
    base_positions, tombstones = state.base_positions.copy(), state.tombstones.copy()
    new_positions = _add_to_delta(live_vectors, state.delta, upserts, rows)
    new_ids = [
        item_id
        for item_id in new_positions
        if item_id not in rows and item_id not in insertion_points
    ]
    insertion_points.update(zip(new_ids, find_insertion_points(base, new_ids), strict=True))
    for item_id in last:
        position = new_positions.get(item_id)
        if item_id in rows:
            base_positions[rows[item_id]] = FROM_SNAPSHOT if position is None else position
            tombstones[rows[item_id]] = position is None
        if position is None:
            positions.pop(item_id, None)
            insertion_points.pop(item_id, None)
        else:
            positions[item_id] = position
    return LiveState(state.delta, positions, insertion_points, base_positions, tombstones)


def compact_delta(base: Index, state: LiveState) -> LiveState:
    """Return the same state over a new delta, without the items that it no longer shows."""
    compacted = Delta(base)
    ids = list(state.positions)
    old = np.array([state.positions[item_id] for item_id in ids], np.int64)
    new_positions = compacted.add(
        [state.delta.get_item(position) for position in old.tolist()], state.delta.vectors(old)
    )
    # One entry more than there are positions: FROM_SNAPSHOT, which is -1, maps to itself.
    new_position_of = np.full(len(state.delta) + 1, FROM_SNAPSHOT, np.int32)
    new_position_of[old] = new_positions
    return LiveState(
        compacted,
        dict(zip(ids, new_positions, strict=True)),
        state.insertion_points,
        new_position_of[state.base_positions],
        state.tombstones,
    )


def find_insertion_points(base: Index, ids: Sequence[str]) -> list[int]:
    """Return for each id how many of the snapshot's ids come before it.

    All ids are bisected together, so that each step reads the catalogue once.
    """
    low = np.zeros(len(ids), np.int64)
    high = np.full(len(ids), base.count, np.int64)
    while np.any(open_ := low < high):
        middle = (low + high) // 2
        rows = np.unique(middle[open_]).tolist()
        id_by_row = dict(zip(rows, base.ids(rows), strict=True))
        for index in np.flatnonzero(open_).tolist():
            if id_by_row[int(middle[index])] < ids[index]:
                low[index] = middle[index] + 1
            else:
                high[index] = middle[index]
    return [int(point) for point in low]


def _add_to_delta(
    live_vectors: LiveVectors, delta: Delta, upserts: Sequence[LiveItem], rows: Mapping[str, int]
) -> dict[str, int]:
    """Append items to the delta; return the position of each by id."""
    if not upserts:
        return {}
    items = [change.fields for change in upserts]
    raw = np.stack([change.raw for change in upserts]).astype(np.float32)
    item_vectors = live_vectors.build(raw, items, [rows.get(change.id) for change in upserts])
    return dict(zip((change.id for change in upserts), delta.add(items, item_vectors), strict=True))
