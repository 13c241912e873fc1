"""The name of an event to a checked name; probable misspellings of known events are refused. Pure.

Callers may use event names of their own, which count as a mild like. A misspelt "disliek" would
therefore count as a like, so a name that is close to a known one is an error everywhere.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from indexer.errors import RequestError
from indexer.request.scenarios import EVENT_WEIGHTS, NEUTRAL_EVENTS, Scenario
from indexer.request.values import find_nearest_name, format_value, parse_text

MAX_EVENT_NAME = 64
BUILT_IN_EVENTS = frozenset([*EVENT_WEIGHTS, *NEUTRAL_EVENTS])
_MISSPELLING_CUTOFF = 0.8  # similarity from which a name counts as a misspelling
_CONTROL_CHARS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse_event_name(value: Any, name: str) -> str:
    """Return the name of an event, whether or not it is a known one.

    Raises:
        RequestError: If it is blank, over `MAX_EVENT_NAME` characters long, not text, or holds
            control characters.
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
    """Return the built-in events and all in `event_weights` or `hidden_by` of a scenario."""
    own = [
        name
        for scenario in scenarios.values()
        for name in (*scenario.event_weights, *(scenario.hidden_by or ()))
    ]
    return BUILT_IN_EVENTS.union(own)


def refuse_misspelt(event: str, name: str, known: Collection[str]) -> None:
    """Refuse an unknown event that looks like a known one: similar, or the same letters reordered.

    Raises:
        RequestError: With the nearest known name.
    """
    if event in known:
        return
    names, lower = sorted(known), event.lower()
    nearest = find_nearest_name(lower, names, cutoff=_MISSPELLING_CUTOFF)
    if nearest is None:  # "veiw" is less similar to "view" than the cutoff
        nearest = next(
            (known_name for known_name in names if sorted(known_name) == sorted(lower)), None
        )
    if nearest is not None:
        raise RequestError(
            f"{name} is {format_value(event)}; did you mean {nearest!r}? An event of your own with "
            f"so similar a name needs a weight in scenarios.toml"
        )
