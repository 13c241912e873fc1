"""The log to what is in fashion now: time-decayed popularity, added up as events come.

Every worker reads the same log, each event once; only when events were removed it starts anew.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from indexer.request import Scenario
from service.store.database import Sequence
from service.store.events import IMPRESSION, RATING, SEARCH
from service.store.schema import events

MAX_TRENDING = 1_000
_HOUR_S, _DAY_S = 3_600.0, 86_400.0
HALF_LIFE_S: Mapping[str, float] = {"news": 6 * _HOUR_S, "music": 7 * _DAY_S}
DEFAULT_HALF_LIFE_S = 3 * _DAY_S
_FORGOTTEN = 30  # half-lives after which an event is worth a billionth


@dataclass(frozen=True, slots=True)
class _Reaction:
    """What one event of the log adds to an item."""

    item_id: str
    at: float
    weight: float


@dataclass(slots=True)
class _Board:
    """The sums of one scenario.

    Attributes:
        sums: Item to its sum and the moment for which it is right.
        ahead: Events of a clock that runs fast; they count as if they were of now.
    """

    half_life_s: float
    read: int = 0
    removals_seq: int = 0
    sums: dict[str, tuple[float, float]] = field(default_factory=dict)
    ahead: list[_Reaction] = field(default_factory=list)

    def take(self, reactions: Iterable[_Reaction], now: float) -> None:
        """Add events; those of the future wait."""
        waiting = []
        for reaction in [*self.ahead, *reactions]:
            if reaction.at > now:
                waiting.append(reaction)
            else:
                self._add(reaction)
        self.ahead = waiting

    def at(self, now: float) -> dict[str, float]:
        """Return the sum of each item at a moment."""
        found = {
            item_id: total * self._decay(now - moment)
            for item_id, (total, moment) in self.sums.items()
        }
        for reaction in self.ahead:
            found[reaction.item_id] = found.get(reaction.item_id, 0.0) + reaction.weight
        return found

    def _add(self, reaction: _Reaction) -> None:
        total, moment = self.sums.get(reaction.item_id, (0.0, reaction.at))
        if reaction.at >= moment:
            total = total * self._decay(reaction.at - moment) + reaction.weight
            moment = reaction.at
        else:
            total += reaction.weight * self._decay(moment - reaction.at)
        self.sums[reaction.item_id] = (total, moment)

    def _decay(self, age_s: float) -> float:
        return float(0.5 ** (max(0.0, age_s) / self.half_life_s))


class Trending:
    """What is in fashion, by scenario; thread-safe."""

    def __init__(self) -> None:
        self._boards: dict[str, _Board] = {}
        self._lock = threading.Lock()

    def shares(
        self,
        connection: sa.Connection,
        upto: Sequence,
        scenario: Scenario,
        *,
        scale: tuple[float, float],
        now: float,
    ) -> dict[str, float]:
        """Return at most `MAX_TRENDING` items with their popularity, the highest being 1.

        Args:
            connection: Sees the log.
            upto: How far it has come.
            scenario: What events say, and how fast fashions pass.
            scale: Lowest and highest possible rating.
            now: Unix seconds.
        """
        with self._lock:
            board = self._boards.get(scenario.name)
            if board is None or board.removals_seq != upto.removals_seq:
                half_life_s = HALF_LIFE_S.get(scenario.name, DEFAULT_HALF_LIFE_S)
                board = _Board(half_life_s, removals_seq=upto.removals_seq)
                self._boards[scenario.name] = board
            since = now - _FORGOTTEN * board.half_life_s
            board.take(_reactions(connection, (board.read, since), scenario, scale), now)
            board.read = max(board.read, upto.seq)
            found = board.at(now)
        liked = [(total, item_id) for item_id, total in found.items() if total > 0]
        top = sorted(liked, key=lambda pair: (-pair[0], pair[1]))[:MAX_TRENDING]
        return {item_id: total / top[0][0] for total, item_id in top}


def _reactions(
    connection: sa.Connection,
    after: tuple[int, float],
    scenario: Scenario,
    scale: tuple[float, float],
) -> Iterable[_Reaction]:
    seq, since = after
    query = sa.select(events.c.item_id, events.c.at, events.c.event, events.c.value).where(
        events.c.seq > seq,
        events.c.at > since,
        events.c.item_id.is_not(None),
        events.c.event.not_in((SEARCH, IMPRESSION)),
    )
    low, high = scale
    for item_id, at, event, value in connection.execute(query.order_by(events.c.seq)):
        weight = scenario.weight_of(event)
        if event == RATING and value is not None:
            weight = max(-1.0, min(1.0, (2 * value - low - high) / (high - low)))
        yield _Reaction(item_id, at, weight)
