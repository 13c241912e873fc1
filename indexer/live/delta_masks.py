"""Live items to which of them pass a filter, without looking at each one for each new filter.

Comparisons with words come from lists of who holds a word; of the others the answers are kept, and
only items that came since are looked at.
"""

from collections.abc import Iterator, Mapping
from functools import reduce

import numpy as np

from indexer.arrays import Mask
from indexer.metadata import And, AnyOf, Filter, Not, Or, PathValues, matches_values

_MAX_CACHED_MASKS = 256


class DeltaMasks:
    """What the items of a delta hold, by path; it only grows, and the caller guards it."""

    def __init__(self) -> None:
        self.values_by_path: list[Mapping[str, PathValues]] = []
        self._inverted_lists: dict[tuple[str, str | bool], list[int]] = {}
        self._cached_masks: dict[Filter, Mask] = {}

    def add(self, values_by_path: Mapping[str, PathValues]) -> None:
        """Take the item of the next slot."""
        position = len(self.values_by_path)
        self.values_by_path.append(values_by_path)
        for path, values in values_by_path.items():
            for word in _iter_keywords(values):
                self._inverted_lists.setdefault((path, word), []).append(position)

    def mask(self, condition: Filter) -> Mask:
        """Return which slots pass, `(m,) bool`; the caller must not write to it."""
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
        """One comparison, asked of every item that came since it was last asked."""
        cached = self._cached_masks.pop(leaf, np.empty(0, np.bool_))
        new_results = [matches_values(leaf, held) for held in self.values_by_path[len(cached) :]]
        mask = np.concatenate([cached, np.array(new_results, np.bool_)])
        if len(self._cached_masks) >= _MAX_CACHED_MASKS:
            self._cached_masks.pop(next(iter(self._cached_masks)))
        self._cached_masks[leaf] = mask
        return mask


def _iter_keywords(values: PathValues) -> Iterator[str | bool]:
    yield from values.strings
    yield from values.booleans
