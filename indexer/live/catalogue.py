"""A snapshot and live changes to one catalogue: an exact delta beside the base, and tombstones.

Rows 0..n-1 are those of the snapshot, so that all it has learned stays in place; a live item of a
known id is shown in the row of the one it replaces, others in rows n..n+m-1 in order of id. Ties
are broken by id over both. An overlay never changes: a change gives the next one.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from indexer.ann import Found, best
from indexer.arrays import Mask, Rows, Vectors
from indexer.index import Index
from indexer.live.changes import BASE, DeletedItem, LiveItem, Shown, changed, compacted
from indexer.live.delta import Delta
from indexer.live.schema import grown
from indexer.live.vectors import LiveVectors
from indexer.metadata import CellKind, Cells, Filter, Schema, cells_of_items
from indexer.snapshot import Manifest
from indexer.taste import TasteModel

__all__ = ["DeletedItem", "LiveItem", "Overlay"]

_MOST_LEFT_BEHIND = 64  # slots that nobody sees any more, before a delta is written anew


class Overlay:
    """A catalogue as requests see it, over a snapshot; immutable and thread-safe."""

    def __init__(self, base: Index) -> None:
        """Show the snapshot as it is."""
        n = base.count
        state = Shown({}, {}, np.full(n, BASE, np.int32), np.zeros(n, np.bool_))
        self._show(base, Delta(base), LiveVectors(base), state)

    def _show(self, base: Index, delta: Delta, vectors: LiveVectors, state: Shown) -> None:
        self.base, self._delta, self._live_vectors, self._state = base, delta, vectors, state
        self.manifest: Manifest = base.manifest
        self.scenarios = base.scenarios
        self._new_ids = sorted(state.places)
        new_slots = np.array([state.slots[item_id] for item_id in self._new_ids], np.int32)
        self._slot_of_row = np.concatenate([state.base_slots, new_slots])
        self._live_rows: Rows = np.flatnonzero(self._slot_of_row != BASE)
        self._live_slots = self._slot_of_row[self._live_rows]
        self._new_places = np.array([state.places[i] for i in self._new_ids], np.int64)
        self._any_deleted = bool(state.deleted.any())

    def changed(self, changes: Sequence[LiveItem | DeletedItem]) -> "Overlay":
        """Return the catalogue after some changes; the last one of an id counts."""
        delta, state = self._delta, self._state
        if len(delta) > _MOST_LEFT_BEHIND + 2 * (len(state.slots) + len(changes)):
            delta, state = compacted(self.base, delta, state)
        made = Overlay.__new__(Overlay)
        after = changed(self.base, self._live_vectors, delta, state, changes)
        made._show(self.base, delta, self._live_vectors, after)
        return made

    # What `Index` also offers beside the catalogue.

    def __len__(self) -> int:
        """Number of items, without those that are gone."""
        return self.count - int(np.count_nonzero(self._state.deleted))

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.base.id

    @property
    def live_ids(self) -> Mapping[str, int]:
        """The ids that live changes have brought."""
        return self._state.slots

    def get(self, item_id: str) -> dict[str, Any] | None:
        """Return an item, or None if there is none of that id."""
        rows = self.rows([item_id])
        return self.items(list(rows.values()))[0] if rows else None

    # The catalogue.

    @property
    def taste(self) -> TasteModel | None:
        """What was learned from interactions, if anything."""
        return self.base.taste

    @property
    def count(self) -> int:
        """Number of rows, those of deleted items among them."""
        return len(self._slot_of_row)

    @cached_property
    def schema(self) -> Schema:
        """The snapshot's fields and those that only live items have."""
        return grown(self.base.schema, self._delta.unknown(self._live_slots))

    @cached_property
    def deleted(self) -> Mask | None:
        """Which rows are gone, `(count,) bool`; None: none is."""
        if not self._any_deleted:
            return None
        return np.concatenate([self._state.deleted, np.zeros(len(self._new_ids), np.bool_)])

    def rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each known id."""
        found = self.base.rows(ids)
        if self._any_deleted:
            found = {i: row for i, row in found.items() if not self._state.deleted[row]}
        for item_id in ids if self._state.places else ():
            if item_id in self._state.places:
                found[item_id] = self.base.count + bisect_left(self._new_ids, item_id)
        return found

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows."""
        n = self.base.count
        old = iter(self.base.ids([row for row in rows if row < n]))
        return [next(old) if row < n else self._new_ids[row - n] for row in rows]

    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the items of rows."""
        slots = self._slot_of_row[list(rows)].tolist()
        stored = [row for row, slot in zip(rows, slots, strict=True) if slot == BASE]
        old = iter(self.base.items(stored))
        return [next(old) if slot == BASE else self._delta.item(slot) for slot in slots]

    def mask(self, condition: Filter) -> Mask:
        """Return which rows pass a filter, `(count,) bool`, read-only."""
        known = self.base.mask(condition)
        if not len(self._live_rows):
            return known
        mask = np.concatenate([known, np.zeros(len(self._new_ids), np.bool_)])
        mask[self._live_rows] = self._delta.mask(condition, self._live_slots)
        return mask

    def cells(self, field: str, kind: CellKind) -> Cells:
        """Return what rows hold in a field."""
        stored = self.base.cells(field, kind)
        if not len(self._live_rows) or field not in self.schema.fields:
            return stored
        live = zip(self._live_rows.tolist(), self._delta.held(self._live_slots), strict=True)
        own = cells_of_items(list(live), self.schema.fields[field], kind)
        return Cells.joined([stored.where(self._slot_of_row[stored.rows] == BASE), own], kind)

    def in_id_order(self, rows: Rows) -> Rows:
        """Return distinct ascending rows in order of id."""
        if not self._new_ids:
            return rows
        return rows[np.argsort(self._places(rows), kind="stable")]

    def exact(self, text: str) -> list[int]:
        """Return rows whose id or title is this text."""
        titled = self.base.exact(text)
        old = [row for row in titled if self._slot_of_row[row] == BASE and not self._gone(row)]
        new = [self._row_of(slot) for slot in self._delta.titled(text)]
        shown = [*self.rows([text]).values(), *old, *(row for row in new if row is not None)]
        return list(dict.fromkeys(shown))

    def full_text(self, text: str, limit: int) -> list[tuple[int, float]]:
        """Return rows that hold words of a text, with BM25 scores; higher is better."""
        stored = self.base.full_text(text, limit)
        if not len(self._live_rows) and not self._any_deleted:
            return stored
        found = [
            (row, score)
            for row, score in stored
            if self._slot_of_row[row] == BASE and not self._gone(row)
        ]
        for slot, score in self._delta.full_text(text).items():
            row = self._row_of(slot)
            if row is not None:
                found.append((row, score))
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def query_vectors(self, texts: Sequence[str]) -> Vectors:
        """Return texts as `(m, d) float32` in the item space, meaning block only."""
        return self.base.query_vectors(texts)

    def alike(self, vectors: Vectors) -> Vectors:
        """Turn `(m, d)` vectors of things into request vectors for things of their kind."""
        return self.base.alike(vectors)

    def item_vectors(self, rows: Rows) -> Vectors:
        """Return the stored vectors of rows, `(m, d) float32`, all blocks."""
        slots = self._slot_of_row[rows]
        live = slots != BASE
        if not live.any():
            return self.base.item_vectors(rows)
        out = np.empty((len(rows), self.manifest.layout.dim), np.float32)
        out[~live] = self.base.item_vectors(np.asarray(rows)[~live])
        out[live] = self._delta.vectors(slots[live])
        return out

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Return exact inner products `(q, m) float32`."""
        slots = self._slot_of_row[rows]
        live = slots != BASE
        if not live.any():
            return self.base.scores(vectors, rows)
        out = np.empty((len(vectors), len(rows)), np.float32)
        out[:, ~live] = self.base.scores(vectors, np.asarray(rows)[~live])
        out[:, live] = vectors @ self._delta.vectors(slots[live]).T
        return out

    def nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[Found]:
        """Find the allowed rows with the highest inner product for each vector."""
        if not len(self._live_rows):
            return self.base.nearest(vectors, k, allowed)
        mine = allowed[self._live_rows]
        rows = self._live_rows[mine]
        products = vectors @ self._delta.vectors(self._live_slots[mine]).T
        stored = allowed[: self.base.count].copy()
        stored[self._live_rows[self._live_rows < self.base.count]] = False
        found = self.base.nearest(vectors, k, stored)
        return [
            self._merged(old, rows, scores, k) for old, scores in zip(found, products, strict=True)
        ]

    def _merged(self, old: Found, rows: Rows, scores: Vectors, k: int) -> Found:
        together = np.concatenate([old.rows, rows])
        kept = best(self._places(together), np.concatenate([old.scores, scores]), k)
        by_place = dict(zip(self._places(together).tolist(), together.tolist(), strict=True))
        return Found(np.array([by_place[p] for p in kept.rows.tolist()], np.int64), kept.scores)

    def _places(self, rows: Rows) -> Rows:
        """Where rows stand when all of both are in order of id."""
        n = self.base.count
        places = np.asarray(rows, np.int64).copy()
        old = places < n
        places[old] += np.searchsorted(self._new_places, places[old], side="right")
        new = places[~old] - n if len(self._new_places) else places[:0]
        places[~old] = self._new_places[new] + new
        return places

    def _row_of(self, slot: int) -> int | None:
        """The row that shows a slot; None if its item has changed since, or is gone."""
        item_id = self._delta.id_of(slot)
        if self._state.slots.get(item_id) != slot:
            return None
        return self.rows([item_id])[item_id]

    def _gone(self, row: int) -> bool:
        return bool(self._state.deleted[row])
