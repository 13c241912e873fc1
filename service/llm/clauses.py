"""A condition that a model wrote to a filter with the catalogue's fields, types and spellings."""

import re
from collections.abc import Mapping
from typing import Any

from indexer.errors import FilterError
from indexer.field_names import TEXT_FIELDS, TITLE_FIELDS
from indexer.live import LiveCatalogue
from indexer.metadata import FieldInfo, FieldType, Schema, parse_filter
from service.llm.sanitiser import sanitise

OPERATORS = ("any", "all", "none", "gte", "gt", "lte", "lt")
_BOUNDS = ("gte", "gt", "lte", "lt")
_MAX_FIELDS, _MAX_VALUES, _MAX_VALUE_CHARS = 24, 25, 40
_YEAR_PATTERN = re.compile(r"\d{4}")
_TRUE_WORDS, _FALSE_WORDS = ("true", "yes", "1", "是"), ("false", "no", "0", "否")
_KEYWORD_FIELDS = {
    "tags", "genres", "categories", "category", "genre", "topics", "keywords", "mood",
}  # fmt: skip
_FREE_TEXT_FIELDS = {"id", *TITLE_FIELDS} | (set(TEXT_FIELDS) - _KEYWORD_FIELDS)
_FILTERABLE_TYPES = (FieldType.STRING, FieldType.BOOLEAN, FieldType.NUMBER, FieldType.DATE)


def list_filterable_fields(schema: Schema) -> list[tuple[FieldInfo, list[str]]]:
    """Return the fields that a model may filter on, each with its frequent values, sanitised."""
    usable = [
        info
        for info in schema.fields.values()
        if info.type in _FILTERABLE_TYPES and info.present and info.name not in _FREE_TEXT_FIELDS
    ]
    usable.sort(key=lambda info: (-info.present, info.name))
    return [(info, _list_frequent_values(info)) for info in usable[:_MAX_FIELDS]]


def build_clause(catalogue: LiveCatalogue, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter that at least one item passes.

    Args:
        catalogue: The items.
        raw: What the model wrote: `field`, `op`, `values`.

    Raises:
        FilterError: If the condition does not fit the catalogue.
    """
    name, operator, values = raw.get("field"), raw.get("op"), raw.get("values")
    info = catalogue.schema.fields.get(name) if isinstance(name, str) else None
    if info is None or info.type not in _FILTERABLE_TYPES:
        raise FilterError(f"the catalogue has no field {str(name)[:_MAX_VALUE_CHARS]!r}")
    if operator not in OPERATORS or not isinstance(values, list) or not values:
        raise FilterError(f"what is said of {name!r} is no condition")
    values_in_catalogue = list(
        dict.fromkeys(_normalise_value(info, value) for value in values[:_MAX_VALUES])
    )
    clause: dict[str, Any]
    if operator in _BOUNDS:
        if info.type not in (FieldType.NUMBER, FieldType.DATE) or len(values_in_catalogue) != 1:
            raise FilterError(f"{name!r} has no bounds")
        clause = {info.name: {operator: values_in_catalogue[0]}}
    else:
        clause = {info.name: {operator: values_in_catalogue}}
    # Excluding a value that no item has means that the query was misunderstood.
    positive_clause = (
        {info.name: {"any": values_in_catalogue}} if operator not in _BOUNDS else clause
    )
    if not all(
        catalogue.mask(parse_filter(part, catalogue.schema)).any()
        for part in (positive_clause, clause)
    ):
        value_list = ", ".join(str(value)[:_MAX_VALUE_CHARS] for value in values_in_catalogue)
        raise FilterError(f"no item has {name!r} {operator} {value_list}")
    return clause


def _normalise_value(info: FieldInfo, value: Any) -> str | float | bool:
    """Return a value in the type and spelling of the catalogue."""
    text = str(value).strip()
    if info.type is FieldType.NUMBER:
        try:
            return float(text)
        except ValueError as error:
            raise FilterError(
                f"{text[:_MAX_VALUE_CHARS]!r} is no number for {info.name!r}"
            ) from error
    if info.type is FieldType.BOOLEAN:
        if text.casefold() not in (*_TRUE_WORDS, *_FALSE_WORDS):
            raise FilterError(f"{text[:_MAX_VALUE_CHARS]!r} is neither true nor false")
        return text.casefold() in _TRUE_WORDS
    if info.type is FieldType.DATE and _YEAR_PATTERN.fullmatch(text):
        return f"{text}-01-01"
    catalogue_spelling = {str(known).casefold(): str(known) for known, _ in info.top_values}
    return catalogue_spelling.get(text.casefold(), text)


def _list_frequent_values(info: FieldInfo) -> list[str]:
    if info.type is not FieldType.STRING:
        return []
    words = (sanitise(str(value), _MAX_VALUE_CHARS) for value, _ in info.top_values[:_MAX_VALUES])
    return [word for word in words if word]
