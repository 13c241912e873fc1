"""The event log to trending items: popularity with exponential time decay, updated by new events.

Each worker reads each event of the log once. Only when events were removed from the log does it
start again from the beginning.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from indexer.reading import MAX_AHEAD_S
from indexer.request import Scenario
from service.store.events import IMPRESSION, RATING, SEARCH
from service.store.schema import events
from service.store.write_transaction import SequenceNumbers

MAX_TRENDING_ITEMS = 1_000
_HOUR_S, _DAY_S = 3_600.0, 86_400.0
HALF_LIFE_S: Mapping[str, float] = {"news": 6 * _HOUR_S, "music": 7 * _DAY_S}
DEFAULT_HALF_LIFE_S = 3 * _DAY_S
_MAX_AGE_HALF_LIVES = 30  # an older event would count less than a billionth


@dataclass(frozen=True, slots=True)
class _WeightedEvent:
    """The weight that one event of the log adds to an item."""

    item_id: str
    at: float
    weight: float


@dataclass(slots=True)
class _DecayedScores:
    """The decayed sums of weights of one scenario.

    Attributes:
        half_life_s: A weight halves in this time.
        last_seq: Sequence number of the store up to which events are included.
        removals: `SequenceNumbers.removals` for which the sums are valid.
        scores: Item id to its sum and the time, Unix seconds, up to which it has decayed.
        future_events: Events with a time after now, from a clock that is ahead; they count
            undecayed until their time has come, unless it is more than a day away.
        newest_at: Time of the latest event in the sums, Unix seconds.
        shares: What `Trending.compute_shares` returns; None if an event came since. All sums decay
            by the same factor, so that time alone changes no share.
    """

    half_life_s: float
    last_seq: int = 0
    removals: tuple[int, int] = (0, 0)
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    future_events: list[_WeightedEvent] = field(default_factory=list)
    newest_at: float = float("-inf")
    shares: dict[str, float] | None = None

    def add_events(self, weighted_events: Iterable[_WeightedEvent], now: float) -> None:
        """Add events to the sums; those after `now` are set aside until their time has come."""
        future_events = []
        self.shares = None
        for event in [*self.future_events, *weighted_events]:
            if event.at > now:
                future_events.append(event)
            else:
                self._add_event(event)
        self.future_events = future_events

    def compute_scores(self, now: float) -> dict[str, float]:
        """Return the sum of each item as of `now`."""
        scores = {
            item_id: total * self._compute_decay(now - scored_at)
            for item_id, (total, scored_at) in self.scores.items()
        }
        for event in self.future_events:
            if event.at > now + MAX_AHEAD_S:  # of an earlier release, which did not refuse it
                continue
            scores[event.item_id] = scores.get(event.item_id, 0.0) + event.weight
        return scores

    def has_coming_events(self, now: float) -> bool:
        """Whether an event has come since, or comes so soon that it counts already."""
        return any(event.at <= now + MAX_AHEAD_S for event in self.future_events)

    def _add_event(self, event: _WeightedEvent) -> None:
        self.newest_at = max(self.newest_at, event.at)
        total, scored_at = self.scores.get(event.item_id, (0.0, event.at))
        if event.at >= scored_at:
            total = total * self._compute_decay(event.at - scored_at) + event.weight
            scored_at = event.at
        else:
            total += event.weight * self._compute_decay(scored_at - event.at)
        self.scores[event.item_id] = (total, scored_at)

    def _compute_decay(self, age_s: float) -> float:
        return float(0.5 ** (max(0.0, age_s) / self.half_life_s))


class Trending:
    """Trending items by scenario; thread-safe."""

    def __init__(self) -> None:
        self._scores_by_scenario: dict[str, _DecayedScores] = {}
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
            decayed_scores = self._scores_by_scenario.get(scenario.name)
            if decayed_scores is None or decayed_scores.removals != sequence.removals:
                half_life_s = HALF_LIFE_S.get(scenario.name, DEFAULT_HALF_LIFE_S)
                decayed_scores = _DecayedScores(half_life_s, removals=sequence.removals)
                self._scores_by_scenario[scenario.name] = decayed_scores
            if sequence.seq > decayed_scores.last_seq:
                oldest_at = now - _MAX_AGE_HALF_LIVES * decayed_scores.half_life_s
                after = (decayed_scores.last_seq, oldest_at)
                new_events = list(_load_weighted_events(connect(), after, scenario, scale))
                decayed_scores.last_seq = sequence.seq
                decayed_scores.add_events(new_events, now)
            elif decayed_scores.has_coming_events(now):
                decayed_scores.add_events((), now)
            if decayed_scores.shares is not None and now >= decayed_scores.newest_at:
                return decayed_scores.shares
            scores = decayed_scores.compute_scores(now)
        positive_scores = [(total, item_id) for item_id, total in scores.items() if total > 0]
        top = sorted(positive_scores, key=lambda pair: (-pair[0], pair[1]))[:MAX_TRENDING_ITEMS]
        shares = {item_id: total / top[0][0] for total, item_id in top}
        if now >= decayed_scores.newest_at and not decayed_scores.future_events:
            decayed_scores.shares = shares
        return shares


def _load_weighted_events(
    connection: sa.Connection,
    after: tuple[int, float],
    scenario: Scenario,
    scale: tuple[float, float],
) -> Iterable[_WeightedEvent]:
    seq, oldest_at = after
    query = sa.select(events.c.item_id, events.c.at, events.c.event, events.c.value).where(
        events.c.seq > seq,
        events.c.at > oldest_at,
        events.c.item_id.is_not(None),
        events.c.event.not_in((SEARCH, IMPRESSION)),
    )
    low, high = scale
    for item_id, at, event, value in connection.execute(query.order_by(events.c.seq)):
        weight = scenario.get_event_weight(event)
        if event == RATING and value is not None:
            weight = max(-1.0, min(1.0, (2 * value - low - high) / (high - low)))
        yield _WeightedEvent(item_id, at, weight)
