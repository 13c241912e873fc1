"""The rows of a source to interactions, and what its values were taken for."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, NamedTuple, Self

from indexer.errors import CatalogError
from indexer.event_kinds import Event, find_event, suggest_event
from indexer.reading.column_names import Role, SourceNames, check_field_names, names_items
from indexer.reading.event_reading import EventReading
from indexer.reading.field_parsers import (
    VALUE,
    BadValueError,
    is_missing,
    is_missing_for,
    parse_number,
)
from indexer.reading.flag_columns import (
    find_flag_columns,
    find_unnamed_flag,
    is_log_of_shown,
    read_yes_or_no,
)
from indexer.reading.happening import LIKING_COLUMN
from indexer.reading.id_columns import collect_ids
from indexer.reading.interaction import Interaction
from indexer.reading.interaction_columns import (
    COLUMN_ALIASES,
    find_nested_context,
    find_number,
    find_number_column,
    find_value,
)
from indexer.reading.interaction_parser import InteractionParser
from indexer.reading.row_identity import WrittenCells
from indexer.reading.rows import (
    INTERACTION_FIELDS,
    NO_MAPPING,
    BadRow,
    Rejection,
    RequiredColumns,
    Row,
    reject,
    rename_columns,
    render_value,
)
from indexer.reading.tables import read_rows
from indexer.reading.value_meaning import (
    ValueKind,
    ValueMeaning,
    decide_value_meaning,
    read_stars,
)

DEFAULT_CONTEXT = (
    "daytime", "daytype", "weekday", "season", "place", "location", "city", "country", "weather",
    "social", "scene", "device", "mood",
)  # fmt: skip
MAX_AHEAD_S = 86_400.0  # of an event's time before now; what is later is a wrong clock or unit

_OUR_COLUMNS = {
    "event",
    "text",
    LIKING_COLUMN,
    *COLUMN_ALIASES,
    *(name for names in COLUMN_ALIASES.values() for name in names),
}
_SAMPLE_ROWS = 10_000  # read before it is decided what their values are
_MIN_ANSWERS_SHARE = 0.95  # of the cells of `liked`, from which they answer yes or no
_SILENT_NOES = 0.8  # of many answers, above which a no only says that nobody pressed the button
_MIN_TELLING_ANSWERS = 20
_MIN_UNREADABLE = 2  # values; a single one may be a slip
_LENGTHS = ("duration", "hours", "minutes", "seconds", "时长")  # of an item, or of a play


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
        mapping: Our field names to the source's columns, of which `INTERACTION_FIELDS` must exist;
            `id` also names the item's column. What concerns no interaction is told.
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
    used = _check_fields(mapping, columns, reading)
    expected = ExpectedColumns.from_options(mapping, used, context, option=reading.fields_option)
    count_known = reading.item_names.count_known if reading.item_names else None
    naming = SourceNames(
        Role.INTERACTIONS,
        used,
        columns,
        reading.notes,
        fields_option=reading.fields_option,
        count_known=count_known,
    )
    rows = read_rows(source, naming, query=query)
    return _read_interactions(rows, columns, used, expected, reading=reading)


def _check_fields(
    mapping: Mapping[str, str], columns: Sequence[str], reading: EventReading
) -> dict[str, str]:
    """Return the part of a mapping that concerns interactions; what does not is told.

    Raises:
        CatalogError: If one of our names is misspelt.
    """
    check_field_names(mapping, option=reading.fields_option)
    used = _select_used_fields(mapping, columns)
    for ours in mapping.keys() - used.keys() - {"id"}:
        reading.notes.add(
            f"{reading.fields_option} names {ours!r}, which is no field of interactions"
        )
    return used


def split_fields(
    fields: Mapping[str, str],
    interaction_fields: Mapping[str, str],
    *,
    context: Sequence[str] | None,
    has_interactions: bool,
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return our names of a catalogue's columns to theirs, and of its interactions' columns.

    Args:
        fields: What the caller says of the catalogue, or, without `interaction_fields`, of both.
        interaction_fields: What they say of the interactions alone.
        context: As for `read_interactions`.
        has_interactions: Whether there are any; else all concerns the catalogue.
    """
    if interaction_fields or not has_interactions:
        return fields, interaction_fields
    own = {ours: theirs for ours, theirs in fields.items() if ours not in INTERACTION_FIELDS}
    known = {*_OUR_COLUMNS, *(DEFAULT_CONTEXT if context is None else context), "id"}
    return own, {ours: theirs for ours, theirs in fields.items() if ours in known}


def choose_fields_option(interaction_fields: Mapping[str, str]) -> str:
    """Return the option that names the columns of interactions, beside those of a catalogue."""
    return "--interaction-fields" if interaction_fields else "--fields"


def _select_used_fields(mapping: Mapping[str, str], context: Sequence[str]) -> dict[str, str]:
    """Return the fields of interactions in a mapping; its `id` names their items, too."""
    used = {
        ours: theirs for ours, theirs in mapping.items() if ours in _OUR_COLUMNS or ours in context
    }
    if "id" in mapping and not {"item_id", "item"} & used.keys():
        used["item_id"] = mapping["id"]
    return used


def list_named_items(
    source: str, *, mapping: Mapping[str, str] = NO_MAPPING, query: str | None = None
) -> frozenset[str]:
    """Return what the first rows of a source hold in all columns that may name items.

    Args:
        source: A file or a database URL.
        mapping: Our field names to the source's columns.
        query: A SELECT or the name of a table, for a database.

    Returns:
        Nothing if the source cannot be read: whoever reads it for its interactions says why.
    """
    used = _select_used_fields(mapping, ())
    try:
        rows = read_rows(source, SourceNames(Role.INTERACTIONS, used), query=query)
        first = list(islice(rows, _SAMPLE_ROWS))
    except CatalogError:
        return frozenset()
    cells = [
        value
        for row in first
        if isinstance(row, Row)
        for name, value in rename_columns(row.values, used).items()
        if names_items(name)
    ]
    return collect_ids(cells)


class ExpectedColumns(NamedTuple):
    """Columns that some row must have, of the source or, those of context, after mapping.

    That none has one of the `others` is told, and no error.
    """

    fields: RequiredColumns
    others: RequiredColumns
    context: RequiredColumns

    @classmethod
    def from_options(
        cls,
        mapping: Mapping[str, str],
        used: Mapping[str, str],
        context: Sequence[str] | None,
        *,
        option: str,
    ) -> Self:
        """Take our names to the source's, those of interactions among them, and what gave them."""
        needed = {theirs for ours, theirs in mapping.items() if ours in INTERACTION_FIELDS}
        others = set(used.values()) - needed
        if option == "--fields":  # the id of the catalogue, which asks for it itself
            others.discard(mapping.get("id", ""))
        return cls(
            RequiredColumns(needed, option=option),
            RequiredColumns(others, option=option),
            RequiredColumns(context or (), option="--context"),
        )

    @property
    def are_awaited(self) -> bool:
        """Whether a further row could still have one that none had so far."""
        return self.fields.are_awaited or self.others.are_awaited or self.context.are_awaited

    def observe(self, row: Row, values: Mapping[str, Any]) -> None:
        """Note the columns of a row, and those after mapping."""
        self.fields.observe(row.values)
        self.others.observe(row.values)
        self.context.observe(values)
        self.context.observe(find_nested_context(values))

    def check(self, reading: EventReading) -> None:
        """Refuse, or tell, what no row had.

        Raises:
            CatalogError: Naming a column and the nearest one that exists.
        """
        self.fields.check()
        self.context.check()
        for sentence in self.others.describe_missing():
            reading.notes.add(sentence)


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
    expected: ExpectedColumns,
    *,
    reading: EventReading,
) -> Iterator[Interaction | Rejection]:
    """Parse rows; what they are taken for is decided by the first of them."""
    latest_at = (time.time() if reading.now is None else reading.now) + MAX_AHEAD_S
    first = list(islice(rows, _SAMPLE_ROWS))
    written = _decide(first, mapping, reading)
    parser = InteractionParser(columns, reading)
    are_awaited = expected.are_awaited
    for row in chain(first, rows):
        if isinstance(row, BadRow):
            yield reject(row)
            continue
        values = rename_columns(row.values, mapping) if mapping else row.values
        if are_awaited:
            expected.observe(row, values)
            are_awaited = expected.are_awaited
        try:
            interaction = parser.parse(values, f"{row.source}:{row.line}", written.find(row))
            if interaction is not None:
                _refuse_later_than(latest_at, interaction.at, values)
                yield interaction
        except BadValueError as error:
            yield reject(row, str(error), error.anonymous_message)
    expected.check(reading)


def _decide(
    first: Sequence[Row | BadRow], mapping: Mapping[str, str], reading: EventReading
) -> WrittenCells:
    """Decide by the first rows what values, answers and names of items mean.

    Returns:
        What finds the cells by which a row is known again.
    """
    rows = [row for row in first if isinstance(row, Row)]
    samples = [rename_columns(row.values, mapping) if mapping else row.values for row in rows]
    reading.meaning = _decide_meaning(samples, mapping, reading)
    if reading.meaning is not None and reading.meaning.kind is None:
        _refuse_unreadable_values(rows, mapping, reading)
    reading.has_likings = _has_likings(samples, reading)
    _decide_flags(samples, mapping, reading)
    if reading.item_names is not None:
        reading.item_names.observe(collect_ids(find_value("item_id", row) for row in samples))
    return WrittenCells(dict.fromkeys(name for row in rows for name in row.values), mapping)


def _decide_meaning(
    samples: Sequence[Mapping[str, Any]], mapping: Mapping[str, str], reading: EventReading
) -> ValueMeaning | None:
    """Return what the first rows show of rows without an event; None if they all have one."""
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


def _refuse_unreadable_values(
    rows: Sequence[Row], mapping: Mapping[str, str], reading: EventReading
) -> None:
    """Refuse a source of which no value can be read, and nothing else says what happened.

    Raises:
        CatalogError: Naming the first of them, and what can be done.
    """
    if reading.event is not None:
        return
    samples = [rename_columns(row.values, mapping) if mapping else row.values for row in rows]
    found = [
        (row, values)
        for row, values in zip(rows, samples, strict=True)
        if is_missing(values.get("event")) and not is_missing_for(parse_number, find_number(values))
    ]
    if len(found) < _MIN_UNREADABLE or any(
        read_yes_or_no(find_number(values)) is not None for _, values in found
    ):
        return
    row, values = found[0]
    ours = find_number_column(values) or "value"
    raise CatalogError(
        f"{row.source}: no cell of {mapping.get(ours, ours)} is a number (first: line {row.line} "
        f"{render_value(find_number(values))}); write ratings or counts as numbers, name another "
        f"column with {reading.fields_option} value=COLUMN, or give --event click to do without"
    )


def _decide_flags(
    samples: Sequence[Mapping[str, Any]], mapping: Mapping[str, str], reading: EventReading
) -> None:
    """Decide which columns of yes and no say what happened in rows that do not say it otherwise."""
    if reading.event is not None or reading.meaning is None:
        return
    flags = find_flag_columns(samples)
    # What was paid, or how long the item lasts, stands in rows of which nothing came, too.
    lasts = any(find_number_column(row) in _LENGTHS for row in samples)
    if lasts or reading.meaning.kind in (None, ValueKind.MONEY):
        reading.flags = flags
    elif flags:
        unread = ", ".join(flag.name for flag in flags)
        reading.notes.add(f"{unread}: not read, since there are values that say what happened")
    if flags or reading.has_likings or reading.meaning.kind is not None:
        return
    names = {*_OUR_COLUMNS, *mapping, *DEFAULT_CONTEXT}
    unknown = find_unnamed_flag(samples, names)
    if unknown is not None:
        reading.notes.add(
            f"{unknown} holds yes and no, and is not read; if it says whether something happened, "
            f"give {reading.fields_option} value={unknown} --value-is count, and those with a no "
            f"are no events"
        )


def _has_likings(samples: Sequence[Mapping[str, Any]], reading: EventReading) -> bool:
    """Whether the first rows answer yes or no to whether their user liked the item.

    Ratings say it better, and then the answers are not read, which is told.
    """
    cells = [row.get(LIKING_COLUMN) for row in samples]
    given = [cell for cell in cells if not is_missing(cell)]
    answers = [answer for cell in given if (answer := read_yes_or_no(cell)) is not None]
    if reading.event is not None or not given or len(answers) < _MIN_ANSWERS_SHARE * len(given):
        return False
    many = len(answers) >= _MIN_TELLING_ANSWERS
    nearly_all = many and answers.count(False) > _SILENT_NOES * len(answers)
    reading.has_others = is_log_of_shown(samples) or any(
        find_number_column(row) or not is_missing(row.get("event")) for row in samples
    )
    reading.has_silent_noes = nearly_all or reading.has_others
    is_rated = reading.meaning is not None and reading.meaning.kind is ValueKind.RATING
    if is_rated:
        reading.notes.add("liked is not read, since there are ratings")
    return not is_rated


def _find_finite(values: Mapping[str, Any]) -> float | None:
    try:
        return float(parse_number("value", read_stars(find_number(values))))
    except BadValueError:
        return None


def _refuse_later_than(latest_at: float, at: float | None, values: Mapping[str, Any]) -> None:
    if at is not None and at > latest_at:
        raise BadValueError(
            f"timestamp {VALUE} is more than a day ahead; write when it happened",
            find_value("timestamp", values),
        )
