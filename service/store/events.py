"""The JSON body of POST /v1/events to checked `Event`s. Pure.

A `search` has a text, a `review` both a text and an item, a `rating` a value. Usual words mean
built-in events; a name that no scenario weighs is refused.
"""

import re
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from indexer.errors import RequestError
from indexer.event_kinds import settle_event
from indexer.reading import MAX_AHEAD_S
from indexer.request import (
    BUILT_IN_EVENTS,
    ContextValue,
    format_value,
    parse_context,
    parse_event_name,
    parse_finite,
    parse_id,
    parse_text,
    parse_timestamp,
    refuse_unknown,
    resolve_event,
)

MAX_EVENTS_PER_CALL = 1_000
IMPORT_PREFIX = "import-"  # of the ids of imported events
IMPORT_DIGEST_BYTES = 16  # which follow it, in hexadecimal
SEARCH, REVIEW, RATING, IMPRESSION = "search", "review", "rating", "impression"

_EVENT_SPACING_S = 1e-6  # between events of one call that have no time of their own
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_CONTEXT: Mapping[str, ContextValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Event:
    """One action of a user: what they did with an item, searched for or wrote.

    Attributes:
        user_id: None for an anonymous visitor, who has a session.
        item_id: None for a search.
        event: Name of the event, such as click.
        at: Time of the action, Unix seconds.
        recommendation_id: The list that the action followed from.
        is_undated: Whether `at` is only when it was imported, as its source tells no time. It is
            not stored.
    """

    event_id: str
    user_id: str | None
    session_id: str | None
    item_id: str | None
    event: str
    value: float | None
    text: str | None
    at: float
    context: Mapping[str, ContextValue] = field(default_factory=lambda: _NO_CONTEXT)
    recommendation_id: str | None = None
    is_undated: bool = False

    @property
    def owner(self) -> str:
        """The user, or the session of an anonymous visitor."""
        return self.user_id or self.session_id or ""

    @property
    def happened_at(self) -> float:
        """The time that decides whose it is: an act of unknown time is before any other."""
        return float("-inf") if self.is_undated else self.at


def parse_events(
    body: Mapping[str, Any], *, now: float, known_names: Collection[str] = BUILT_IN_EVENTS
) -> list[Event]:
    """Return the events of `{"events": […]}`, or the one that the body itself is.

    Args:
        body: JSON of the call.
        now: Time of events that have none, Unix seconds.
        known_names: Names of events beside the usual words; any other is refused.

    Raises:
        RequestError: Naming the field, what it holds and what it may hold.
    """
    if "events" not in body:
        return [parse_event(body, now=now, known_names=known_names)]
    if len(body) > 1:
        other = next(name for name in body if name != "events")
        raise RequestError(f"send either one event or a list in events, not events and {other}")
    events = body["events"]
    if not isinstance(events, Sequence) or isinstance(events, str):
        raise RequestError(f"events must be a list, got {format_value(events)}")
    if len(events) > MAX_EVENTS_PER_CALL:
        raise RequestError(
            f"events has {len(events)} entries, at most {MAX_EVENTS_PER_CALL} are read; send fewer "
            f"at once"
        )
    # Events without a time happened in the order in which they are listed.
    return [
        parse_event(event, f"events[{n}]", now=now + n * _EVENT_SPACING_S, known_names=known_names)
        for n, event in enumerate(events)
    ]


def parse_event(
    body: Any, name: str = "", *, now: float, known_names: Collection[str] = BUILT_IN_EVENTS
) -> Event:
    """Return one event; without `event_id` it gets a random one, without `at` the time `now`.

    A time more than a day after `now` is refused: the event would be the newest for years.

    Raises:
        RequestError: Naming the field, what it holds and what it may hold.
    """
    if not isinstance(body, Mapping):
        raise RequestError(f"{name or 'the event'} must be an object, got {format_value(body)}")
    prefix = f"{name}." if name else ""
    values: dict[str, Any] = {}
    refuse_unknown(body, _PARSERS, name or "the event")
    for key, value in body.items():
        if value is not None:
            values[key] = _PARSERS[key](value, f"{prefix}{key}")
    values.setdefault("event_id", uuid.uuid4().hex)
    values.setdefault("at", now)
    if "event" in values:
        found = resolve_event(values["event"], f"{prefix}event", known_names)
        values["event"], values["value"] = settle_event(found, values.get("value"))
    event = Event(**{**_DEFAULTS, **values})
    _check_required_fields(event, name or "the event")
    if event.at > now + MAX_AHEAD_S:
        raise RequestError(
            f"{prefix}at {format_value(body['at'])} is more than a day ahead of this service's "
            f"clock; send when it happened, or leave at out"
        )
    return event


def _check_required_fields(event: Event, name: str) -> None:
    """Refuse an event that lacks a field that its name requires."""
    if not event.event:
        raise RequestError(f"{name} has no event; say what happened, such as click")
    if not event.owner:
        raise RequestError(f"{name} has no user_id; an anonymous visitor needs a session_id")
    if event.event == SEARCH and event.text is None:
        raise RequestError(f"{name} is a search without text; give the words in text")
    if event.event != SEARCH and event.item_id is None:
        raise RequestError(f"{name} has no item_id; only a search can do without")
    if event.event == REVIEW and event.text is None:
        raise RequestError(f"{name} is a review without text; give the words in text")
    if event.event == RATING and event.value is None:
        raise RequestError(f"{name} is a rating without value; give the number in value")


def parse_clean_id(value: Any, name: str) -> str:
    """Return an id that any database can store.

    Raises:
        RequestError: If it is not an id, or holds control characters.
    """
    clean = parse_id(value, name)
    if _CONTROL_CHARACTERS.search(clean):
        raise RequestError(f"{name} {format_value(clean)} has control characters; leave them out")
    return clean


def parse_clean_text(value: Any, name: str) -> str | None:
    """Return text that any database can store, or None if it is empty.

    Raises:
        RequestError: If it is not text, too long, or holds the character NUL.
    """
    clean = parse_text(value, name)
    if clean and "\x00" in clean:
        raise RequestError(f"{name} holds the character NUL; leave it out")
    return clean


def is_import_id(event_id: str) -> bool:
    """Whether an id is one that `imported_events.ImportIds` gives, as far as its form tells."""
    digits = event_id.removeprefix(IMPORT_PREFIX)
    is_hex = len(digits) == 2 * IMPORT_DIGEST_BYTES and set(digits) <= set("0123456789abcdef")
    return event_id.startswith(IMPORT_PREFIX) and is_hex


def _parse_event_id(value: Any, name: str) -> str:
    """Return an id that no row of a file has, which would then never be imported."""
    event_id = parse_clean_id(value, name)
    if is_import_id(event_id):
        raise RequestError(
            f"{name} {format_value(event_id)} has the form of ids that `zhiyin import` gives to "
            f"rows of files; choose another, or leave it out"
        )
    return event_id


_PARSERS: Mapping[str, Callable[[Any, str], Any]] = {
    "event_id": _parse_event_id,
    "user_id": parse_clean_id,
    "session_id": parse_clean_id,
    "item_id": parse_clean_id,
    "event": parse_event_name,
    "value": parse_finite,
    "text": parse_clean_text,
    "at": parse_timestamp,
    "context": parse_context,
    "recommendation_id": parse_clean_id,
}
_DEFAULTS: Mapping[str, Any] = {
    "user_id": None, "session_id": None, "item_id": None, "event": "", "value": None, "text": None,
}  # fmt: skip
