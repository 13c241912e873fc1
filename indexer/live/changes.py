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
    state: LiveState,
    changes: Sequence[LiveItem | Tombstone],
) -> LiveState:
    """Return what is shown after some changes; the last one of an id counts."""
    last = {change.id: change for change in changes}
    upserts = [change for change in last.values() if isinstance(change, LiveItem)]
    rows = base.rows(list(last))
    positions, insertion_points = dict(state.positions), dict(state.insertion_points)
    base_positions, tombstones = state.base_positions.copy(), state.tombstones.copy()
    new_positions = _add_to_delta(vectors, delta, upserts, rows)
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
    return LiveState(positions, insertion_points, base_positions, tombstones)


def compact_delta(base: Index, delta: Delta, state: LiveState) -> tuple[Delta, LiveState]:
    """Return the same in a delta of its own, without the slots that nobody sees any more."""
    compacted = Delta(base)
    ids = list(state.positions)
    old = np.array([state.positions[item_id] for item_id in ids], np.int64)
    new_positions = compacted.add(
        [delta.get_item(position) for position in old.tolist()], delta.vectors(old)
    )
    new_position_of = np.full(
        len(delta) + 1, FROM_SNAPSHOT, np.int32
    )  # the last is for BASE itself
    new_position_of[old] = new_positions
    positions = dict(zip(ids, new_positions, strict=True))
    return compacted, LiveState(
        positions, state.insertion_points, new_position_of[state.base_positions], state.tombstones
    )


def find_insertion_points(base: Index, ids: Sequence[str]) -> list[int]:
    """Return how many of the snapshot's ids come before each id: all are bisected together."""
    low = np.zeros(len(ids), np.int64)
    high = np.full(len(ids), base.count, np.int64)
    while np.any(open_ := low < high):
        middle = (low + high) // 2
        wanted = np.unique(middle[open_]).tolist()
        id_by_row = dict(zip(wanted, base.ids(wanted), strict=True))
        for index in np.flatnonzero(open_).tolist():
            if id_by_row[int(middle[index])] < ids[index]:
                low[index] = middle[index] + 1
            else:
                high[index] = middle[index]
    return [int(index) for index in low]


def _add_to_delta(
    vectors: LiveVectors, delta: Delta, upserts: Sequence[LiveItem], rows: Mapping[str, int]
) -> dict[str, int]:
    """The slot of each item that is brought."""
    if not upserts:
        return {}
    items = [change.fields for change in upserts]
    raw = np.stack([change.raw for change in upserts]).astype(np.float32)
    laid_out = vectors.lay_out(raw, items, [rows.get(change.id) for change in upserts])
    return dict(zip((change.id for change in upserts), delta.add(items, laid_out), strict=True))
