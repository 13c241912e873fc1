"""A row of interactions to the cell of one of its fields, whatever its column is called. Pure."""

from collections.abc import Mapping
from typing import Any

from indexer.field_names import TIME_FIELDS
from indexer.reading.value_meaning import VALUE_COLUMNS

COLUMN_ALIASES = {
    "user_id": ("user_id", "user"),
    "item_id": ("item_id", "item"),
    "value": ("value", "rating"),
    "timestamp": TIME_FIELDS,
}
NO_CONTEXT: Mapping[str, str] = {}  # shared by all rows that have none


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
    return nested if nested is not None and isinstance(nested, Mapping) else NO_CONTEXT
