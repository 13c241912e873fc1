"""What somebody's events are worth to an item to the sum over everybody: one vote each. Pure."""

import sys
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from indexer.event_kinds import UNDONE_EVENTS, find_undone

# Kinds of events that take another back or are taken back; by position, as a byte stands for one.
UNDOING_KINDS = ("", *sorted({*UNDONE_EVENTS, *UNDONE_EVENTS.values()}))

# Of one user and one item. Most have one event, which is kept as it is; of several all are kept, in
# order, since any of them may be taken away.
_Worths: TypeAlias = int | list[int]


class Act(NamedTuple):
    """One event of a user and an item, ordered by time.

    Attributes:
        at: Unix seconds.
        seq: Sequence number, which orders events of the same time.
        kind: One of `UNDOING_KINDS`; empty if it neither takes back nor is taken back.
        worth: Negative for what speaks against the item.
    """

    at: float
    seq: int
    kind: str
    worth: int


class Votes:
    """The votes of all users, where a user's vote is the strongest of what they did and let stand.

    Votes are counted when they are asked for: somebody who does a thing a thousand times is looked
    at once, not a thousand times.
    """

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._worths: dict[int, _Worths] = {}  # by pair of user and item, of acts without a kind
        self._undoing: dict[int, list[Act]] = {}  # by pair, of acts with a kind; in order of time
        self._outdated: dict[int, tuple[str, int]] = {}  # by pair: its item, and the vote in totals

    @property
    def totals(self) -> dict[str, int]:
        """Item id to the sum of its votes, without those that are zero; not to be changed."""
        for pair, (item_id, before) in self._outdated.items():
            self._change(item_id, self._compute_vote(pair) - before)
        self._outdated.clear()
        return self._totals

    def add(self, pair: int, item_id: str, act: Act) -> None:
        """Count one more event."""
        self._note_change(pair, item_id)
        if act.kind:
            insort(self._undoing.setdefault(pair, []), act)
            return
        known = self._worths.get(pair)
        if known is None:
            self._worths[pair] = act.worth
        elif isinstance(known, int):
            self._worths[pair] = sorted((known, act.worth))
        else:
            insort(known, act.worth)

    def take(self, pair: int, item_id: str, act: Act) -> None:
        """Take away an event that was counted."""
        self._note_change(pair, item_id)
        if act.kind:
            acts = self._undoing[pair]
            del acts[bisect_left(acts, act)]
            if not acts:
                del self._undoing[pair]
            return
        known = self._worths[pair]
        if isinstance(known, int):
            del self._worths[pair]
        else:
            del known[bisect_left(known, act.worth)]
            if len(known) == 1:
                self._worths[pair] = known[0]

    def add_briefly(self, events: Iterable[tuple[int, str, Act]]) -> dict[str, int]:
        """Return the totals as they would be with more events of (pair, item id, act)."""
        more: dict[tuple[int, str], list[Act]] = {}
        for pair, item_id, act in events:
            more.setdefault((pair, item_id), []).append(act)
        totals = dict(self.totals)
        for (pair, item_id), acts in more.items():
            change = self._compute_vote(pair, acts) - self._compute_vote(pair)
            totals[item_id] = totals.get(item_id, 0) + change
        return totals

    def _note_change(self, pair: int, item_id: str) -> None:
        if pair not in self._outdated:
            self._outdated[pair] = item_id, self._compute_vote(pair)

    def _compute_vote(self, pair: int, more: Sequence[Act] = ()) -> int:
        """Return the strongest event for an item and the strongest against it, together.

        What a later event took back is neither.
        """
        undoing = sorted([*self._undoing.get(pair, ()), *(act for act in more if act.kind)])
        undone = find_undone([("", act.kind) for act in undoing])
        worths = [act.worth for place, act in enumerate(undoing) if place not in undone]
        worths += [act.worth for act in more if not act.kind]
        known = self._worths.get(pair)
        if known is not None:
            worths += [known] if isinstance(known, int) else [known[0], known[-1]]
        return max(0, *worths) + min(0, *worths) if worths else 0

    def _change(self, item_id: str, change: int) -> None:
        total = self._totals.get(item_id, 0) + change
        if total:
            self._totals[sys.intern(item_id)] = total
        else:
            self._totals.pop(item_id, None)
