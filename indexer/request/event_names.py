"""The name of an event to the event it means; a name that nobody has weighed is refused. Pure.

Usual words, English and Chinese, mean built-in events: see `indexer.event_kinds`. Any other name
would count as we guess, so it needs a weight in `scenarios.toml`, by every door.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from indexer.errors import RequestError
from indexer.event_kinds import BUILT_IN_EVENTS, find_event, suggest_event
from indexer.request.scenarios import Scenario
from indexer.request.values import format_value, parse_text

MAX_EVENT_NAME = 64
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


def collect_own_weights(scenarios: Mapping[str, Scenario]) -> dict[str, float]:
    """Return the weights of events that are not built in; the first scenario's that has one."""
    weights: dict[str, float] = {}
    for scenario in scenarios.values():
        for name, weight in scenario.event_weights.items():
            if name not in BUILT_IN_EVENTS:
                weights.setdefault(name, float(weight))
    return weights


def resolve_event(event: str, name: str, known: Collection[str]) -> str:
    """Return the event that a name means.

    Args:
        event: As the caller spells it.
        name: Of the field.
        known: From `collect_known_events`.

    Raises:
        RequestError: If nobody knows the name; with the nearest that is known.
    """
    if event in known:
        return event
    found = find_event(event, known)
    if found is None:
        own = [word for word in known if word not in BUILT_IN_EVENTS]
        raise RequestError(
            f"{name} is {format_value(event)}; {suggest_event(event, own)} An event of your own "
            f"needs a weight in scenarios.toml"
        )
    return found
