"""The name of a scenario to its preset: how a shop, a newsroom and a music player differ. Pure.

Presets are not stored in a snapshot, so changing one needs no rebuild. Some values (`include_seen`,
`max_per`) can be overridden by a request; a TOML file changes or adds scenarios for one service,
see `indexer.request.scenario_file`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from indexer.errors import RequestError
from indexer.event_kinds import EVENT_WEIGHTS, find_event
from indexer.request.values import find_nearest_name

UNKNOWN_EVENT_WEIGHT = 0.0  # a word that nobody has weighed says neither yes nor no
NON_HIDING_EVENTS = ("search", "impression")  # these never make an item count as seen


@dataclass(frozen=True, slots=True)
class Scenario:
    """The defaults for recommending from one kind of catalogue.

    The profile alone scores at most 1 (a cosine), so a term of weight 0.1 is a tenth of that.

    Attributes:
        name: The value of `scenario` in a request.
        half_life_events: A history entry counts half after this many newer entries.
        half_life_s: A history entry counts half after this many seconds; None: age does not count.
        recent_vectors: How many of the latest liked items get a query vector of their own.
        cluster_vectors: How many clusters of a longer history get a query vector of their own;
            used only if the snapshot has no taste model.
        include_seen: Whether items the user has met may be recommended again.
        hidden_by: The events after which an item is not recommended again; None: all events except
            `NON_HIDING_EVENTS`.
        query_weight: Weight of the typed query; the whole profile has 1.
        lead_weight: Factor of `query_weight` beside items or interests: above 1, so that what
            somebody asks for now leads, and the profile orders what fits.
        interest_weight: Weight of a declared interest; the latest liked item has 1.
        ideal_weight: Weight of the description of the ideal item; the whole profile has 1.
        context_weight: Weight of one context field; small, so that it shifts the list but does not
            decide it.
        event_weights: Event to its weight as evidence; see `EVENT_WEIGHTS`.
        trending_weight: Added to the score of the item that trends most; 0: off.
        fresh_weight: Added to the score of an item published just now; 0: off.
        fresh_half_life_s: The freshness term halves after this many seconds.
        near_weight: Added to the score of an item at the user's place; needs items with a location.
        near_half_km: The nearness term halves at this distance.
        max_per: Field to how many items of a list may share a value; fields that the catalogue does
            not have are ignored.
        filter: Applied to every request, as a filter object; None: no filter.
    """

    name: str
    # A half-life this short already separates the current session from long-term taste. On the
    # validation parts of five public data sets (1,000 cases each, text only, NDCG@10) it was
    # compared with a session weighed 3 or 10 times, a long-term mean added or as a vector of its
    # own, and clusters as vectors of their own: each lost on some sets, and only on the baskets of
    # a shop did one win beyond noise (clusters, 1.29 times the NDCG). The plain mean of the liked
    # items had 0.48, 0.69, 0.80 and 0.88 times the NDCG and, within noise, 1.29 times.
    half_life_events: float = 1.5
    half_life_s: float | None = None
    recent_vectors: int = 3
    cluster_vectors: int = 0
    include_seen: bool = False
    hidden_by: tuple[str, ...] | None = None
    query_weight: float = 1.0
    # By looking at lists of films for 20 wishes beside a history of children's films: with 1 they
    # were the same films whatever the wish.
    lead_weight: float = 1.5
    interest_weight: float = 1.0
    ideal_weight: float = 0.5
    context_weight: float = 0.4
    event_weights: Mapping[str, float] = field(default_factory=lambda: EVENT_WEIGHTS)
    trending_weight: float = 0.0
    fresh_weight: float = 0.0
    fresh_half_life_s: float = 86_400.0
    near_weight: float = 0.2
    near_half_km: float = 5.0
    max_per: Mapping[str, int] = field(default_factory=dict)
    filter: Any = None

    def get_event_weight(self, event: str) -> float:
        """Return the weight of an event as evidence about its item; 0 for an unknown one.

        Events of a log that an earlier release kept may be called by other words: those count as
        the event that they mean.
        """
        weight = self.event_weights.get(event)
        if weight is not None:
            return weight
        return self.event_weights.get(find_event(event) or "", UNKNOWN_EVENT_WEIGHT)

    def hides(self, event: str) -> bool:
        """Return whether an item is not recommended again after an event."""
        if event in NON_HIDING_EVENTS:
            return False
        return self.hidden_by is None or event in self.hidden_by


_HOUR_S, _DAY_S = 3_600.0, 86_400.0
_DEFAULT = Scenario("default")
_VIDEO = Scenario("video")
_NEWS = Scenario(
    "news",
    half_life_s=12 * _HOUR_S,
    trending_weight=0.1,
    fresh_weight=0.3,
    fresh_half_life_s=12 * _HOUR_S,
)
# An item that was only viewed may be shown again, a bought one is not. Baskets hold many kinds of
# items, and the latest is no better evidence than the others: on the validation parts of two shops,
# a query vector for each of three clusters had 1.33 [1.15, 1.65] and 1.00 [0.98, 1.02] times the
# NDCG@10 of none.
_SETTLED = (
    *("purchase", "refund", "return"),
    *("dislike", "not_interested", "hide", "block", "report"),
)
_SHOP = Scenario(
    "shop",
    cluster_vectors=3,
    half_life_s=30 * _DAY_S,
    hidden_by=_SETTLED,
    trending_weight=0.05,
)
_MUSIC = Scenario("music", half_life_events=4.0, include_seen=True, max_per={"artist": 3})
SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {scenario.name: scenario for scenario in (_DEFAULT, _VIDEO, _NEWS, _SHOP, _MUSIC)}
)


def find_scenario(name: str | None, scenarios: Mapping[str, Scenario] = SCENARIOS) -> Scenario:
    """Return the scenario of a name; None is the default one.

    Raises:
        RequestError: If there is none; the message suggests the nearest and lists the known names.
    """
    name = _DEFAULT.name if name is None else name
    if name in scenarios:
        return scenarios[name]
    nearest = find_nearest_name(name, scenarios)
    hint = f"did you mean {nearest!r}? " if nearest else ""
    shown = name if len(name) <= 60 else name[:57] + "..."
    raise RequestError(f"unknown scenario {shown!r}; {hint}known are {', '.join(scenarios)}")
