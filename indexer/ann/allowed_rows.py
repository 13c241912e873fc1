"""The rows that a search may find: a mask that many requests share, less a few rows of one request.

A request excludes a few rows (what the user has seen) of a catalogue of perhaps a million. Copying
and counting a mask of a million flags would take longer than the search itself.
"""

from dataclasses import dataclass

import numpy as np

from indexer.arrays import Mask, Rows, sort_distinct

_NO_ROWS: Rows = np.empty(0, np.int64)
_MANY_ROWS = 1_000
_MAX_DROPPED_SHARE = 1 / 16  # of all rows; more are taken out of a copy of the mask


@dataclass(frozen=True, slots=True)
class AllowedRows:
    """Which of n rows may be found.

    Attributes:
        total: Number of all rows, n.
        mask: `(n,) bool`, never changed; None: every row.
        dropped: `(m,) int64`, ascending, distinct rows of the mask that are left out.
        count: Number of rows that are allowed.
    """

    total: int
    mask: Mask | None
    dropped: Rows
    count: int

    @classmethod
    def all_of(cls, total: int) -> "AllowedRows":
        """Allow each of `total` rows."""
        return cls(total, None, _NO_ROWS, total)

    @classmethod
    def from_mask(cls, mask: Mask) -> "AllowedRows":
        """Allow the rows of a mask, `(n,) bool`, which must not be changed afterwards."""
        count = int(np.count_nonzero(mask))
        if count == len(mask):
            return cls.all_of(count)
        return cls(len(mask), mask, _NO_ROWS, count)

    @property
    def mask_count(self) -> int:
        """Number of rows of the mask, dropped ones too."""
        return self.count + len(self.dropped)

    def contain(self, rows: Rows) -> Mask:
        """Return which of m rows are allowed, `(m,) bool`."""
        allowed = np.ones(rows.shape, np.bool_) if self.mask is None else self.mask[rows]
        if not len(self.dropped):
            return allowed
        if rows.size < _MANY_ROWS:
            return allowed & ~contain_rows(self.dropped, rows)
        # A flag for each row of the catalogue costs little, as memory that is not touched is never
        # given, and reading flags a tenth of searching.
        is_dropped = np.zeros(self.total, np.bool_)
        is_dropped[self.dropped] = True
        return allowed & ~is_dropped[rows]

    def contain_ascending(self, rows: Rows) -> Mask:
        """Return the same of ascending, distinct rows: the few dropped ones are looked up in it."""
        allowed = np.ones(rows.shape, np.bool_) if self.mask is None else self.mask[rows]
        if len(rows):
            positions = np.minimum(rows.searchsorted(self.dropped), len(rows) - 1)
            allowed[positions[rows[positions] == self.dropped]] = False
        return allowed

    def drop(self, rows: Rows) -> "AllowedRows":
        """Leave out further rows, in any order."""
        if not len(rows):
            return self
        rows = sort_distinct(rows)
        rows = rows[self.contain(rows)]
        if len(self.dropped) + len(rows) > _MAX_DROPPED_SHARE * self.total:
            mask = self.to_mask()
            mask[rows] = False
            return AllowedRows.from_mask(mask)
        dropped = np.sort(np.concatenate([self.dropped, rows])) if len(self.dropped) else rows
        return AllowedRows(self.total, self.mask, dropped, self.count - len(rows))

    def intersect(self, mask: Mask) -> "AllowedRows":
        """Allow only those of the rows that a mask, `(n,) bool`, allows too."""
        both = mask if self.mask is None else self.mask & mask
        return AllowedRows.from_mask(both).drop(self.dropped)

    def take_first(self, total: int) -> "AllowedRows":
        """Return the allowed ones of the first `total` rows, as of a catalogue of so many."""
        if total == self.total:
            return self
        mask = self.mask
        first = AllowedRows.all_of(total) if mask is None else AllowedRows.from_mask(mask[:total])
        return first.drop(self.dropped[self.dropped < total])

    def to_mask(self) -> Mask:
        """Return a new mask, `(n,) bool`."""
        mask = np.ones(self.total, np.bool_) if self.mask is None else self.mask.copy()
        mask[self.dropped] = False
        return mask

    def list_rows(self) -> Rows:
        """Return the allowed rows, ascending."""
        if self.mask is None and not len(self.dropped):
            return np.arange(self.total)
        return np.flatnonzero(self.to_mask())


def contain_rows(ascending: Rows, rows: Rows) -> Mask:
    """Return which of m rows are among ascending ones, `(m,) bool`."""
    if not len(ascending):
        return np.zeros(rows.shape, np.bool_)
    positions = ascending.searchsorted(rows)
    np.minimum(positions, len(ascending) - 1, out=positions)
    found: Mask = ascending[positions] == rows
    return found
