"""What was learned as a few numbers: how far a history reaches, how much each block counts."""

from dataclasses import dataclass

RECENT_VECTORS = 3
PROFILE_SHARE = 0.7  # of the whole profile in the vector of one recent item; the rest is the item


@dataclass(frozen=True, slots=True)
class TasteSettings:
    """The learned numbers; the defaults are those without any evidence.

    Reaches are in events: an entry `r` events ago, `r` being the reach, counts a quarter.

    Attributes:
        meaning_weight: Of the meaning block.
        meaning_reach: Of the history, for the meaning block.
        meaning_doubt: A history whose entries weigh `w` together counts `w / (w + meaning_doubt)`:
            of one event little is known.
        taste_reach: Of the history, for the taste block and the neighbours.
        met_weight: What an item that was met without being liked counts, against 1 when liked.
        neighbour_weight: Of the named neighbours; 0 when shut.
        taste_half_life: Of what the neighbours learn from, in shares of all events; 0: none.
        text_weight: Of the taste block; 0 when shut.
        prior_weight: Of the prior, for each nat; 0 when shut.
        prior_half_life: In shares of all events; 0: old picks count as new ones.
        prior_lean: How much more the prior counts, as a share and at most, for a user whose picks
            had a prior one standard deviation above that of picks at large; below it, less. In
            [0, 1].
        cold_level: Prior of items nobody met, as a share of what a picked item has on average.
        repeat_weight: Of an item's own past, where items may come again; 0 when shut.
        repeat_reach: Of the history, for an item's own past.
        context_gain: How much more an entry counts when all its circumstances are those of now.
        context_weight: Of the directions of the circumstances of now; 0 when shut.
        like_from: The least rating that is liking; None where there are no ratings.
        context: The columns that are circumstances.
    """

    meaning_weight: float = 1.0
    meaning_reach: float = 5.0
    meaning_doubt: float = 0.0
    taste_reach: float = 5.0
    met_weight: float = 0.0
    neighbour_weight: float = 0.0
    taste_half_life: float = 0.0
    text_weight: float = 0.0
    prior_weight: float = 0.0
    prior_half_life: float = 0.0
    prior_lean: float = 0.0
    cold_level: float = 0.0
    repeat_weight: float = 0.0
    repeat_reach: float = 100.0
    context_gain: float = 0.0
    context_weight: float = 0.0
    like_from: float | None = None
    context: tuple[str, ...] = ()
