"""The rows of a source to interactions, and what its values were taken for."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from indexer.errors import CatalogError
from indexer.event_kinds import Event, find_event, suggest_event
from indexer.reading.column_names import Role, SourceNames, check_field_names
from indexer.reading.event_reading import EventReading
from indexer.reading.field_parsers import VALUE, BadValueError, is_missing, parse_number
from indexer.reading.interaction import Interaction
from indexer.reading.interaction_parser import (
    COLUMN_ALIASES,
    InteractionParser,
    find_nested_context,
    find_number,
    find_number_column,
    find_value,
)
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
from indexer.reading.value_meaning import ValueKind, ValueMeaning, decide_value_meaning

DEFAULT_CONTEXT = (
    "daytime", "daytype", "weekday", "season", "place", "location", "city", "country", "weather",
    "social", "scene", "device", "mood",
)  # fmt: skip
MAX_AHEAD_S = 86_400.0  # of an event's time before now; what is later is a wrong clock or unit

_OUR_COLUMNS = {
    "event",
    "text",
    *COLUMN_ALIASES,
    *(name for names in COLUMN_ALIASES.values() for name in names),
}
_SAMPLE_ROWS = 10_000  # read before it is decided what their values are


def read_interactions(
    source: str,
    *,
    context: Sequence[str] | None = None,
    mapping: Mapping[str, str] = NO_MAPPING,
    query: str | None = None,
    extra_columns: Sequence[str] = (),
    reading: EventReading | None = None,
) -> Iterator[Interaction | Rejection]:
    """Return the interactions of a file or a database in row order.

    A row whose time is more than a day ahead is rejected: it would be the newest for years. The
    value of a row without an event is a rating, a count or money, as the first rows show.

    Args:
        source: A file or a database URL.
        context: The context columns, named as after mapping; None for `DEFAULT_CONTEXT`.
        mapping: Our field names to the source's columns. Only `INTERACTION_FIELDS` must exist, so
            that one mapping can serve the catalogue too; its `id` also names the item's column.
        query: A SELECT or the name of a table, for a database.
        extra_columns: Further columns to keep as context where they exist.
        reading: What the caller says of the events; what is found is noted there.

    Raises:
        CatalogError: At once if the source does not exist or an event is not known; while
            iterating if the source is damaged; at the end if no row had a mapped column or one that
            `context` names.
    """
    reading = _check_event(EventReading() if reading is None else reading)
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
    naming = SourceNames(Role.INTERACTIONS, used, columns, reading.notes)
    rows = read_rows(source, naming, query=query)
    return _read_interactions(rows, columns, used, required_columns, reading=reading)


def _check_event(reading: EventReading) -> EventReading:
    """Return what the caller says, with the event that their word means.

    Raises:
        CatalogError: If nobody knows the word.
    """
    if reading.event is None:
        return reading
    event = find_event(reading.event, reading.own_names)
    if event is None:
        hint = suggest_event(reading.event, reading.own_names)
        raise CatalogError(
            f"--event is {reading.event!r}; {hint} An event of your own needs a weight in "
            f"scenarios.toml"
        )
    reading.event = event
    return reading


def _read_interactions(
    rows: Iterator[Row | BadRow],
    columns: Sequence[str],
    mapping: Mapping[str, str],
    required: tuple[RequiredColumns, RequiredColumns],
    *,
    reading: EventReading,
) -> Iterator[Interaction | Rejection]:
    """Parse rows; `required` watches source columns, then context columns after mapping."""
    required_fields, required_context = required
    latest_at = (time.time() if reading.now is None else reading.now) + MAX_AHEAD_S
    first = list(islice(rows, _SAMPLE_ROWS))
    reading.meaning = _decide_meaning(first, mapping, reading)
    parser = InteractionParser(columns, reading)
    for row in chain(first, rows):
        if isinstance(row, BadRow):
            yield reject(row)
            continue
        values = rename_columns(row.values, mapping) if mapping else row.values
        required_fields.observe(row.values)
        required_context.observe(values)
        required_context.observe(find_nested_context(values))
        try:
            interaction = parser.parse(values, f"{row.source}:{row.line}")
            if interaction is not None:
                _refuse_later_than(latest_at, interaction.at, values)
                yield interaction
        except BadValueError as error:
            yield reject(row, str(error), error.anonymous_message)
    required_fields.check()
    required_context.check()


def _decide_meaning(
    rows: Sequence[Row | BadRow], mapping: Mapping[str, str], reading: EventReading
) -> ValueMeaning | None:
    """Return what the first rows show of rows without an event; None if they all have one."""
    samples = [
        rename_columns(row.values, mapping) if mapping else row.values
        for row in rows
        if isinstance(row, Row)
    ]
    without = [row for row in samples if reading.event or is_missing(row.get("event"))]
    if not without:
        return None
    numbers = [_find_finite(row) for row in without]
    known = [number for number in numbers if number is not None]
    if not known and reading.event is None and all("event" in row for row in without):
        return None  # empty cells of a column that says what happened
    ours = next((name for row in without if (name := find_number_column(row))), "value")
    column = mapping.get(ours, ours)
    kind = ValueKind.RATING if reading.event == Event.RATING else reading.value_kind
    meaning = decide_value_meaning(column, known, kind)
    if reading.event is None:
        return meaning
    return replace(meaning, event=reading.event)


def _find_finite(values: Mapping[str, Any]) -> float | None:
    try:
        return float(parse_number("value", find_number(values)))
    except BadValueError:
        return None


def _refuse_later_than(latest_at: float, at: float | None, values: Mapping[str, Any]) -> None:
    if at is not None and at > latest_at:
        raise BadValueError(
            f"timestamp {VALUE} is more than a day ahead; write when it happened",
            find_value("timestamp", values),
        )
