"""Live items to an append-only store by position: their fields, vectors, words and filter values.

Nothing is ever removed or changed, so every `LiveState` over it stays valid. Positions that no
state shows any more remain, until `compact_delta` writes a new delta without them.
"""

import threading
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

import numpy as np

from indexer.arrays import Mask, Rows, Vectors
from indexer.index import Index
from indexer.live.delta_full_text import DeltaFullText, fold_item_text
from indexer.live.delta_masks import DeltaMasks
from indexer.metadata import (
    FieldType,
    Filter,
    Leaf,
    PathValues,
    collect_leaves,
    collect_path_values,
    compute_title_key,
    list_exact_keys,
)


class Delta:
    """The live items beside one snapshot; append-only and thread-safe."""

    def __init__(self, base: Index) -> None:
        self._schema = base.schema
        self._lock = threading.Lock()
        self._items: list[dict[str, Any]] = []
        self._unknown_values: list[list[Leaf]] = []
        self._vectors = np.empty((0, base.manifest.layout.dim), np.float32)
        self._full_text = DeltaFullText(base.count, base.document_frequency)
        self._titles: dict[str, list[int]] = {}
        self._masks = DeltaMasks()
        self._paths: set[str] = set()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Sequence[dict[str, Any]], vectors: Vectors) -> list[int]:
        """Append items with their `(m, d) float32` vectors; return their positions.

        All are appended, or none: what can fail is done before.
        """
        prepared_items = [
            (
                fields,
                fold_item_text(fields),
                collect_path_values(fields),
                self._find_unknown_leaves(fields),
                compute_title_key(fields),
            )
            for fields in items
        ]
        with self._lock:
            first = len(self._items)
            self._vectors = _append_rows(self._vectors, first, vectors)
            for position, (fields, text, values, unknown_leaves, title) in enumerate(
                prepared_items, first
            ):
                self._full_text.add(position, text)
                self._masks.add(values)
                self._paths.update(values)
                self._unknown_values.append(unknown_leaves)
                self._titles.setdefault(title, []).append(position)
                self._items.append(fields)
            return list(range(first, len(self._items)))

    def get_item(self, position: int) -> dict[str, Any]:
        """Return an item's fields."""
        return dict(self._items[position])

    def get_id(self, position: int) -> str:
        """Return an item's id."""
        item_id: str = self._items[position]["id"]
        return item_id

    def vectors(self, positions: Rows) -> Vectors:
        """Return the vectors at some positions, `(m, d) float32`."""
        selected: Vectors = self._vectors[positions]
        return selected

    def mask(
        self, condition: Filter, positions: Rows, *, base_elements: Collection[str] = ()
    ) -> Mask:
        """Return which of some positions pass a filter, `(m,) bool`.

        Raises:
            FilterError: If it asks for an element of what is a list within a list, and not among
                the lists of the snapshot, `base_elements`.
        """
        with self._lock:
            self._masks.check_elements(condition, base_elements)
            selected: Mask = self._masks.mask(condition)[positions]
        return selected

    def list_values(self, positions: Rows) -> list[Mapping[str, PathValues]]:
        """Return the values at some positions, each by field path."""
        return [self._masks.values_by_path[position] for position in positions.tolist()]

    def count_paths(self, more: Set[str]) -> int:
        """Return how many field paths there are, of items no longer shown too, with some more."""
        with self._lock:
            return len(self._paths) + len(more - self._paths)

    def find_by_title(self, text: str) -> list[int]:
        """Return the positions whose title equals the text; see `list_exact_keys`."""
        with self._lock:
            return [
                position for key in list_exact_keys(text) for position in self._titles.get(key, ())
            ]

    def search_text(self, query: str, *, is_finished: bool = False) -> dict[int, float]:
        """Return the share of a query, 0 to 1, of each position that holds words of it."""
        with self._lock:
            return self._full_text.search(query, is_finished=is_finished)

    def list_unknown_values(self, positions: Rows) -> list[Leaf]:
        """Return the values at some positions in fields that the snapshot's schema lacks."""
        return [leaf for position in positions.tolist() for leaf in self._unknown_values[position]]

    def _find_unknown_leaves(self, fields: Mapping[str, Any]) -> list[Leaf]:
        known = self._schema.fields
        return [
            leaf
            for leaf in collect_leaves(fields)
            if leaf[0] not in known or known[leaf[0]].type is FieldType.EMPTY
        ]


def _append_rows(vectors: Vectors, used_rows: int, new_rows: Vectors) -> Vectors:
    """The array with more rows.

    A full array is replaced by one of twice the size, so rows that others already read stay valid.
    """
    needed = used_rows + len(new_rows)
    if needed > len(vectors):
        larger = np.zeros((max(needed, 2 * len(vectors), 16), vectors.shape[1]), np.float32)
        larger[:used_rows] = vectors[:used_rows]
        vectors = larger
    vectors[used_rows:needed] = new_rows
    return vectors
