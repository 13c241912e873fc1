"""The event log to trending items: popularity with exponential time decay, kept up by new events.

People are counted, not events, and nothing that was taken back, see `decayed_sums`. Each worker
reads each event of the log once. Of what was removed, or given to another user, it learns the
blocks of sequence numbers, and looks only there for what has changed, so that an erasure costs as
much as the erased user has events, however long the log is.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest

import sqlalchemy as sa

from indexer.event_kinds import has_happened
from indexer.reading import MAX_AHEAD_S
from indexer.request import Scenario
from service.store.decayed_sums import BLOCK_EVENTS, DecayedSums, WeightedEvent, hash_pair
from service.store.events import IMPRESSION, RATING, SEARCH
from service.store.hidden_events import is_visible
from service.store.schema import events, removals
from service.store.sequence_reader import to_owner
from service.store.votes import UNDOING_KINDS
from service.store.write_transaction import SequenceNumbers

MAX_TRENDING_ITEMS = 1_000
_HOUR_S, _DAY_S = 3_600.0, 86_400.0
HALF_LIFE_S: Mapping[str, float] = {"news": 6 * _HOUR_S, "music": 7 * _DAY_S}
DEFAULT_HALF_LIFE_S = 3 * _DAY_S


@dataclass(slots=True)
class _CountedLog:
    """The log as one scenario counts it.

    Attributes:
        sums: Of the weights that the scenario gives to events.
        generation: Of the store that was counted.
        last_seq: Sequence number up to which events are counted.
        removals_seq: Sequence number up to which removed events are taken away.
        shares: What `Trending.compute_shares` returns; None if an event came or went since. All
            sums decay by the same factor, so that time alone changes no share.
    """

    sums: DecayedSums
    generation: int
    removals_seq: int
    last_seq: int = 0
    shares: dict[str, float] | None = None

    def can_follow(self, sequence: SequenceNumbers, now: float) -> bool:
        """Whether this can be brought to a state of the store; if not, count anew."""
        return self.generation == sequence.generation and self.sums.reaches(now)


class Trending:
    """Trending items by scenario; thread-safe."""

    def __init__(self) -> None:
        self._logs_by_scenario: dict[str, _CountedLog] = {}
        self._lock = threading.Lock()

    def compute_shares(
        self,
        connect: Callable[[], sa.Connection],
        sequence: SequenceNumbers,
        scenario: Scenario,
        *,
        scale: tuple[float, float],
        now: float,
    ) -> dict[str, float]:
        """Return at most `MAX_TRENDING_ITEMS` items and their share of the highest score, (0, 1].

        Args:
            connect: Returns a connection that sees the log at `sequence`.
            sequence: Up to which the log counts.
            scenario: It sets the weights of events, and by its name the half-life.
            scale: Lowest and highest possible rating.
            now: Unix seconds.
        """
        with self._lock:
            log = self._logs_by_scenario.get(scenario.name)
            if log is None or not log.can_follow(sequence, now):
                half_life_s = HALF_LIFE_S.get(scenario.name, DEFAULT_HALF_LIFE_S)
                sums = DecayedSums(half_life_s, now=now)
                log = _CountedLog(sums, sequence.generation, sequence.removals_seq)
                self._logs_by_scenario[scenario.name] = log
            if sequence.removals_seq > log.removals_seq:
                _update_blocks(log, connect(), sequence.removals_seq)
            if sequence.seq > log.last_seq:
                after = (log.last_seq, log.sums.oldest_at)
                log.sums.add(list(_load_weighted_events(connect(), after, scenario, scale)), now)
                log.last_seq = sequence.seq
                log.shares = None
            if log.sums.advance(now) or log.sums.is_waiting:
                log.shares = None
            if log.shares is not None:
                return log.shares
            totals = log.sums.list_positive(now, max_ahead_s=MAX_AHEAD_S)
            log.shares = _compute_shares(totals)
            return log.shares


def _compute_shares(totals: Iterable[tuple[str, int]]) -> dict[str, float]:
    top = nsmallest(MAX_TRENDING_ITEMS, ((-total, item_id) for item_id, total in totals))
    return {item_id: total / top[0][0] for total, item_id in top}


def _update_blocks(log: _CountedLog, connection: sa.Connection, removals_seq: int) -> None:
    """Subtract the counted events that are in the log no more, and move those of merged users."""
    blocks = sa.select(removals.c.block).where(removals.c.seq > log.removals_seq)
    for block in connection.execute(blocks).scalars().all():
        if log.sums.has_block(block):
            first = block * BLOCK_EVENTS
            is_in_block = events.c.seq.between(first, first + BLOCK_EVENTS - 1)
            kept = sa.select(events.c.seq, events.c.user_id, events.c.session_id)
            rows = connection.execute(kept.where(is_in_block, is_visible()))
            log.sums.update_block(block, {seq: to_owner(*names) for seq, *names in rows})
            log.shares = None
    log.removals_seq = removals_seq


def _load_weighted_events(
    connection: sa.Connection,
    after: tuple[int, float],
    scenario: Scenario,
    scale: tuple[float, float],
) -> Iterable[WeightedEvent]:
    last_seq, oldest_at = after
    what = (events.c.item_id, events.c.at, events.c.event, events.c.value)
    query = sa.select(events.c.seq, events.c.user_id, events.c.session_id, *what).where(
        events.c.seq > last_seq,
        events.c.at > oldest_at,
        events.c.item_id.is_not(None),
        events.c.event.not_in((SEARCH, IMPRESSION)),
        is_visible(),
    )
    low, high = scale
    rows = connection.execute(query.order_by(events.c.seq))
    for seq, user_id, session_id, item_id, at, event, value in rows:
        if not has_happened(event, value):
            continue
        weight = scenario.get_event_weight(event)
        if event == RATING and value is not None:
            weight = max(-1.0, min(1.0, (2 * value - low - high) / (high - low)))
        pair = hash_pair(to_owner(user_id, session_id), item_id)
        yield WeightedEvent(seq, item_id, at, weight, pair, event if event in UNDOING_KINDS else "")
