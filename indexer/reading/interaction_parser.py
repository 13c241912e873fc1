"""The columns of a row to an interaction: its user, item, event, value, time and context."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from indexer.event_kinds import (
    COUNTED_EVENTS,
    Event,
    find_event,
    normalize_event_word,
    settle_event,
    suggest_event,
)
from indexer.field_names import TIME_FIELDS
from indexer.reading.event_reading import EventReading
from indexer.reading.field_parsers import (
    VALUE,
    BadValueError,
    is_missing,
    is_missing_for,
    parse_id,
    parse_number,
    parse_text,
    parse_unix_seconds,
)
from indexer.reading.interaction import Interaction
from indexer.reading.missing_words import is_unknown_circumstance
from indexer.reading.rows import clip, render_value
from indexer.reading.value_meaning import VALUE_COLUMNS, ValueKind

COLUMN_ALIASES = {
    "user_id": ("user_id", "user"),
    "item_id": ("item_id", "item"),
    "value": ("value", "rating"),
    "timestamp": TIME_FIELDS,
}
_MAX_EVENT_CHARS = 64
_SECONDS_DIGITS = (9, 10)  # of whole Unix seconds; longer ones may be milliseconds, eight a day
_NO_CONTEXT: Mapping[str, str] = {}  # shared by all rows that have none

_EVENT_BY_NAME = {event.value: event for event in Event}

T = TypeVar("T")


class InteractionParser:
    """Parses rows one after the other; what it parsed before it remembers by its text.

    Users, items and events come again and again, and then the same string serves all of them.
    """

    def __init__(self, columns: Sequence[str], reading: EventReading) -> None:
        """Take the context columns, and what is said of the events; notes what it finds there."""
        self._columns, self._reading = columns, reading
        self._context_names = frozenset((*columns, "context"))
        self._users: dict[str, str] = {}
        self._items: dict[str, str] = {}
        self._events: dict[str, str] = {}
        self._raw_events: dict[str, str] = {}

    def parse(self, values: Mapping[str, Any], place: str) -> Interaction | None:
        """Return the interaction of a row; None if it counts 0 of something, which is noted.

        Args:
            values: Column to value.
            place: Where the row is, `events.csv:3`.

        Raises:
            BadValueError: If a value cannot be what its column holds.
        """
        event = self._find_event(values)
        value = self._parse_value(values, event, place)
        raw_value = _describe_unreadable(values) if value is None else float(value)
        if event == Event.RATING and value is None:
            raise BadValueError("value is missing, and a rating needs one")
        if value == 0 and event == Event.RATING and self._is_unrated(values):
            event, value = Event.VIEW, None
        if value == 0 and not self._is_counted(event, values):
            value = None if event in COUNTED_EVENTS else value
        elif value == 0:
            self._reading.zero_counts += 1
            return None
        event, value = settle_event(event, value)
        if self._is_money(event):
            value = None
        text = _parse_optional("text", values, parse_text)
        is_text_search = event == Event.SEARCH and text is not None
        item_id = find_value("item_id", values)
        return Interaction(
            user_id=_parse_known_id("user_id", values, self._users),
            item_id=""
            if is_text_search and is_missing(item_id)
            else _parse_known_id("item_id", values, self._items),
            event=event,
            value=None if value is None else float(value),
            at=_parse_time(values),
            text=text,
            context=_NO_CONTEXT
            if self._context_names.isdisjoint(values)
            else _parse_context(values, self._columns),
            raw_event=self._describe_event(values),
            raw_value=raw_value,
        )

    def _describe_event(self, values: Mapping[str, Any]) -> str:
        """Return the row's own word for its event, whatever the caller says; "" without one."""
        raw = values.get("event")
        if raw is None:
            return ""
        word = raw if type(raw) is str else render_value(raw)
        known = self._raw_events.get(word)
        if known is None:
            plain = "" if is_missing(raw) else normalize_event_word(word)
            known = self._raw_events[word] = _to_utf8_text(plain)
        return known

    def _find_event(self, values: Mapping[str, Any]) -> str:
        reading = self._reading
        raw = values.get("event") if reading.event is None else None
        if is_missing(raw):
            # A cell that is empty, in a row without a value, may have been lost.
            if reading.event is None and "event" in values and is_missing(find_number(values)):
                raise BadValueError("event is missing; say what happened, or give --event NAME")
            if reading.meaning is None:
                raise BadValueError("event is missing; name its column with --fields event=…")
            return reading.meaning.event
        word = raw if type(raw) is str else parse_id("event", raw)
        known = self._events.get(word)
        if known is None:
            known = self._events[word] = _parse_event(word, reading)
        if known != word:
            reading.note_word(word, known)
        return known

    def _parse_value(self, values: Mapping[str, Any], event: str, place: str) -> float | None:
        """Return the number of a row; only a rating is refused for one that cannot be read."""
        raw = find_number(values)
        if raw is None or is_missing_for(parse_number, raw):
            return None
        try:
            return parse_number("value", raw)
        except BadValueError:
            if event == Event.RATING:
                raise
        reading = self._reading
        reading.unreadable_values += 1
        reading.first_unreadable = reading.first_unreadable or f"{place} {render_value(raw)}"
        return None

    def _is_unrated(self, values: Mapping[str, Any]) -> bool:
        meaning = self._reading.meaning
        says_itself = self._reading.event is None and not is_missing(values.get("event"))
        return meaning is not None and meaning.zero_is_unrated and not says_itself

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


def _describe_unreadable(values: Mapping[str, Any]) -> str | None:
    """Return the text of a value that is no number; None if there is no value."""
    raw = find_number(values)
    if raw is None or is_missing_for(parse_number, raw):
        return None
    return _to_utf8_text(render_value(raw))


def _to_utf8_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def find_value(name: str, values: Mapping[str, Any]) -> Any:
    """The value of the first column, among a field's name and its aliases, that is not null."""
    value = values.get(name)
    if value is not None:
        return value
    for alias in COLUMN_ALIASES.get(name, ()):
        value = values.get(alias)
        if value is not None:
            return value
    return None


def find_number_column(values: Mapping[str, Any]) -> str | None:
    """Return the column whose cells are the values of the interactions; None if there is none."""
    for name in COLUMN_ALIASES["value"]:
        if name in values:
            return name
    return next((name for name in VALUE_COLUMNS if name in values), None)


def find_number(values: Mapping[str, Any]) -> Any:
    """Return the unparsed value of a row; None without one."""
    value = values.get("value")
    if value is not None:
        return value
    value = values.get("rating")
    if value is not None or "value" in values or "rating" in values:
        return value
    column = find_number_column(values)
    return None if column is None else values[column]


def find_nested_context(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `context` object of a row; empty without one."""
    nested = values.get("context")
    return nested if nested is not None and isinstance(nested, Mapping) else _NO_CONTEXT


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


def _parse_known_id(name: str, values: Mapping[str, Any], known: dict[str, str]) -> str:
    """Return an id as `parse_id` does, from `known` if the same text was parsed before."""
    raw = find_value(name, values)
    if type(raw) is not str:
        if raw is None and values.keys().isdisjoint((name, *COLUMN_ALIASES[name])):
            columns = clip(", ".join(map(str, values)))
            raise BadValueError(
                f"{name} is missing: the columns are {columns}; say which it is with "
                f"--fields {name}=…"
            )
        return parse_id(name, raw)
    found = known.get(raw)
    if found is None:
        found = known[raw] = parse_id(name, raw)
    return found


def _parse_time(values: Mapping[str, Any]) -> float | None:
    """Return the time of a row, for whole seconds as most are written without a second look."""
    raw = find_value("timestamp", values)
    if type(raw) is str and len(raw) in _SECONDS_DIGITS and raw.isascii() and raw.isdigit():
        return float(raw)
    return None if is_missing_for(parse_unix_seconds, raw) else parse_unix_seconds("timestamp", raw)


def _parse_optional(
    name: str, values: Mapping[str, Any], parse: Callable[[str, Any], T]
) -> T | None:
    value = find_value(name, values)
    return None if value is None or is_missing_for(parse, value) else parse(name, value)


def _parse_context(values: Mapping[str, Any], columns: Sequence[str]) -> dict[str, str]:
    """Context words by column, from the row's columns and from its `context` object if any."""
    nested = find_nested_context(values)
    candidates = {**nested, **values} if nested else values
    words = {name: _to_word(candidates[name]) for name in columns if name in candidates}
    return {name: word for name, word in words.items() if not is_unknown_circumstance(word)}


def _to_word(value: Any) -> str:
    """A context value as a word: 3.0 is "3"; neither text nor a number is the empty string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else ""
