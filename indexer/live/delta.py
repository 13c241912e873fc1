"""Live items by slot: fields, vectors, words. It only grows, so every overlay over it stays right.

Slots that no overlay shows any more are left behind; whoever holds the delta starts another one
when they are the most.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from indexer.arrays import Mask, Rows, Vectors
from indexer.index import Index
from indexer.live.delta_full_text import DeltaWords
from indexer.live.delta_masks import DeltaMasks
from indexer.metadata import (
    FieldType,
    Filter,
    Held,
    Leaf,
    exact_key,
    held_by_path,
    leaves,
    title_key,
)


class Delta:
    """Everything about the live items beside one snapshot; thread-safe."""

    def __init__(self, base: Index) -> None:
        self._schema = base.schema
        self._lock = threading.Lock()
        self._items: list[dict[str, Any]] = []
        self._unknown: list[list[Leaf]] = []
        self._vectors = np.empty((0, base.manifest.layout.dim), np.float32)
        self._words = DeltaWords(base.count, base.frequency)
        self._titles: dict[str, list[int]] = {}
        self._masks = DeltaMasks()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Sequence[dict[str, Any]], vectors: Vectors) -> list[int]:
        """Keep items with their `(m, d) float32` vectors; return their slots."""
        with self._lock:
            first = len(self._items)
            self._vectors = _grown(self._vectors, first, vectors)
            for slot, fields in enumerate(items, first):
                self._words.add(slot, fields)
                self._masks.add(held_by_path(fields))
                self._unknown.append(self._unknown_leaves(fields))
                self._titles.setdefault(title_key(fields), []).append(slot)
                self._items.append(fields)
            return list(range(first, len(self._items)))

    def item(self, slot: int) -> dict[str, Any]:
        """Return an item's fields."""
        return dict(self._items[slot])

    def id_of(self, slot: int) -> str:
        """Return an item's id."""
        item_id: str = self._items[slot]["id"]
        return item_id

    def vectors(self, slots: Rows) -> Vectors:
        """Return `(m, d) float32`."""
        picked: Vectors = self._vectors[slots]
        return picked

    def mask(self, condition: Filter, slots: Rows) -> Mask:
        """Return which of some slots pass a filter, `(m,) bool`."""
        with self._lock:
            picked: Mask = self._masks.mask(condition)[slots]
        return picked

    def held(self, slots: Rows) -> list[Mapping[str, Held]]:
        """Return what some slots hold, by path."""
        return [self._masks.held[slot] for slot in slots.tolist()]

    def titled(self, text: str) -> list[int]:
        """Return the slots whose title reads as the text does."""
        key = exact_key(text)
        with self._lock:
            return list(self._titles.get(key, ())) if key else []

    def full_text(self, query: str) -> dict[int, float]:
        """Return the score of each slot that holds words of a query."""
        with self._lock:
            return self._words.search(query)

    def unknown(self, slots: Rows) -> list[Leaf]:
        """Return the values of some slots in fields that the snapshot's schema does not know."""
        return [leaf for slot in slots.tolist() for leaf in self._unknown[slot]]

    def _unknown_leaves(self, fields: Mapping[str, Any]) -> list[Leaf]:
        known = self._schema.fields
        return [
            leaf
            for leaf in leaves(fields)
            if leaf[0] not in known or known[leaf[0]].type is FieldType.EMPTY
        ]


def _grown(vectors: Vectors, used: int, more: Vectors) -> Vectors:
    """The array with more rows; it doubles, and what others hold of the old one stays as it is."""
    needed = used + len(more)
    if needed > len(vectors):
        larger = np.zeros((max(needed, 2 * len(vectors), 16), vectors.shape[1]), np.float32)
        larger[:used] = vectors[:used]
        vectors = larger
    vectors[used:needed] = more
    return vectors
