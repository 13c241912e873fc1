"""Rows to interactions: the user, the event, the item, the time and the context of each."""

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from indexer.reading.column_names import Role, SourceNames, check_field_names
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
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import (
    INTERACTION_FIELDS,
    NO_MAPPING,
    BadRow,
    Rejection,
    RequiredColumns,
    Row,
    reject,
    rename_columns,
)
from indexer.reading.tables import read_rows

__all__ = [
    "DEFAULT_CONTEXT",
    "MAX_AHEAD_S",
    "Event",
    "Interaction",
    "infer_rating_scale",
    "read_interactions",
]

DEFAULT_CONTEXT = (
    "daytime", "daytype", "weekday", "season", "place", "location", "city", "country", "weather",
    "social", "scene", "device", "mood",
)  # fmt: skip
COLUMN_ALIASES = {
    "user_id": ("user_id", "user"),
    "item_id": ("item_id", "item"),
    "value": ("value", "rating"),
    "timestamp": ("timestamp", "time", "at"),
}
# Usual scales of stars, thumbs, grades and percentages; the first that fits is taken.
RATING_SCALES = (
    (0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0),
    (-10.0, 10.0), (1.0, 100.0), (0.0, 100.0),
)  # fmt: skip

MAX_AHEAD_S = 86_400.0  # of an event's time before now; what is later is a wrong clock or unit

_OUR_COLUMNS = {
    "event",
    "text",
    *COLUMN_ALIASES,
    *(name for names in COLUMN_ALIASES.values() for name in names),
}
_UNKNOWN_WORDS = {"", "unknown", "nan", "-1", "none", "null", "n/a"}
_MAX_EVENT_CHARS = 64
_MAX_SECONDS_DIGITS = 10  # of whole Unix seconds; longer numbers may be milliseconds
_NO_CONTEXT: Mapping[str, str] = {}  # shared by all rows that have none

T = TypeVar("T")


class Event(StrEnum):
    """The events with a built-in meaning; other names are allowed as plain strings."""

    VIEW = "view"
    CLICK = "click"
    SEARCH = "search"
    LIKE = "like"
    DISLIKE = "dislike"
    SKIP = "skip"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    RATING = "rating"
    REVIEW = "review"
    SHARE = "share"
    PLAY = "play"
    FINISH = "finish"


_KNOWN_EVENTS = {event.value: event for event in Event}


@dataclass(frozen=True, slots=True)
class Interaction:
    """One event of one user.

    Attributes:
        user_id: Without surrounding spaces.
        item_id: Without surrounding spaces; empty for a search that has only a text.
        event: An `Event`, or another name as the source spells it.
        value: A number such as the rating; never None for a rating.
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


def read_interactions(
    source: str,
    *,
    context: Sequence[str] | None = None,
    mapping: Mapping[str, str] = NO_MAPPING,
    query: str | None = None,
    extra_columns: Sequence[str] = (),
    now: float | None = None,
    notes: ReadingNotes | None = None,
) -> Iterator[Interaction | Rejection]:
    """Return the interactions of a file or a database in row order.

    A row whose time is more than a day ahead is rejected: it would be the newest for years.

    Args:
        source: A file or a database URL.
        context: The context columns, named as after mapping; None for `DEFAULT_CONTEXT`.
        mapping: Our field names to the source's columns. Only `INTERACTION_FIELDS` must exist, so
            that one mapping can serve the catalogue too; its `id` also names the item's column.
        query: A SELECT or the name of a table, for a database.
        extra_columns: Further columns to keep as context where they exist.
        now: Unix seconds; None for the time of the call.
        notes: Where guesses about the source are told.

    Raises:
        CatalogError: At once if the source does not exist; while iterating if it is damaged; at
            the end if no row had a mapped column or one that `context` names.
    """
    columns = (*(DEFAULT_CONTEXT if context is None else context), *extra_columns)
    used = {
        ours: theirs for ours, theirs in mapping.items() if ours in _OUR_COLUMNS or ours in columns
    }
    required = [theirs for ours, theirs in used.items() if ours in INTERACTION_FIELDS]
    required_columns = (
        RequiredColumns(required, option="--fields"),
        RequiredColumns(context or (), option="--context"),
    )
    if "id" in mapping and not {"item_id", "item"} & used.keys():
        used["item_id"] = mapping["id"]
    check_field_names(mapping)
    naming = SourceNames(Role.INTERACTIONS, used, columns, notes or ReadingNotes())
    rows = read_rows(source, naming, query=query)
    latest_at = (time.time() if now is None else now) + MAX_AHEAD_S
    return _read_interactions(rows, columns, used, required_columns, latest_at=latest_at)


def _read_interactions(
    rows: Iterator[Row | BadRow],
    columns: Sequence[str],
    mapping: Mapping[str, str],
    required: tuple[RequiredColumns, RequiredColumns],
    *,
    latest_at: float,
) -> Iterator[Interaction | Rejection]:
    """Parse rows; `required` watches source columns, then context columns after mapping."""
    required_fields, required_context = required
    parser = _InteractionParser(columns)
    for row in rows:
        if isinstance(row, BadRow):
            yield reject(row)
            continue
        values = rename_columns(row.values, mapping) if mapping else row.values
        required_fields.observe(row.values)
        required_context.observe(values)
        required_context.observe(_find_nested_context(values))
        try:
            interaction = parser.parse(values)
            _refuse_later_than(latest_at, interaction.at, values)
            yield interaction
        except BadValueError as error:
            yield reject(row, str(error), error.anonymous_message)
    required_fields.check()
    required_context.check()


class _InteractionParser:
    """Parses rows one after the other; what it parsed before it remembers by its text.

    Users, items and events come again and again, and then the same string serves all of them.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        """Take the context columns."""
        self._columns = columns
        self._context_names = frozenset((*columns, "context"))
        self._users: dict[str, str] = {}
        self._items: dict[str, str] = {}
        self._events: dict[str, str] = {}

    def parse(self, values: Mapping[str, Any]) -> Interaction:
        """Return the interaction of a row.

        Raises:
            BadValueError: If a value cannot be what its column holds.
        """
        value = _parse_optional("value", values, parse_number)
        event = self._parse_event(values, has_value=value is not None)
        if event == Event.RATING and value is None:
            raise BadValueError("value is missing, and a rating needs one")
        text = _parse_optional("text", values, parse_text)
        is_text_search = event == Event.SEARCH and text is not None
        item_id = _find_value("item_id", values)
        return Interaction(
            user_id=_parse_known_id("user_id", _find_value("user_id", values), self._users),
            item_id=""
            if is_text_search and is_missing(item_id)
            else _parse_known_id("item_id", item_id, self._items),
            event=event,
            value=None if value is None else float(value),
            at=_parse_time(values),
            text=text,
            context=_NO_CONTEXT
            if self._context_names.isdisjoint(values)
            else _parse_context(values, self._columns),
        )

    def _parse_event(self, values: Mapping[str, Any], *, has_value: bool) -> str:
        raw = values.get("event")
        if type(raw) is not str:  # numbers that are equal may be written in several ways
            return _parse_event(values, has_value=has_value)
        known = self._events.get(raw)
        if known is None:
            known = self._events[raw] = _parse_event(values, has_value=has_value)
        return known


def _parse_known_id(name: str, raw: Any, known: dict[str, str]) -> str:
    """Return an id as `parse_id` does, from `known` if the same text was parsed before."""
    if type(raw) is not str:
        return parse_id(name, raw)
    found = known.get(raw)
    if found is None:
        found = known[raw] = parse_id(name, raw)
    return found


def _parse_time(values: Mapping[str, Any]) -> float | None:
    """Return the time of a row, for whole seconds as most are written without a second look."""
    raw = _find_value("timestamp", values)
    if type(raw) is str and len(raw) <= _MAX_SECONDS_DIGITS and raw.isascii() and raw.isdigit():
        return float(raw)
    return None if is_missing_for(parse_unix_seconds, raw) else parse_unix_seconds("timestamp", raw)


def _refuse_later_than(latest_at: float, at: float | None, values: Mapping[str, Any]) -> None:
    if at is not None and at > latest_at:
        raise BadValueError(
            f"timestamp {VALUE} is more than a day ahead; write when it happened",
            _find_value("timestamp", values),
        )


def _find_value(name: str, values: Mapping[str, Any]) -> Any:
    """The value of the first column, among a field's name and its aliases, that is not null."""
    value = values.get(name)
    if value is not None:
        return value
    for alias in COLUMN_ALIASES.get(name, ()):
        value = values.get(alias)
        if value is not None:
            return value
    return None


def _parse_optional(
    name: str, values: Mapping[str, Any], parse: Callable[[str, Any], T]
) -> T | None:
    value = _find_value(name, values)
    return None if value is None or is_missing_for(parse, value) else parse(name, value)


def _parse_event(values: Mapping[str, Any], *, has_value: bool) -> str:
    raw = values.get("event")
    if is_missing(raw):
        if "event" not in values and has_value:
            return Event.RATING
        raise BadValueError("event is missing; name its column with --fields event=…")
    name = parse_id("event", raw)
    if len(name) > _MAX_EVENT_CHARS:
        raise BadValueError(f"event {VALUE} is longer than {_MAX_EVENT_CHARS} characters", name)
    return _KNOWN_EVENTS.get(re.sub(r"[\s-]+", "_", name.lower()), name)


def _parse_context(values: Mapping[str, Any], columns: Sequence[str]) -> dict[str, str]:
    """Context words by column, from the row's columns and from its `context` object if any."""
    nested = _find_nested_context(values)
    candidates = {**nested, **values} if nested else values
    words = {name: _to_word(candidates[name]) for name in columns if name in candidates}
    return {name: word for name, word in words.items() if word.lower() not in _UNKNOWN_WORDS}


def _find_nested_context(values: Mapping[str, Any]) -> Mapping[str, Any]:
    nested = values.get("context")
    return nested if nested is not None and isinstance(nested, Mapping) else _NO_CONTEXT


def _to_word(value: Any) -> str:
    """A context value as a word: 3.0 is "3"; neither text nor a number is the empty string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else ""


def infer_rating_scale(values: Iterable[float]) -> tuple[float, float]:
    """Return lowest and highest of the first usual scale that contains all ratings.

    See `RATING_SCALES`. Without ratings it is (1, 5). If no usual scale contains them it is the
    range of the ratings, extended to include 0. NaN and infinity are ignored.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return (1.0, 5.0)
    lowest, highest = min(finite), max(finite)
    for low, high in RATING_SCALES:
        if low <= lowest and highest <= high:
            return (low, high)
    return (float(min(lowest, 0.0)), float(max(highest, 0.0)))
