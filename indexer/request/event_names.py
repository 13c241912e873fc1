"""The name of an event: known, of one's own, or nearly a known one, which is refused. Pure.

One rule for every door: a "disliek" taken for an event of its own would count as a like.
"""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from indexer.errors import RequestError
from indexer.request.scenarios import EVENT_WEIGHTS, NEUTRAL_EVENTS, Scenario
from indexer.request.values import format_value, parse_text

MAX_EVENT_NAME = 64
BUILT_IN_EVENTS = frozenset([*EVENT_WEIGHTS, *NEUTRAL_EVENTS])
_MISSPELLING_CUTOFF = 0.8  # likeness from which another name is a misspelling
_CONTROL_CHARS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse_event_name(value: Any, name: str) -> str:
    """Return the name of an event, known or not.

    Raises:
        RequestError: If it is no short word.
    """
    if isinstance(value, str) and value in BUILT_IN_EVENTS:
        return value
    event = parse_text(value, name) if isinstance(value, str) else None
    if not event or len(event) > MAX_EVENT_NAME or _CONTROL_CHARS.search(event):
        raise RequestError(
            f"{name} must be a word of at most {MAX_EVENT_NAME} characters such as click, got "
            f"{format_value(value)}"
        )
    return event


def collect_known_events(scenarios: Mapping[str, Scenario]) -> frozenset[str]:
    """Return the built-in events and those that a scenario weighs or hides by."""
    own = [
        name
        for scenario in scenarios.values()
        for name in (*scenario.event_weights, *(scenario.hidden_by or ()))
    ]
    return BUILT_IN_EVENTS.union(own)


def refuse_misspelt(event: str, name: str, known: Collection[str]) -> None:
    """Raise for an event that is not known but nearly so.

    Raises:
        RequestError: With the nearest known name.
    """
    if event in known:
        return
    names, lower = sorted(known), event.lower()
    close = get_close_matches(lower, names, n=1, cutoff=_MISSPELLING_CUTOFF)
    close = close or [name for name in names if sorted(name) == sorted(lower)]  # "veiw"
    if close:
        raise RequestError(
            f"{name} is {format_value(event)}; did you mean {close[0]!r}? An event of your own with so "
            f"similar a name needs a weight in scenarios.toml"
        )
