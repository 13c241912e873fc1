"""Live items and a filter to a mask of the items that pass, without testing every item each time.

Comparisons with words are answered by inverted lists. The results of other comparisons are kept,
and only items that were added since are tested.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import reduce

import numpy as np

from indexer.arrays import Mask
from indexer.metadata import (
    And,
    AnyOf,
    Elem,
    Filter,
    Not,
    Or,
    PathValues,
    matches_values,
    refuse_inner_list,
)

_MAX_CACHED_MASKS = 256


class DeltaMasks:
    """The field values of a delta's items; append-only, not thread-safe: the caller locks."""

    def __init__(self) -> None:
        self.values_by_path: list[Mapping[str, PathValues]] = []
        self._inverted_lists: dict[tuple[str, str | bool], list[int]] = {}
        self._cached_masks: dict[Filter, Mask] = {}
        self._element_paths: set[str] = set()  # of lists of objects

    def add(self, values_by_path: Mapping[str, PathValues]) -> None:
        """Add the values of the item at the next position, by field path."""
        position = len(self.values_by_path)
        self.values_by_path.append(values_by_path)
        for path, values in values_by_path.items():
            if values.elements:
                self._element_paths.add(path)
            for word in _iter_keywords(values):
                self._inverted_lists.setdefault((path, word), []).append(position)

    def check_elements(self, condition: Filter, base_elements: Collection[str]) -> None:
        """Refuse to ask for one element of what is a list within each element of another.

        Args:
            condition: A filter.
            base_elements: Lists of objects that other items have.

        Raises:
            FilterError: Telling how it is asked.
        """
        match condition:
            case And(parts) | Or(parts):
                for part in parts:
                    self.check_elements(part, base_elements)
            case Not(part):
                self.check_elements(part, base_elements)
            case Elem(field) if field not in base_elements:
                refuse_inner_list(field, self._element_paths)

    def mask(self, condition: Filter) -> Mask:
        """Return which positions pass, `(m,) bool`; the caller must not write to it."""
        match condition:
            case And(parts):
                return reduce(np.logical_and, map(self.mask, parts), self._build_full_mask())
            case Or(parts):
                return reduce(np.logical_or, map(self.mask, parts), ~self._build_full_mask())
            case Not(part):
                return ~self.mask(part)
            case AnyOf(field, values, as_dates) if not as_dates and not values.numbers:
                mask = ~self._build_full_mask()
                for word in values.collect_words():
                    mask[self._inverted_lists.get((field, word), [])] = True
                return mask
        return self._compare_new_items(condition)

    def _build_full_mask(self) -> Mask:
        return np.ones(len(self.values_by_path), np.bool_)

    def _compare_new_items(self, leaf: Filter) -> Mask:
        """The mask of one comparison; only items that were added since the last time are tested."""
        cached = self._cached_masks.pop(leaf, np.empty(0, np.bool_))
        new_values = self.values_by_path[len(cached) :]
        new_mask = np.array([matches_values(leaf, values) for values in new_values], np.bool_)
        mask = np.concatenate([cached, new_mask])
        if len(self._cached_masks) >= _MAX_CACHED_MASKS:
            self._cached_masks.pop(next(iter(self._cached_masks)))
        self._cached_masks[leaf] = mask
        return mask


def _iter_keywords(values: PathValues) -> Iterator[str | bool]:
    yield from values.strings
    yield from values.booleans
