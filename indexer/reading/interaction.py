"""One event of one user, as sources bring it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interaction:
    """One event of one user.

    Attributes:
        user_id: Without surrounding spaces.
        item_id: Without surrounding spaces; empty for a search that has only a text.
        event: An `Event`, or the name of one that `scenarios.toml` weighs.
        value: A number such as the rating or how often; never None for a rating.
        at: Unix seconds, UTC; None if the row has no time.
        text: The text that was searched for or written.
        context: Context column to word, for the columns that were asked for and are known.
    """

    user_id: str
    item_id: str
    event: str
    value: float | None
    at: float | None
    text: str | None
    context: Mapping[str, str]
