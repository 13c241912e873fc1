"""Weighted events of the log to decayed sums by item, from which events can be taken again. Pure.

The log is divided into blocks of sequence numbers. A block remembers the events it has added, so
that those which were removed from the log can be found and subtracted, whatever they were.
"""

import math
import sys
from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

BLOCK_EVENTS = 256  # sequence numbers of a block; so many are looked at for each removed event
MAX_AGE_HALF_LIVES = 30  # an older event would count less than a billionth
_MAX_SPAN_HALF_LIVES = 256  # numbers become longer with each half-life, and their sums slower
_WEIGHT_BITS = 52  # of a weight, as many as a float has
_AGE_BITS = MAX_AGE_HALF_LIVES + 2  # so that the oldest events keep all bits of their weight


class WeightedEvent(NamedTuple):
    """The weight that one event of the log adds to an item.

    Attributes:
        seq: Its sequence number.
        at: Unix seconds.
        weight: Finite; negative for what speaks against the item.
    """

    seq: int
    item_id: str
    at: float
    weight: float


@dataclass(slots=True)
class _Block:
    """The events of a block, as columns: some 25 bytes for each."""

    places: bytearray = field(default_factory=bytearray)  # sequence numbers within the block
    item_ids: list[str] = field(default_factory=list)
    times: "array[float]" = field(default_factory=lambda: array("d"))
    weights: "array[float]" = field(default_factory=lambda: array("d"))

    def append(self, event: WeightedEvent) -> None:
        self.places.append(event.seq % BLOCK_EVENTS)
        self.item_ids.append(sys.intern(event.item_id))
        self.times.append(event.at)
        self.weights.append(event.weight)

    def iterate(self, number: int) -> Iterator[WeightedEvent]:
        first = number * BLOCK_EVENTS
        columns = zip(self.places, self.item_ids, self.times, self.weights, strict=True)
        for place, item_id, at, weight in columns:
            yield WeightedEvent(first + place, item_id, at, weight)


class DecayedSums:
    """The sum of the weights of each item's events, each halved with every half-life.

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
        self._totals: dict[str, int] = {}
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
                self._add_to_total(event, 1)
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
            self._add_to_total(event, 1)
        horizon = self._count_half_lives(now) - MAX_AGE_HALF_LIVES
        if horizon <= self._horizon:
            return bool(come)
        self._horizon = horizon
        oldest_at = self.oldest_at
        for number, block in list(self._blocks.items()):
            if min(block.times) <= oldest_at:
                self._keep(number, [event.at > oldest_at for event in block.iterate(number)])
        return True

    def has_block(self, number: int) -> bool:
        """Whether a block has events that count."""
        return number in self._blocks

    def keep_only(self, number: int, seqs: Collection[int]) -> None:
        """Take away the events of a block that are not among some sequence numbers."""
        block = self._blocks[number]
        self._keep(number, [event.seq in seqs for event in block.iterate(number)])

    def list_positive(self, now: float, *, max_ahead_s: float) -> list[tuple[str, int]]:
        """Return the items with sums above zero, which compare with each other alone.

        An event with a time after now, from a clock that is ahead, counts as if it were now.

        Args:
            now: Unix seconds, of the last `advance`.
            max_ahead_s: Events that are more ahead do not count.
        """
        totals = self._totals
        coming = [event for event in self._coming.values() if event.at <= now + max_ahead_s]
        if coming:
            totals = dict(totals)
            for event in coming:
                share = self._convert(event.weight, min(event.at, now))
                totals[event.item_id] = totals.get(event.item_id, 0) + share
        return [(item_id, total) for item_id, total in totals.items() if total > 0]

    @property
    def is_waiting(self) -> bool:
        """Whether there are events whose time has not come, so that time alone changes shares."""
        return bool(self._coming)

    def _keep(self, number: int, is_kept: list[bool]) -> None:
        """Keep some events of a block, and subtract the others."""
        block, kept = self._blocks[number], _Block()
        for event, stays in zip(block.iterate(number), is_kept, strict=True):
            if stays:
                kept.append(event)
            elif self._coming.pop(event.seq, None) is None:
                self._add_to_total(event, -1)
        if kept.places:
            self._blocks[number] = kept
        else:
            del self._blocks[number]

    def _add_to_total(self, event: WeightedEvent, sign: int) -> None:
        item_id = sys.intern(event.item_id)
        total = self._totals.get(item_id, 0) + sign * self._convert(event.weight, event.at)
        if total:
            self._totals[item_id] = total
        else:
            self._totals.pop(item_id, None)

    def _convert(self, weight: float, at: float) -> int:
        """Return a weight as of the start, in units that are small enough for the oldest events."""
        age = at / self._half_life_s - self._start
        doublings = math.floor(age)
        mantissa = round(math.ldexp(weight * 2.0 ** (age - doublings), _WEIGHT_BITS))
        return mantissa << max(0, doublings + _AGE_BITS)

    def _count_half_lives(self, at: float) -> int:
        return math.floor(at / self._half_life_s)
