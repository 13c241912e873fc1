"""Live items to which of them pass a filter, without looking at each one for each new filter.

Comparisons with words come from lists of who holds a word; of the others the answers are kept, and
only items that came since are looked at.
"""

from collections.abc import Iterator, Mapping
from functools import reduce

import numpy as np

from indexer.arrays import Mask
from indexer.metadata import And, AnyOf, Filter, Held, Not, Or, holds

_MOST_KEPT = 256


class DeltaMasks:
    """What the items of a delta hold, by path; it only grows, and the caller guards it."""

    def __init__(self) -> None:
        self.held: list[Mapping[str, Held]] = []
        self._holders: dict[tuple[str, str | bool], list[int]] = {}
        self._kept: dict[Filter, Mask] = {}

    def add(self, held: Mapping[str, Held]) -> None:
        """Take the item of the next slot."""
        slot = len(self.held)
        self.held.append(held)
        for path, values in held.items():
            for word in _words(values):
                self._holders.setdefault((path, word), []).append(slot)

    def mask(self, condition: Filter) -> Mask:
        """Return which slots pass, `(m,) bool`; the caller must not write to it."""
        match condition:
            case And(parts):
                return reduce(np.logical_and, map(self.mask, parts), self._all())
            case Or(parts):
                return reduce(np.logical_or, map(self.mask, parts), ~self._all())
            case Not(part):
                return ~self.mask(part)
            case AnyOf(field, values, as_dates) if not as_dates and not values.numbers:
                mask = ~self._all()
                for word in values.words():
                    mask[self._holders.get((field, word), [])] = True
                return mask
        return self._looked_at(condition)

    def _all(self) -> Mask:
        return np.ones(len(self.held), np.bool_)

    def _looked_at(self, leaf: Filter) -> Mask:
        """One comparison, asked of every item that came since it was last asked."""
        known = self._kept.pop(leaf, np.empty(0, np.bool_))
        fresh = [holds(leaf, held) for held in self.held[len(known) :]]
        mask = np.concatenate([known, np.array(fresh, np.bool_)])
        if len(self._kept) >= _MOST_KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[leaf] = mask
        return mask


def _words(values: Held) -> Iterator[str | bool]:
    yield from values.strings
    yield from values.booleans
