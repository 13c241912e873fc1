"""A snapshot and live changes to one catalogue: a delta, searched exactly, beside the base.

Rows 0..n-1 are those of the snapshot, so that everything it learned stays aligned; a live item
whose id the snapshot knows is shown in that row, the m others in rows n..n+m-1 in order of id.
Ties are broken by id over both parts. A live catalogue never changes: applying changes returns
another one.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from indexer.ann import AllowedRows, NearRows, TopRows, select_top
from indexer.arrays import Mask, Rows, Vectors
from indexer.index import Index
from indexer.live.changes import (
    FROM_SNAPSHOT,
    LiveItem,
    LiveState,
    Tombstone,
    apply_changes,
    build_unchanged_state,
    compact_delta,
)
from indexer.live.schema import extend_schema
from indexer.live.vectors import LiveVectors
from indexer.metadata import (
    Filter,
    RowValueKind,
    RowValues,
    Schema,
    StoredItem,
    collect_path_values,
    collect_row_values,
)
from indexer.query import Availability, compute_availability
from indexer.snapshot import Manifest
from indexer.taste import TasteModel

MAX_LIVE_FIELDS = 20_000  # different ones, by path, of all live items; some kilobyte each
_MAX_STALE_POSITIONS = 64  # of items no longer shown, before the delta is compacted


class LiveCatalogue:
    """A catalogue as requests see it, over a snapshot; immutable and thread-safe.

    Args:
        base: The snapshot.
        state: What is shown; default: the snapshot as it is.
        live_vectors: Of the same snapshot, to be shared; what it derives is derived once.
    """

    def __init__(
        self,
        base: Index,
        state: LiveState | None = None,
        live_vectors: LiveVectors | None = None,
    ) -> None:
        self.base = base
        self.manifest: Manifest = base.manifest
        self.scenarios = base.scenarios
        self._live_vectors = live_vectors or LiveVectors(base)
        state = state or build_unchanged_state(base)
        self._state = state
        self._delta = state.delta
        self._new_ids = sorted(state.insertion_points)
        new_positions = np.array([state.positions[item_id] for item_id in self._new_ids], np.int32)
        self._position_of_row = np.concatenate([state.base_positions, new_positions])
        self._live_rows: Rows = np.flatnonzero(self._position_of_row != FROM_SNAPSHOT)
        self._live_positions = self._position_of_row[self._live_rows]
        self._changed_rows = self._live_rows[self._live_rows < base.count]
        self._insertion_points = np.array(
            [state.insertion_points[i] for i in self._new_ids], np.int64
        )
        self._has_deleted = bool(state.tombstones.any())

    def apply_changes(self, changes: Sequence[LiveItem | Tombstone]) -> "LiveCatalogue":
        """Return the catalogue after some changes; the last change of an id counts."""
        state = self._state
        if len(state.delta) > _MAX_STALE_POSITIONS + 2 * (len(state.positions) + len(changes)):
            state = compact_delta(self.base, state)
        state = apply_changes(self.base, self._live_vectors, state, changes)
        return LiveCatalogue(self.base, state, self._live_vectors)

    def __len__(self) -> int:
        """Number of items, without deleted ones."""
        return self.count - int(np.count_nonzero(self._state.tombstones))

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.base.id

    def get(self, item_id: str) -> dict[str, Any] | None:
        """Return an item, or None if there is none of that id."""
        rows = self.rows([item_id])
        return self.items(list(rows.values()))[0] if rows else None

    def count_fields_with(self, items: Sequence[Mapping[str, Any]]) -> int:
        """Return how many different fields, by path, live items would have with these among them.

        Args:
            items: Fields of items; one of a known id is put in place of that.

        Returns:
            At most `MAX_LIVE_FIELDS` if items that are no longer shown are the only ones in excess.
        """
        paths = set().union(*map(collect_path_values, items))
        count = self._delta.count_paths(paths)
        if count <= MAX_LIVE_FIELDS:
            return count
        replaced = {item["id"] for item in items}
        kept = [place for name, place in self._state.positions.items() if name not in replaced]
        return len(paths.union(*self._delta.list_values(np.array(kept, np.int64))))

    # The catalogue that requests are answered from (`indexer.query.Catalogue`).

    @property
    def taste(self) -> TasteModel | None:
        """The snapshot's taste model; None if it learned nothing from interactions."""
        return self.base.taste

    @property
    def count(self) -> int:
        """Number of rows, those of deleted items among them."""
        return len(self._position_of_row)

    @cached_property
    def schema(self) -> Schema:
        """The snapshot's fields and those that only live items have."""
        return extend_schema(
            self.base.schema, self._delta.list_unknown_values(self._live_positions)
        )

    @cached_property
    def deleted(self) -> Mask | None:
        """`(count,) bool`, rows whose item is deleted; None if there are none."""
        if not self._has_deleted:
            return None
        return np.concatenate([self._state.tombstones, np.zeros(len(self._new_ids), np.bool_)])

    @cached_property
    def availability(self) -> Availability:
        """The rows whose items can be had."""
        return compute_availability(self)

    def rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each known id."""
        found = self.base.rows(ids)
        if self._has_deleted:
            found = {i: row for i, row in found.items() if not self._state.tombstones[row]}
        for item_id in ids if self._state.insertion_points else ():
            if item_id in self._state.insertion_points:
                found[item_id] = self.base.count + bisect_left(self._new_ids, item_id)
        return found

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows."""
        n = self.base.count
        old = iter(self.base.ids([row for row in rows if row < n]))
        return [next(old) if row < n else self._new_ids[row - n] for row in rows]

    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the items of rows."""
        positions = self._position_of_row[list(rows)].tolist()
        stored = [
            row for row, position in zip(rows, positions, strict=True) if position == FROM_SNAPSHOT
        ]
        old = iter(self.base.items(stored))
        return [
            next(old) if position == FROM_SNAPSHOT else self._delta.get_item(position)
            for position in positions
        ]

    def stored_items(self, rows: Sequence[int]) -> list[StoredItem]:
        """Return the items of rows: those of the snapshot as JSON, live ones as they are."""
        if not len(self._live_rows):
            return self.base.stored_items(rows)
        return [
            self.base.stored_items([row])[0]
            if position == FROM_SNAPSHOT
            else self._delta.get_item(position)
            for row, position in zip(rows, self._position_of_row[list(rows)].tolist(), strict=True)
        ]

    def mask(self, condition: Filter) -> Mask:
        """Return which rows pass a filter, `(count,) bool`, read-only."""
        base_mask = self.base.mask(condition)
        if not len(self._live_rows):
            return base_mask
        mask = np.concatenate([base_mask, np.zeros(len(self._new_ids), np.bool_)])
        mask[self._live_rows] = self._delta.mask(
            condition, self._live_positions, base_elements=self.base.element_paths
        )
        return mask

    def row_values(self, field: str, kind: RowValueKind) -> RowValues:
        """Return the values of a field by row."""
        stored = self.base.row_values(field, kind)
        if not len(self._live_rows) or field not in self.schema.fields:
            return stored
        live = zip(
            self._live_rows.tolist(), self._delta.list_values(self._live_positions), strict=True
        )
        live_values = collect_row_values(list(live), self.schema.fields[field], kind)
        unchanged = self._position_of_row[stored.rows] == FROM_SNAPSHOT
        return RowValues.concatenate([stored.select(unchanged), live_values], kind)

    def sort_by_id(self, rows: Rows) -> Rows:
        """Return distinct ascending rows in order of id."""
        if not self._new_ids:
            return rows
        return rows[np.argsort(self._rank_by_id(rows), kind="stable")]

    def find_exact(self, text: str) -> list[int]:
        """Return rows whose id or title is this text."""
        old = [row for row in self.base.find_exact(text) if self._is_unchanged(row)]
        new = [self._find_row(position) for position in self._delta.find_by_title(text)]
        matches = [*self.rows([text]).values(), *old, *(row for row in new if row is not None)]
        return list(dict.fromkeys(matches))

    def search_full_text(
        self, text: str, limit: int, *, is_finished: bool = False
    ) -> list[tuple[int, float]]:
        """Return rows that hold words of a text, with the share of it that they hold, 0 to 1."""
        stored = self.base.search_full_text(text, limit, is_finished=is_finished)
        if not len(self._live_rows) and not self._has_deleted:
            return stored
        matches = [(row, score) for row, score in stored if self._is_unchanged(row)]
        for position, score in self._delta.search_text(text, is_finished=is_finished).items():
            row = self._find_row(position)
            if row is not None:
                matches.append((row, score))
        return sorted(matches, key=lambda match: (-match[1], match[0]))[:limit]

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return texts as `(m, d) float32` in the item space, meaning block only."""
        return self.base.encode_queries(texts)

    def to_similarity_queries(self, vectors: Vectors) -> Vectors:
        """Turn item vectors `(m, d) float32` into query vectors for similar items."""
        return self.base.to_similarity_queries(vectors)

    def item_vectors(self, rows: Rows) -> Vectors:
        """Return the stored vectors of rows, `(m, d) float32`, all blocks."""
        positions = self._position_of_row[rows]
        live = positions != FROM_SNAPSHOT
        if not live.any():
            return self.base.item_vectors(rows)
        out = np.empty((len(rows), self.manifest.layout.dim), np.float32)
        out[~live] = self.base.item_vectors(np.asarray(rows)[~live])
        out[live] = self._delta.vectors(positions[live])
        return out

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Return exact inner products `(q, m) float32`."""
        positions = self._position_of_row[rows]
        live = positions != FROM_SNAPSHOT
        if not live.any():
            return self.base.scores(vectors, rows)
        out = np.empty((len(vectors), len(rows)), np.float32)
        out[:, ~live] = self.base.scores(vectors, np.asarray(rows)[~live])
        out[:, live] = vectors @ self._delta.vectors(positions[live]).T
        return out

    def find_near(
        self, vectors: Vectors, depth: int, allowed: AllowedRows, *, each: int = 0
    ) -> NearRows:
        """Find the allowed rows with the highest inner product with any of the vectors."""
        if not len(self._live_rows):
            return self.base.find_near(vectors, depth, allowed, each=each)
        stored = allowed.take_first(self.base.count).drop(self._changed_rows)
        near = self.base.find_near(vectors, depth, stored, each=each)
        is_live_allowed = allowed.contain(self._live_rows)
        rows = self._live_rows[is_live_allowed]
        products = vectors @ self._delta.vectors(self._live_positions[is_live_allowed]).T
        return near.add(rows, products)

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        """Find the allowed rows with the highest inner product for each vector."""
        if not len(self._live_rows):
            return self.base.find_nearest(vectors, k, allowed)
        allowed_live = allowed[self._live_rows]
        rows = self._live_rows[allowed_live]
        products = vectors @ self._delta.vectors(self._live_positions[allowed_live]).T
        stored = allowed[: self.base.count].copy()
        stored[self._changed_rows] = False
        found = self.base.find_nearest(vectors, k, stored)
        return [
            self._merge_nearest(old, rows, scores, k)
            for old, scores in zip(found, products, strict=True)
        ]

    def _merge_nearest(self, old: TopRows, rows: Rows, scores: Vectors, k: int) -> TopRows:
        """The `k` best of the snapshot's nearest rows and of live rows, ties by id."""
        together = np.concatenate([old.rows, rows])
        ranks = self._rank_by_id(together)
        kept = select_top(ranks, np.concatenate([old.scores, scores]), k)
        row_by_rank = dict(zip(ranks.tolist(), together.tolist(), strict=True))
        kept_rows = [row_by_rank[rank] for rank in kept.rows.tolist()]
        return TopRows(np.array(kept_rows, np.int64), kept.scores)

    def _rank_by_id(self, rows: Rows) -> Rows:
        """The index of each row in the list of all rows, live ones too, in order of id."""
        n = self.base.count
        ranks = np.asarray(rows, np.int64).copy()
        old = ranks < n
        ranks[old] += np.searchsorted(self._insertion_points, ranks[old], side="right")
        new = ranks[~old] - n if len(self._insertion_points) else ranks[:0]
        ranks[~old] = self._insertion_points[new] + new
        return ranks

    def _find_row(self, position: int) -> int | None:
        """The row that shows a delta position; None if its item was changed since, or deleted."""
        item_id = self._delta.get_id(position)
        if self._state.positions.get(item_id) != position:
            return None
        return self.rows([item_id])[item_id]

    def _is_unchanged(self, row: int) -> bool:
        """Whether a row of the snapshot still shows the snapshot's own item."""
        is_own = self._position_of_row[row] == FROM_SNAPSHOT
        return bool(is_own and not self._state.tombstones[row])
