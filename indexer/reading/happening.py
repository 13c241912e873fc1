"""The event, value and liking cells of a row to what happened: an event and its value."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from indexer.event_kinds import COUNTED_EVENTS, Event, find_event, settle_event, suggest_event
from indexer.reading.event_reading import EventReading
from indexer.reading.field_parsers import (
    VALUE,
    BadValueError,
    is_missing,
    is_missing_for,
    parse_id,
    parse_number,
)
from indexer.reading.flag_columns import find_flagged, read_yes_or_no
from indexer.reading.interaction_columns import find_number, find_number_column
from indexer.reading.rows import render_value
from indexer.reading.value_meaning import ValueKind, read_stars

LIKING_COLUMN = "liked"  # yes or no
_MAX_EVENT_CHARS = 64
_EVENT_BY_NAME = {event.value: event for event in Event}


class Happening(NamedTuple):
    """What a row says somebody did."""

    event: str
    value: float | None


class HappeningReader:
    """Reads what happened, row by row; notes in the `EventReading` what it finds."""

    def __init__(self, reading: EventReading) -> None:
        """Take what the caller says of the events."""
        self._reading = reading
        self._events: dict[str, str] = {}

    def read(self, values: Mapping[str, Any], place: str) -> Happening | None:
        """Return what a row says happened; None if it did not, which is noted.

        Args:
            values: Column to value.
            place: Where the row is, `events.csv:3`.

        Raises:
            BadValueError: If the event is not known, or a rating cannot be read.
        """
        if self._reading.flags and is_missing(values.get("event")):
            return self._read_flags(values)
        event = self._find_event(values)
        raw = find_number(values)
        happened = _read_answer(raw, event)
        if happened is False and event == Event.LIKE:
            return Happening(Event.DISLIKE, None)
        value = self._parse_value(raw, event, place) if happened is None else None
        if event == Event.RATING and value is None:
            raise BadValueError("value is missing, and a rating needs one")
        if event == Event.RATING and self._is_unrated(value, values):
            event, value = Event.VIEW, None
        if happened is False or (value == 0 and self._is_counted(event, values)):
            self._reading.zero_counts += 1
            return None
        if value == 0 and event in COUNTED_EVENTS:
            value = None
        event, value = settle_event(event, value)
        return Happening(event, None if self._is_money(event) else value)

    def _read_flags(self, values: Mapping[str, Any]) -> Happening | None:
        """Return what the columns of yes and no say; None if they say no to all, which is noted."""
        found = find_flagged(self._reading.flags, values)
        is_weak = found is None or found[0] not in (Event.PURCHASE, Event.ADD_TO_CART)
        liking = self._find_liking(values) if is_weak else None
        if liking is not None:
            return Happening(liking, None)
        self._reading.flagged[None if found is None else found[0]] += 1
        return None if found is None else Happening(*found)

    def _find_event(self, values: Mapping[str, Any]) -> str:
        reading = self._reading
        raw = values.get("event") if reading.event is None else None
        if is_missing(raw):
            liking = self._find_liking(values)
            return self._find_silent_event(values) if liking is None else liking
        word = raw if type(raw) is str else parse_id("event", raw)
        known = self._events.get(word)
        if known is None:
            known = self._events[word] = _parse_event(word, reading)
        if known != word:
            reading.note_word(word, known)
        return known

    def _find_liking(self, values: Mapping[str, Any]) -> str | None:
        """Return like or dislike if a row answers whether its user liked it."""
        reading = self._reading
        answer = read_yes_or_no(values.get(LIKING_COLUMN)) if reading.has_likings else None
        if answer is None or (reading.has_silent_noes and not answer):
            return None
        event = Event.LIKE if answer else Event.DISLIKE
        reading.likings[event] += 1
        return event

    def _find_silent_event(self, values: Mapping[str, Any]) -> str:
        """Return the event of a row that does not say it."""
        reading = self._reading
        # A cell that is empty, in a row without a value, may have been lost.
        if reading.event is None and "event" in values and is_missing(find_number(values)):
            raise BadValueError("event is missing; say what happened, or give --event NAME")
        if reading.meaning is None:
            raise BadValueError(
                f"event is missing; name its column with {reading.fields_option} event=…"
            )
        return reading.meaning.event

    def _parse_value(self, raw: Any, event: str, place: str) -> float | None:
        """Return the number of a row; only a rating is refused for one that cannot be read."""
        if raw is None or is_missing_for(parse_number, raw):
            return None
        try:
            return parse_number("value", read_stars(raw))
        except BadValueError:
            if event == Event.RATING:
                raise
        reading = self._reading
        reading.unreadable_values += 1
        reading.first_unreadable = reading.first_unreadable or f"{place} {render_value(raw)}"
        return None

    def _is_unrated(self, value: float | None, values: Mapping[str, Any]) -> bool:
        meaning = self._reading.meaning
        if meaning is None or meaning.unrated is None or value != meaning.unrated:
            return False
        return self._reading.event is not None or is_missing(values.get("event"))

    @property
    def _kind(self) -> ValueKind | None:
        reading = self._reading
        return reading.value_kind or (reading.meaning.kind if reading.meaning else None)

    def _is_money(self, event: str) -> bool:
        return self._kind is ValueKind.MONEY and event not in (Event.RATING, Event.REVIEW)

    def _is_counted(self, event: str, values: Mapping[str, Any]) -> bool:
        """Whether the value of an event is how often it happened: not a price, not a rating."""
        if event in COUNTED_EVENTS:
            return not self._is_money(event) and find_number_column(values) != "rating"
        return event == Event.PURCHASE and self._kind is ValueKind.COUNT


def _read_answer(value: Any, event: str) -> bool | None:
    """Return whether an event happened, if its value says it in words; None if it does not.

    A rating is a number, and so is 0: it may be a price, or a count.
    """
    if value is None or event == Event.RATING:
        return None
    if isinstance(value, str):
        return read_yes_or_no(value) if value.strip().isalpha() else None
    return value if isinstance(value, bool) else None


def _parse_event(word: str, reading: EventReading) -> str:
    name = parse_id("event", word)
    if len(name) > _MAX_EVENT_CHARS:
        raise BadValueError(f"event {VALUE} is longer than {_MAX_EVENT_CHARS} characters", name)
    event = find_event(name, reading.own_names)
    if event is None:
        hint = suggest_event(name, reading.own_names)
        raise BadValueError(
            f"event is {VALUE}; {hint} An event of your own needs a weight in scenarios.toml",
            name,
        )
    return _EVENT_BY_NAME.get(event, event)
