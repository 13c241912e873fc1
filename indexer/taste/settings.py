"""The learned settings of a taste model: the weight of each block and the reach of a history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from indexer.taste.event_scale import EventScale

RECENT_VECTORS = 3  # latest items that get a query vector of their own beside the profile
PROFILE_SHARE = 0.7  # share of the profile in the vector of a recent item; the rest is the item


@dataclass(frozen=True, slots=True)
class TasteSettings:
    """The learned numbers; the defaults are zero-shot: meaning vectors alone, nothing learned.

    A reach is a number of events: an entry that many events ago counts a quarter. A half-life is a
    share of all events: an event counts half if that share of them is newer; 0 means that old
    events count as new ones. A weight of 0 turns its block off.

    Attributes:
        meaning_weight: Of the meaning block.
        meaning_reach: Reach of the history in the meaning block.
        meaning_doubt: Shrinkage of the meaning profile: it is scaled by `w / (w + meaning_doubt)`,
            `w` being the sum of the weights of its entries.
        taste_reach: Reach of the history in the taste block and for the neighbours.
        met_weight: Weight of a rating that is not liking, at the least that would be; a liked
            entry has 1. Above 0: what was rated was chosen.
        browse_weight: Of unrated events where ratings say what is liked, times their strength.
            Above 0: no kind of event is ever switched off.
        neighbour_weight: Of the neighbours of history items.
        taste_half_life: Of the events that the neighbours are fitted on.
        text_weight: Of the taste block.
        prior_weight: Of the popularity prior, for each nat.
        prior_half_life: Of the picks that the prior counts.
        prior_lean: By which share the weight of the prior grows, at most, for a user whose picks
            have a prior one standard deviation above that of all picks; it falls for users below.
            In [0, 1].
        repeat_weight: Of a user's own items, where items may be recommended again.
        repeat_reach: Age in events at which a user's own item counts 1/e.
        context_gain: By which share the weight of an entry grows if its whole context matches.
        context_weight: Of the directions of the current context.
        moment_share: Of the weight that a scenario gives to words about the moment, such as a
            season or the weather, the share that is left to them beside what was learned.
        scale: What ratings, counts and events are worth.
        context: The context columns.
    """

    meaning_weight: float = 1.0
    meaning_reach: float = 5.0
    meaning_doubt: float = 0.0
    taste_reach: float = 5.0
    met_weight: float = 0.3
    browse_weight: float = 1.0
    neighbour_weight: float = 0.0
    taste_half_life: float = 0.0
    text_weight: float = 0.0
    prior_weight: float = 0.0
    prior_half_life: float = 0.0
    prior_lean: float = 0.0
    repeat_weight: float = 0.0
    repeat_reach: float = 100.0
    context_gain: float = 0.0
    context_weight: float = 0.0
    moment_share: float = 1.0
    scale: EventScale = field(default_factory=EventScale)
    context: tuple[str, ...] = ()


def parse_settings(facts: Mapping[str, Any]) -> TasteSettings:
    """Return the settings that `dataclasses.asdict` and JSON made of some.

    Those of an earlier release have no scale of events, but perhaps the least rating that is
    liking; and a prior of items that nobody picked.
    """
    values = dict(facts)
    scale = values.pop("scale", None) or {"like_from": values.get("like_from")}
    values.pop("like_from", None)
    values.pop("cold_level", None)
    return TasteSettings(
        **{**values, "context": tuple(values["context"]), "scale": EventScale.from_json(scale)}
    )
