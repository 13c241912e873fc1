"""Rows to checked items. A bad row becomes a `Rejection`, never an exception.

Later stages trust what is checked here. Field names are stripped, and leading underscores dropped
(`_score` becomes `score`, unless there is a `score` too), since such names are reserved; a field
without a name refuses its row. Dots in names are kept. Fields that are null or NaN are left out,
and so are blank strings in the fields that have a parser.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import CatalogError
from indexer.field_names import TEXT_FIELDS
from indexer.reading.column_names import Role, SourceNames
from indexer.reading.field_parsers import (
    BadValueError,
    Parser,
    find_coordinates,
    is_missing,
    is_missing_for,
    parse_boolean,
    parse_coordinates,
    parse_datetime,
    parse_id,
    parse_list,
    parse_location,
    parse_number,
    parse_text,
    parse_vector,
)
from indexer.reading.item_limits import MAX_NESTING, check_item_size
from indexer.reading.memory import Source
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
    render_value,
)
from indexer.reading.tables import is_database_url, read_rows

LIST_FIELDS = ("tags", "categories", "reviews", "genres", "keywords", "topics", "comments")

_PARSERS: dict[str, Parser] = {
    **dict.fromkeys(LIST_FIELDS, parse_list),
    "title": parse_text,
    "description": parse_text,
    "rating": parse_number,
    "price": parse_number,
    "available": parse_boolean,
    "location": parse_location,
    "created_at": parse_datetime,
}
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Item:
    """One catalogue entry.

    Attributes:
        id: The same as `fields["id"]`.
        fields: Every field except the vector, JSON-compatible.
        vector: `(d,) float32`, finite, not all zeros; None if the text is to be encoded.
        source: The file or database it was read from; ignored by `==`.
        line: Line of the source, from 1; 0 if it has none. Ignored by `==`.
    """

    id: str
    fields: dict[str, Any]
    vector: NDArray[np.float32] | None
    source: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class DeletedId:
    """A change that deletes an item of the catalogue."""

    id: str


def read_catalog(
    sources: Sequence[Source],
    *,
    query: str | None = None,
    mapping: Mapping[str, str] = NO_MAPPING,
    notes: ReadingNotes | None = None,
) -> Iterator[Item | Rejection]:
    """Return the items of all sources in order; an id may come more than once.

    Args:
        sources: Files, database URLs and rows in memory.
        query: A SELECT or the name of a table, for the databases among the sources.
        mapping: Our field names to the sources' columns, as `parse_mapping` returns it.
        notes: Where guesses about the sources are told.

    Raises:
        CatalogError: At once if a source does not exist; while iterating if one is damaged; at the
            end if no row of any source had a mapped column.
    """
    urls = [source for source in sources if is_database_url(source)]
    if query and not urls:
        raise CatalogError("--query needs a database URL among --catalog; give one or drop --query")
    naming = SourceNames(Role.CATALOGUE, mapping, notes=notes or ReadingNotes())
    tables = [
        read_rows(source, naming, query=query if source in urls else None) for source in sources
    ]
    return _read_items(tables, mapping)


def _read_items(
    tables: Sequence[Iterator[Row | BadRow]], mapping: Mapping[str, str]
) -> Iterator[Item | Rejection]:
    wanted = [theirs for ours, theirs in mapping.items() if ours not in INTERACTION_FIELDS]
    required = RequiredColumns(wanted, option="--fields")
    for table in tables:
        for row in table:
            if isinstance(row, BadRow):
                yield reject(row)
            else:
                required.observe(row.values)
                yield to_item(row, mapping=mapping)
    required.check()


def to_item(row: Row, *, mapping: Mapping[str, str] = NO_MAPPING) -> Item | Rejection:
    """Return the item of a row, or a `Rejection` with the reason."""
    try:
        item = _parse_item(rename_columns(row.values, mapping) if mapping else row.values)
    except BadValueError as error:
        return reject(row, str(error))
    return replace(item, source=row.source, line=row.line)


def _parse_item(values: Mapping[str, Any]) -> Item:
    raw_fields = _clean_names(values)
    item_id = parse_id("id", raw_fields.pop("id", None))
    _move_name_to_title(raw_fields)
    vector = raw_fields.pop("vector", None)
    fields: dict[str, Any] = {"id": item_id}
    for name, value in raw_fields.items():
        _add_field(fields, name, value)
    if "location" not in fields and find_coordinates(fields):
        fields["location"] = parse_coordinates("location", fields)
    check_item_size(fields)
    if not any(_has_words(fields.get(name)) for name in TEXT_FIELDS):
        raise BadValueError("has no text; give it a title, a description or tags")
    return Item(item_id, fields, None if is_missing(vector) else parse_vector("vector", vector))


def _clean_names(values: Mapping[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for name, value in values.items():
        ours = name.strip().lstrip("_")
        if not ours:
            raise BadValueError(f"has a field without a name ({render_value(name)})")
        if ours == name or cleaned.get(ours, values.get(ours)) is None:
            cleaned[ours] = value
    return cleaned


def _move_name_to_title(fields: dict[str, Any]) -> None:
    if is_missing(fields.get("title")) and not is_missing(fields.get("name")):
        fields["title"] = fields.pop("name")


def _add_field(fields: dict[str, Any], name: str, value: Any) -> None:
    parser = _PARSERS.get(name)
    if parser:
        if not is_missing_for(parser, value):
            fields[name] = parser(name, value)
    elif value is not None and value == value:  # NaN is not equal to itself
        fields[name] = _to_jsonable(name, value, MAX_NESTING)


def _to_jsonable(name: str, value: Any, depth: int) -> Any:
    """Return a JSON-compatible value, unchanged where possible.

    A nested NaN becomes None, and an integer of more than 64 bits the text of its digits.
    """
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    if isinstance(value, float):
        return _require_finite(name, value)
    if not depth:
        raise BadValueError(f"{name} is nested more than {MAX_NESTING} levels deep")
    if isinstance(value, Mapping):
        return {str(key): _to_jsonable(name, part, depth - 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_to_jsonable(name, part, depth - 1) for part in value]
    raise BadValueError(f"{name} is {render_value(value)}, which JSON cannot hold")


def _require_finite(name: str, value: float) -> float | None:
    if math.isinf(value):
        raise BadValueError(f"{name} must be finite, not {render_value(value)}")
    return None if math.isnan(value) else value


def _has_words(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value) and not value.isspace()
    if isinstance(value, list):
        return any(map(_has_words, value))
    if isinstance(value, Mapping):
        return _has_words(value.get("text", value.get("name")))
    return False
