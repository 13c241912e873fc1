"""Weighted events of the log to decayed sums by item, from which events can be taken again. Pure.

People are counted, not events: what somebody adds to an item is the strongest of their events that
speak for it, and the strongest that speak against it, as they have decayed. However often they come
back, that is all they add; a purchase that was refunded adds nothing.

The log is divided into blocks of sequence numbers. A block remembers the events it has added, so
that those which were removed from the log can be found and subtracted, whatever they were.
"""

import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.store.sequence_reader import Owner
from service.store.votes import UNDOING_KINDS, Act, Votes

BLOCK_EVENTS = 256  # sequence numbers of a block; so many are looked at for each removed event
MAX_AGE_HALF_LIVES = 30  # an older event would count less than a billionth
_MAX_SPAN_HALF_LIVES = 256  # numbers become longer with each half-life, and their sums slower
_NUMBER_BY_KIND = {kind: number for number, kind in enumerate(UNDOING_KINDS)}
_WEIGHT_BITS = 52  # of a weight, as many as a float has
_AGE_BITS = MAX_AGE_HALF_LIVES + 2  # so that the oldest events keep all bits of their weight


class WeightedEvent(NamedTuple):
    """The weight that one event of the log has for an item.

    Attributes:
        seq: Its sequence number.
        at: Unix seconds.
        weight: Finite; negative for what speaks against the item.
        pair: Of whose it is and the item, see `hash_pair`.
        kind: Its name if it takes others back or is taken back, see `UNDOING_KINDS`; else empty.
    """

    seq: int
    item_id: str
    at: float
    weight: float
    pair: int
    kind: str


def hash_pair(owner: Owner, item_id: str) -> int:
    """Return the number by which this process knows a user, or an anonymous session, and an item.

    Of 64 bits: among a million pairs two are alike with a probability of one in thirty million.
    """
    return hash((owner, item_id))


@dataclass(slots=True)
class _Block:
    """The events of a block, as columns: some 34 bytes for each."""

    places: bytearray = field(default_factory=bytearray)  # sequence numbers within the block
    item_ids: list[str] = field(default_factory=list)
    times: "array[float]" = field(default_factory=lambda: array("d"))
    weights: "array[float]" = field(default_factory=lambda: array("d"))
    pairs: "array[int]" = field(default_factory=lambda: array("q"))
    kinds: bytearray = field(default_factory=bytearray)  # positions in UNDOING_KINDS

    def append(self, event: WeightedEvent) -> None:
        self.places.append(event.seq % BLOCK_EVENTS)
        self.item_ids.append(sys.intern(event.item_id))
        self.times.append(event.at)
        self.weights.append(event.weight)
        self.pairs.append(event.pair)
        self.kinds.append(_NUMBER_BY_KIND[event.kind])

    def iterate(self, number: int) -> Iterator[WeightedEvent]:
        first = number * BLOCK_EVENTS
        events = zip(self.item_ids, self.times, self.weights, self.pairs, self.kinds, strict=True)
        for place, (item_id, at, weight, pair, kind) in zip(self.places, events, strict=True):
            yield WeightedEvent(first + place, item_id, at, weight, pair, UNDOING_KINDS[kind])


class DecayedSums:
    """The sum over users of what each has done with an item, halved with every half-life.

    Sums are kept as of one time for all, since with a common age no share of them changes. They are
    whole numbers, so that they are exact: the same events give the same sums, in whatever order
    they came, and whichever came and went meanwhile.

    Args:
        half_life_s: A weight halves in this time.
        now: Unix seconds.
    """

    def __init__(self, half_life_s: float, *, now: float) -> None:
        self._half_life_s = half_life_s
        self._start = self._count_half_lives(now)  # sums are as of then
        self._horizon = self._start - MAX_AGE_HALF_LIVES  # events up to then do not count any more
        self._votes = Votes()
        self._coming: dict[int, WeightedEvent] = {}  # by sequence number; later than now, not added
        self._blocks: dict[int, _Block] = {}

    @property
    def oldest_at(self) -> float:
        """Time up to which events do not count any more, Unix seconds; moves by half-lives."""
        return self._horizon * self._half_life_s

    def reaches(self, now: float) -> bool:
        """Whether the sums can be brought to a time; false for one that is years away."""
        half_lives = self._count_half_lives(now)
        return self._horizon <= half_lives < self._start + _MAX_SPAN_HALF_LIVES

    def add(self, events: Iterable[WeightedEvent], now: float) -> None:
        """Add events; those later than `now` are set aside until their time has come."""
        oldest_at = self.oldest_at
        for event in events:
            if event.at <= oldest_at:
                continue
            self._blocks.setdefault(event.seq // BLOCK_EVENTS, _Block()).append(event)
            if event.at <= now:
                self._votes.add(event.pair, event.item_id, self._weigh(event, event.at))
            else:
                self._coming[event.seq] = event

    def advance(self, now: float) -> bool:
        """Add the events whose time has come, and drop those that are too old.

        Returns:
            Whether that has changed anything.
        """
        come = [event for event in self._coming.values() if event.at <= now]
        for event in come:
            del self._coming[event.seq]
            self._votes.add(event.pair, event.item_id, self._weigh(event, event.at))
        horizon = self._count_half_lives(now) - MAX_AGE_HALF_LIVES
        if horizon <= self._horizon:
            return bool(come)
        self._horizon = horizon
        oldest_at = self.oldest_at
        for number, block in list(self._blocks.items()):
            if min(block.times) <= oldest_at:
                events = block.iterate(number)
                self._replace(number, [e if e.at > oldest_at else None for e in events])
        return True

    def has_block(self, number: int) -> bool:
        """Whether a block has events that count."""
        return number in self._blocks

    def update_block(self, number: int, owners: Mapping[int, Owner]) -> None:
        """Take away the events of a block that are gone, and give others to whose they are now.

        Args:
            number: Of the block.
            owners: Whose each event is that is in the log, by sequence number.
        """
        self._replace(
            number,
            [
                event._replace(pair=hash_pair(owners[event.seq], event.item_id))
                if event.seq in owners
                else None
                for event in self._blocks[number].iterate(number)
            ],
        )

    def list_positive(self, now: float, *, max_ahead_s: float) -> list[tuple[str, int]]:
        """Return the items with sums above zero, which compare with each other alone.

        An event with a time after now, from a clock that is ahead, counts as if it were now.

        Args:
            now: Unix seconds, of the last `advance`.
            max_ahead_s: Events that are more ahead do not count.
        """
        totals = self._votes.totals
        coming = [event for event in self._coming.values() if event.at <= now + max_ahead_s]
        if coming:
            totals = self._votes.add_briefly(
                (event.pair, event.item_id, self._weigh(event, min(event.at, now)))
                for event in coming
            )
        return [(item_id, total) for item_id, total in totals.items() if total > 0]

    @property
    def is_waiting(self) -> bool:
        """Whether there are events whose time has not come, so that time alone changes shares."""
        return bool(self._coming)

    def _replace(self, number: int, events: Iterable[WeightedEvent | None]) -> None:
        """Put events in place of those of a block, one for one; None: it is gone."""
        block, kept = self._blocks[number], _Block()
        for old, new in zip(block.iterate(number), events, strict=True):
            if new is not None:
                kept.append(new)
            if new != old:
                self._replace_event(old, new)
        if kept.places:
            self._blocks[number] = kept
        else:
            del self._blocks[number]

    def _replace_event(self, old: WeightedEvent, new: WeightedEvent | None) -> None:
        if self._coming.pop(old.seq, None) is not None:
            if new is not None:
                self._coming[new.seq] = new
            return
        act = self._weigh(old, old.at)
        self._votes.take(old.pair, old.item_id, act)
        if new is not None:
            self._votes.add(new.pair, new.item_id, act)

    def _weigh(self, event: WeightedEvent, counted_at: float) -> Act:
        """Return what an event is worth, decayed since `counted_at`."""
        worth = self._convert(event.weight, counted_at)
        return Act(event.at, event.seq, event.kind, worth)

    def _convert(self, weight: float, at: float) -> int:
        """Return a weight as of the start, in units that are small enough for the oldest events."""
        age = at / self._half_life_s - self._start
        doublings = math.floor(age)
        mantissa = round(math.ldexp(weight * 2.0 ** (age - doublings), _WEIGHT_BITS))
        return mantissa << max(0, doublings + _AGE_BITS)

    def _count_half_lives(self, at: float) -> int:
        return math.floor(at / self._half_life_s)
