"""One understood condition to a filter of the catalogue's own fields, types and spellings."""

import re
from collections.abc import Mapping
from typing import Any

from indexer.errors import FilterError
from indexer.field_names import TEXT_FIELDS, TITLE_FIELDS
from indexer.live import Overlay
from indexer.metadata import FieldInfo, FieldType, Schema, parse_filter
from service.llm.sanitiser import plain

OPERATORS = ("any", "all", "none", "gte", "gt", "lte", "lt")
_BOUNDS = ("gte", "gt", "lte", "lt")
_MOST_FIELDS, _MOST_VALUES, _VALUE_CHARS = 24, 25, 40
_YEAR = re.compile(r"\d{4}")
_TRUE, _FALSE = ("true", "yes", "1", "是"), ("false", "no", "0", "否")
_TALKATIVE = {"id", *TITLE_FIELDS, *(name for name in TEXT_FIELDS if name not in ("tags",))} - {
    "genres", "categories", "category", "genre", "topics", "keywords", "mood",
}  # fmt: skip
_USABLE = (FieldType.STRING, FieldType.BOOLEAN, FieldType.NUMBER, FieldType.DATE)


def offered_fields(schema: Schema) -> list[tuple[FieldInfo, list[str]]]:
    """Return the fields that a sentence may speak of, each with its frequent values, clean."""
    usable = [
        info
        for info in schema.fields.values()
        if info.type in _USABLE and info.present and info.name not in _TALKATIVE
    ]
    usable.sort(key=lambda info: (-info.present, info.name))
    return [(info, _values(info)) for info in usable[:_MOST_FIELDS]]


def clause_of(catalogue: Overlay, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter that at least one item passes.

    Raises:
        FilterError: Saying what does not fit.
    """
    name, operator, values = raw.get("field"), raw.get("op"), raw.get("values")
    info = catalogue.schema.fields.get(name) if isinstance(name, str) else None
    if info is None or info.type not in _USABLE:
        raise FilterError(f"the catalogue has no field {str(name)[:_VALUE_CHARS]!r}")
    if operator not in OPERATORS or not isinstance(values, list) or not values:
        raise FilterError(f"what is said of {name!r} is no condition")
    real = list(dict.fromkeys(_real(info, value) for value in values[:_MOST_VALUES]))
    clause: dict[str, Any]
    if operator in _BOUNDS:
        if info.type not in (FieldType.NUMBER, FieldType.DATE) or len(real) != 1:
            raise FilterError(f"{name!r} has no bounds")
        clause = {info.name: {operator: real[0]}}
    else:
        clause = {info.name: {operator: real}}
    # What no item has may not be excluded either: it says that the sentence was misread.
    named = {info.name: {"any": real}} if operator not in _BOUNDS else clause
    if not all(
        catalogue.mask(parse_filter(part, catalogue.schema)).any() for part in (named, clause)
    ):
        told = ", ".join(str(value)[:_VALUE_CHARS] for value in real)
        raise FilterError(f"no item has {name!r} {operator} {told}")
    return clause


def _real(info: FieldInfo, value: Any) -> str | float | bool:
    """A value as the catalogue writes it."""
    text = str(value).strip()
    if info.type is FieldType.NUMBER:
        try:
            return float(text)
        except ValueError as error:
            raise FilterError(f"{text[:_VALUE_CHARS]!r} is no number for {info.name!r}") from error
    if info.type is FieldType.BOOLEAN:
        if text.casefold() not in (*_TRUE, *_FALSE):
            raise FilterError(f"{text[:_VALUE_CHARS]!r} is neither true nor false")
        return text.casefold() in _TRUE
    if info.type is FieldType.DATE and _YEAR.fullmatch(text):
        return f"{text}-01-01"
    spelled = {str(known).casefold(): str(known) for known, _ in info.top_values}
    return spelled.get(text.casefold(), text)


def _values(info: FieldInfo) -> list[str]:
    if info.type is not FieldType.STRING:
        return []
    words = (plain(str(value), _VALUE_CHARS) for value, _ in info.top_values[:_MOST_VALUES])
    return [word for word in words if word]
