"""The columns of a row to an interaction: its user, item, event, value, time and context."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from indexer.event_kinds import Event, normalize_event_word
from indexer.reading.event_reading import EventReading
from indexer.reading.field_parsers import (
    BadValueError,
    is_missing,
    is_missing_for,
    parse_id,
    parse_text,
    parse_unix_seconds,
)
from indexer.reading.happening import HappeningReader
from indexer.reading.interaction import Interaction
from indexer.reading.interaction_columns import (
    COLUMN_ALIASES,
    NO_CONTEXT,
    find_nested_context,
    find_number,
    find_value,
)
from indexer.reading.missing_words import is_unknown_circumstance
from indexer.reading.row_identity import (
    describe_written_id,
    describe_written_number,
    describe_written_time,
    to_utf8_text,
)
from indexer.reading.rows import clip, render_value

_MAX_KNOWN_VALUES = 100_000  # ratings are few, amounts of money are not
_SECONDS_DIGITS = (9, 10)  # of whole Unix seconds; longer ones may be milliseconds, eight a day

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
        self._ids_by_name: dict[str, str] = {}
        self._happenings = HappeningReader(reading)
        self._raw_values: dict[str, float | str | None] = {}
        self._raw_events: dict[str, str] = {}

    def parse(
        self, values: Mapping[str, Any], place: str, written: Mapping[str, Any]
    ) -> Interaction | None:
        """Return the interaction of a row; None if it counts 0 of something, which is noted.

        Args:
            values: Column to value.
            place: Where the row is, `events.csv:3`.
            written: Column to the cell that identifies the row.

        Raises:
            BadValueError: If a value cannot be what its column holds.
        """
        happening = self._happenings.read(values, place)
        if happening is None:
            return None
        event, value = happening
        text = _parse_optional("text", values, parse_text)
        is_text_search = event == Event.SEARCH and text is not None
        has_no_item = is_text_search and is_missing(find_value("item_id", values))
        has_context = not self._context_names.isdisjoint(values)
        user_id = self._parse_known_id("user_id", values, self._users)
        item_id = "" if has_no_item else self._find_item(values)
        at = _parse_time(values)
        return Interaction(
            user_id=user_id,
            item_id=item_id,
            event=event,
            value=None if value is None else float(value),
            at=at,
            text=text,
            context=_parse_context(values, self._columns) if has_context else NO_CONTEXT,
            raw_event=self._describe_event(written),
            raw_value=self._describe_value(find_number(written)),
            raw_user_id=_describe_raw_id("user_id", written, user_id),
            raw_item_id=_describe_raw_id("item_id", written, item_id),
            raw_at=_describe_raw_time(written, at),
        )

    def _describe_value(self, raw: Any) -> float | str | None:
        """Return a value as the row writes it."""
        if type(raw) is not str:
            return describe_written_number(raw)
        if raw in self._raw_values:
            return self._raw_values[raw]
        described = describe_written_number(raw)
        if len(self._raw_values) < _MAX_KNOWN_VALUES:
            self._raw_values[raw] = described
        return described

    def _parse_known_id(self, name: str, values: Mapping[str, Any], known: dict[str, str]) -> str:
        """Return an id as `parse_id` does, from `known` if the same text was parsed before."""
        raw = find_value(name, values)
        if type(raw) is not str:
            if raw is None and values.keys().isdisjoint((name, *COLUMN_ALIASES[name])):
                columns = clip(", ".join(map(str, values)))
                raise BadValueError(
                    f"{name} is missing: the columns are {columns}; say which it is with "
                    f"{self._reading.fields_option} {name}=…"
                )
            return parse_id(name, raw)
        found = known.get(raw)
        if found is None:
            found = known[raw] = parse_id(name, raw)
        return found

    def _find_item(self, values: Mapping[str, Any]) -> str:
        """Return the id of the item that a row names, which may be called otherwise there."""
        name = self._parse_known_id("item_id", values, self._items)
        names = self._reading.item_names
        if names is None:
            return name
        item_id = self._ids_by_name.get(name)
        if item_id is None:
            item_id = self._ids_by_name[name] = names.resolve(name)
        return item_id

    def _describe_event(self, values: Mapping[str, Any]) -> str:
        """Return the row's own word for its event, whatever the caller says; "" without one."""
        raw = values.get("event")
        if raw is None:
            return ""
        word = raw if type(raw) is str else render_value(raw)
        known = self._raw_events.get(word)
        if known is None:
            plain = "" if is_missing(raw) else normalize_event_word(word)
            known = self._raw_events[word] = to_utf8_text(plain)
        return known


def _describe_raw_id(name: str, written: Mapping[str, Any], parsed: str) -> str | None:
    """Return an id as the row writes it; None if it is the parsed one."""
    raw = written.get(name)
    if type(raw) is str and raw == parsed:
        return None
    raw = find_value(name, written)
    described = describe_written_id(raw)
    return None if described == parsed or described is None else to_utf8_text(described)


def _describe_raw_time(written: Mapping[str, Any], at: float | None) -> float | str | None:
    """Return a time as the row writes it; None if it is the parsed one."""
    raw = written.get("timestamp")
    if type(raw) is str and len(raw) in _SECONDS_DIGITS and raw.isascii() and raw.isdigit():
        return None
    if raw is None:
        raw = find_value("timestamp", written)
    described = describe_written_time(raw)
    return None if described == at else described


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
