"""One event of one user, as sources bring it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
        raw_event: The word of the row for the event, in plain spelling; empty without one, None if
            `event` is that word. Unlike `event`, it depends on no other row and on no option.
        raw_value: The value of the row, whatever it was taken for: a number, or the text of one
            that is not plainly written. It counts with `raw_event`.
        raw_user_id: The user as the row writes them; None: so is `user_id`.
        raw_item_id: The item as the row writes it; None: so is `item_id`.
        raw_at: The time as the row writes it; None: it is `at`.
    """

    user_id: str
    item_id: str
    event: str
    value: float | None
    at: float | None
    text: str | None
    context: Mapping[str, str]
    raw_event: str | None = field(default=None, compare=False, repr=False)
    raw_value: float | str | None = field(default=None, compare=False, repr=False)
    raw_user_id: str | None = field(default=None, compare=False, repr=False)
    raw_item_id: str | None = field(default=None, compare=False, repr=False)
    raw_at: float | str | None = field(default=None, compare=False, repr=False)
