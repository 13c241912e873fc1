"""What somebody's events are worth to an item to the sum over everybody: one vote each. Pure."""

import sys
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import TypeAlias

# Of one user and one item. Most have one event, which is kept as it is; of several all are kept, in
# order, since any of them may be taken away.
_Worths: TypeAlias = int | list[int]


class Votes:
    """The votes of all users, where a user's vote is the strongest of what they did.

    Attributes:
        totals: Item id to the sum of its votes; without those that are zero.
    """

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self._worths: dict[int, _Worths] = {}  # by pair of user and item

    def add(self, pair: int, item_id: str, worth: int) -> None:
        """Count one more event."""
        known = self._worths.get(pair)
        before = _compute_vote(_list_worths(known))
        if known is None:
            self._worths[pair] = worth
        elif isinstance(known, int):
            self._worths[pair] = sorted((known, worth))
        else:
            insort(known, worth)
        self._change(item_id, _compute_vote(_list_worths(self._worths[pair])) - before)

    def take(self, pair: int, item_id: str, worth: int) -> None:
        """Take away an event that was counted."""
        known = self._worths[pair]
        before = _compute_vote(_list_worths(known))
        if isinstance(known, int):
            del self._worths[pair]
        else:
            del known[bisect_left(known, worth)]
            if len(known) == 1:
                self._worths[pair] = known[0]
        self._change(item_id, _compute_vote(_list_worths(self._worths.get(pair))) - before)

    def add_briefly(self, events: Iterable[tuple[int, str, int]]) -> dict[str, int]:
        """Return the totals as they would be with more events of (pair, item id, worth)."""
        more: dict[tuple[int, str], list[int]] = {}
        for pair, item_id, worth in events:
            more.setdefault((pair, item_id), []).append(worth)
        totals = dict(self.totals)
        for (pair, item_id), worths in more.items():
            known = _list_worths(self._worths.get(pair))
            change = _compute_vote(sorted([*known, *worths])) - _compute_vote(known)
            totals[item_id] = totals.get(item_id, 0) + change
        return totals

    def _change(self, item_id: str, change: int) -> None:
        total = self.totals.get(item_id, 0) + change
        if total:
            self.totals[sys.intern(item_id)] = total
        else:
            self.totals.pop(item_id, None)


def _list_worths(worths: _Worths | None) -> Sequence[int]:
    if worths is None:
        return ()
    return (worths,) if isinstance(worths, int) else worths


def _compute_vote(worths: Sequence[int]) -> int:
    """Return the strongest event for an item and the strongest against it, together.

    Args:
        worths: In ascending order; negative for what speaks against the item.
    """
    return max(0, worths[-1]) + min(0, worths[0]) if worths else 0
