"""Scenario presets as data: how a shop, a newsroom, a music player differ.

Each number is a default a caller may override for one request; none is stored in a snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from types import MappingProxyType

from indexer.errors import RequestError

# What an event says about the item, from -1 (keep away) to 1 (more like this).
EVENT_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "purchase": 1.0,
        "like": 1.0,
        "finish": 0.9,
        "add_to_cart": 0.8,
        "share": 0.8,
        "review": 0.7,
        "play": 0.6,
        "click": 0.6,
        "search": 1.0,
        "view": 0.4,
        "skip": -0.3,
        "dislike": -0.6,
    }
)
OTHER_EVENT_WEIGHT = 0.5  # an event of a name we do not know is still an interaction


@dataclass(frozen=True, slots=True)
class Scenario:
    """How one kind of catalogue is recommended from.

    Attributes:
        name: What a request calls it.
        half_life_events: A history entry counts half after this many newer entries.
        half_life_s: A history entry counts half after this many seconds; None: age is no matter.
        recent_vectors: How many of the latest liked items get a request vector of their own.
        include_seen: Whether items the user already met may come again.
        query_weight: Weight of what is typed, against 1 for the whole profile.
        interest_weight: Weight of a declared interest, against 1 for a fresh liked item.
        context_weight: Weight of one context word: it tilts the list, it does not make it.
        event_weights: What each event says; see `EVENT_WEIGHTS`.
        trending_weight: What the item most in fashion gains; 0: fashion is no matter.
    """

    name: str
    half_life_events: float = 1.5
    half_life_s: float | None = None
    recent_vectors: int = 3
    include_seen: bool = False
    query_weight: float = 1.0
    interest_weight: float = 1.0
    context_weight: float = 0.12
    event_weights: Mapping[str, float] = field(default_factory=lambda: EVENT_WEIGHTS)
    trending_weight: float = 0.0

    def weight_of(self, event: str) -> float:
        """Return what an event says about its item, from -1 to 1."""
        return self.event_weights.get(event, OTHER_EVENT_WEIGHT)


_DAY_S = 86_400.0
_DEFAULT = Scenario("default")
SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            _DEFAULT,
            replace(_DEFAULT, name="video"),
            replace(_DEFAULT, name="news", half_life_events=1.5, half_life_s=2 * _DAY_S),
            replace(_DEFAULT, name="shop", half_life_events=1.5, half_life_s=30 * _DAY_S),
            replace(_DEFAULT, name="music", half_life_events=4.0, include_seen=True),
        )
    }
)


def scenario_named(name: str | None) -> Scenario:
    """Return a preset.

    Raises:
        RequestError: If there is none of that name; the message lists the known ones.
    """
    if name is None:
        return _DEFAULT
    if name in SCENARIOS:
        return SCENARIOS[name]
    close = get_close_matches(name, SCENARIOS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise RequestError(f"unknown scenario {name!r}; {hint}known are {', '.join(SCENARIOS)}")
