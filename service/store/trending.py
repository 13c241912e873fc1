"""The log to what is in fashion now: time-decayed popularity, added up as events come.

Every worker reads the same log, each event once; only when events were removed it starts anew.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from indexer.request import Scenario
from service.store.database import SequenceNumbers
from service.store.events import IMPRESSION, RATING, SEARCH
from service.store.schema import events

MAX_TRENDING_ITEMS = 1_000
_HOUR_S, _DAY_S = 3_600.0, 86_400.0
HALF_LIFE_S: Mapping[str, float] = {"news": 6 * _HOUR_S, "music": 7 * _DAY_S}
DEFAULT_HALF_LIFE_S = 3 * _DAY_S
_MAX_AGE_HALF_LIVES = 30  # half-lives after which an event is worth a billionth


@dataclass(frozen=True, slots=True)
class _WeightedEvent:
    """What one event of the log adds to an item."""

    item_id: str
    at: float
    weight: float


@dataclass(slots=True)
class _DecayedScores:
    """The sums of one scenario.

    Attributes:
        scores: Item to its sum and the moment for which it is right.
        future_events: Events of a clock that runs fast; they count as if they were of now.
    """

    half_life_s: float
    last_seq: int = 0
    removals_seq: int = 0
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    future_events: list[_WeightedEvent] = field(default_factory=list)

    def add_events(self, reactions: Iterable[_WeightedEvent], now: float) -> None:
        """Add events; those of the future wait."""
        waiting = []
        for reaction in [*self.future_events, *reactions]:
            if reaction.at > now:
                waiting.append(reaction)
            else:
                self._add_event(reaction)
        self.future_events = waiting

    def compute_scores(self, now: float) -> dict[str, float]:
        """Return the sum of each item at a moment."""
        scores = {
            item_id: total * self._compute_decay(now - scored_at)
            for item_id, (total, scored_at) in self.scores.items()
        }
        for reaction in self.future_events:
            scores[reaction.item_id] = scores.get(reaction.item_id, 0.0) + reaction.weight
        return scores

    def _add_event(self, event: _WeightedEvent) -> None:
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
    """What is in fashion, by scenario; thread-safe."""

    def __init__(self) -> None:
        self._scores_by_scenario: dict[str, _DecayedScores] = {}
        self._lock = threading.Lock()

    def compute_shares(
        self,
        connection: sa.Connection,
        sequence: SequenceNumbers,
        scenario: Scenario,
        *,
        scale: tuple[float, float],
        now: float,
    ) -> dict[str, float]:
        """Return at most `MAX_TRENDING_ITEMS` items with their popularity, the highest being 1.

        Args:
            connection: Sees the log.
            sequence: How far it has come.
            scenario: What events say, and how fast fashions pass.
            scale: Lowest and highest possible rating.
            now: Unix seconds.
        """
        with self._lock:
            decayed_scores = self._scores_by_scenario.get(scenario.name)
            if decayed_scores is None or decayed_scores.removals_seq != sequence.removals_seq:
                half_life_s = HALF_LIFE_S.get(scenario.name, DEFAULT_HALF_LIFE_S)
                decayed_scores = _DecayedScores(half_life_s, removals_seq=sequence.removals_seq)
                self._scores_by_scenario[scenario.name] = decayed_scores
            oldest_at = now - _MAX_AGE_HALF_LIVES * decayed_scores.half_life_s
            decayed_scores.add_events(
                _load_weighted_events(
                    connection, (decayed_scores.last_seq, oldest_at), scenario, scale
                ),
                now,
            )
            decayed_scores.last_seq = max(decayed_scores.last_seq, sequence.seq)
            scores = decayed_scores.compute_scores(now)
        positive_scores = [(total, item_id) for item_id, total in scores.items() if total > 0]
        top = sorted(positive_scores, key=lambda pair: (-pair[0], pair[1]))[:MAX_TRENDING_ITEMS]
        return {item_id: total / top[0][0] for total, item_id in top}


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
