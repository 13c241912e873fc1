"""The values of a row to the checked fields of an item.

Later stages trust what is checked here. Field names are stripped, and leading underscores dropped
(`_score` becomes `score`, unless there is a `score` too), since such names are reserved. Dots in
names are kept. Fields that are null or NaN are left out, and so are blank strings and words such as
N/A in the fields that have a parser.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from indexer.field_names import TEXT_FIELDS
from indexer.reading.field_parsers import (
    BadValueError,
    Parser,
    is_missing,
    is_missing_for,
    parse_datetime,
    parse_id,
    parse_list,
    parse_prose,
    parse_title,
    parse_vector,
)
from indexer.reading.findings import FieldFinding, Outcome
from indexer.reading.item import Item
from indexer.reading.item_limits import MAX_NESTING, ItemLimitError, check_item_size
from indexer.reading.locations import (
    find_coordinates,
    is_place_name,
    parse_coordinates,
    parse_location,
)
from indexer.reading.rows import (
    render_value,
)
from indexer.reading.sale_states import read_sale_state
from indexer.reading.shop_fields import parse_available, parse_price, parse_rating

LIST_FIELDS = ("tags", "categories", "reviews", "genres", "keywords", "topics", "comments")

_PARSERS: dict[str, Parser] = {
    **dict.fromkeys(LIST_FIELDS, parse_list),
    "title": parse_title,
    "description": parse_prose,
    "location": parse_location,
    "created_at": parse_datetime,
}
# These return several fields: what stands beside a number becomes a field of its own.
_SHOP_PARSERS: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "rating": parse_rating,
    "price": parse_price,
    "available": parse_available,
}
_PARSED_FIELDS = frozenset((*_PARSERS, *_SHOP_PARSERS))
_LEAST_WHOLE, _TOP_WHOLE = -(2**63), 2**64  # what programs that read JSON hold exactly


class ItemParser:
    """Parses one row; collects what could not be read as it came."""

    def __init__(self, *, keep_readable: bool) -> None:
        self._keep_readable = keep_readable
        self.findings: list[FieldFinding] = []

    def parse(self, values: Mapping[str, Any]) -> Item:
        """Return the item of a row.

        Raises:
            BadValueError: If it is none.
        """
        raw_fields = self.clean_names(values)
        item_id = parse_id("id", raw_fields.pop("id", None))
        _move_name_to_title(raw_fields)
        self.move_place_name(raw_fields)
        vector = raw_fields.pop("vector", None)
        own, beside = self.parse_fields(raw_fields)
        fields = {"id": item_id, **own, **{n: v for n, v in beside.items() if n not in own}}
        if "location" not in fields and find_coordinates(fields):
            fields |= self._try("location", fields, _parse_coordinates)
        self._note_sale_state(fields)
        check_item_size(fields)
        if not any(_has_words(fields.get(name)) for name in TEXT_FIELDS):
            raise BadValueError("has no text; give it a title, a description or tags")
        return Item(item_id, fields, self._try("vector", vector, _parse_vector).get("vector"))

    def parse_fields(self, raw_fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the fields of a row, and those that its values bring beside.

        Raises:
            BadValueError: If one cannot be read, and the item is not to be kept without it.
        """
        own: dict[str, Any] = {}
        beside: dict[str, Any] = {}
        for name, value in raw_fields.items():
            if name not in _PARSED_FIELDS and _is_plain(value):
                own[name] = value
                continue
            parsed = self._try(name, value, _parse_field)
            own |= {name: parsed.pop(name)} if name in parsed else {}
            beside |= parsed
            self._note_long_number(name, value, own.get(name))
        return own, beside

    def _try(
        self, name: str, value: Any, parse: Callable[[str, Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the fields of a value; none if it cannot be read and the item is to be kept."""
        try:
            return parse(name, value)
        except ItemLimitError:
            raise
        except BadValueError as error:
            self._leave_out(name, value, error)
        return {}

    def _leave_out(self, name: str, value: Any, error: BadValueError) -> None:
        if not self._keep_readable:
            raise error
        self.findings.append(FieldFinding(name, value, str(error)))

    def clean_names(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row under names without spaces and underscores around them."""
        cleaned: dict[str, Any] = {}
        for name, value in values.items():
            ours = _clean_name(name)
            if not ours:
                reason = f"has a field without a name ({render_value(name)})"
                self._leave_out(name, value, BadValueError(reason))
            elif ours == name or cleaned.get(ours, values.get(ours)) is None:
                cleaned[ours] = value
        return cleaned

    def move_place_name(self, fields: dict[str, Any]) -> None:
        """Keep words in `location` as `place`, unless the item has one."""
        value = fields.get("location")
        if not is_missing_for(parse_location, value) and is_place_name(value):
            if not is_missing(fields.get("place")):
                return
            fields["place"] = fields.pop("location")
            reason = f"location is {render_value(value)}, which is kept as place"
            self.findings.append(FieldFinding("location", value, reason, Outcome.KEPT_AS_PLACE))

    def _note_sale_state(self, fields: dict[str, Any]) -> None:
        """Make an item unavailable that its shop does not sell, which becomes a finding."""
        states = {name: read_sale_state(name, value) for name, value in fields.items()}
        unsold = next((name for name, is_sold in states.items() if is_sold is False), None)
        if unsold is None:
            if True in states.values():
                fields.setdefault("available", True)
        elif fields.get("available") is not False:
            fields["available"] = False
            reason = f"{unsold} is {render_value(fields[unsold])}, so the item is not available"
            self.findings.append(FieldFinding(unsold, fields[unsold], reason, Outcome.NOT_SOLD))

    def _note_long_number(self, name: str, raw: Any, value: Any) -> None:
        if value is not None and name not in _PARSERS and value != raw and _has_long_number(raw):
            reason = f"{name} has more than 64 bits and is kept as text"
            self.findings.append(FieldFinding(name, raw, reason, Outcome.KEPT_AS_TEXT))


@lru_cache(maxsize=1 << 12)
def _clean_name(name: str) -> str:
    return name.strip().lstrip("_")


def _move_name_to_title(fields: dict[str, Any]) -> None:
    if is_missing_for(parse_title, fields.get("title")) and not is_missing(fields.get("name")):
        fields["title"] = fields.pop("name")


def _parse_field(name: str, value: Any) -> dict[str, Any]:
    """Return a field, and what its value says beside it; nothing if it is missing."""
    shop_parser = _SHOP_PARSERS.get(name)
    parser = shop_parser or _PARSERS.get(name)
    if parser and is_missing_for(parser, value):
        return {}
    if shop_parser:
        parsed = shop_parser(name, value)
        return {key: _to_jsonable(key, part, MAX_NESTING) for key, part in parsed.items()}
    if parser:
        return {name: parser(name, value)}
    if value is None or value != value:  # NaN is not equal to itself
        return {}
    return {name: _to_jsonable(name, value, MAX_NESTING)}


def _parse_coordinates(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parse_coordinates(name, fields)}


def _parse_vector(name: str, value: Any) -> dict[str, Any]:
    return {} if is_missing_for(parse_vector, value) else {name: parse_vector(name, value)}


def _to_jsonable(name: str, value: Any, depth: int) -> Any:
    """Return a JSON-compatible value, unchanged where possible.

    A nested NaN becomes None, and an integer of more than 64 bits the text of its digits.
    """
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, int):
        return value if _LEAST_WHOLE <= value < _TOP_WHOLE else str(value)
    if isinstance(value, float):
        return _require_finite(name, value)
    if not depth:
        raise ItemLimitError(f"{name} is nested more than {MAX_NESTING} levels deep")
    if isinstance(value, Mapping):
        return {str(key): _to_jsonable(name, part, depth - 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_to_jsonable(name, part, depth - 1) for part in value]
    raise BadValueError(f"{name} is {render_value(value)}, which JSON cannot hold")


def _is_plain(value: Any) -> bool:
    """Whether a value stays what it is in a field without a parser: text, a number, a boolean."""
    kind = type(value)
    if kind is str or kind is bool:
        return True
    if kind is int:
        return bool(_LEAST_WHOLE <= value < _TOP_WHOLE)
    return kind is float and math.isfinite(value)


def _has_long_number(value: Any) -> bool:
    if isinstance(value, Mapping | list | tuple):
        parts = value.values() if isinstance(value, Mapping) else value
        return any(map(_has_long_number, parts))
    return isinstance(value, int) and not _LEAST_WHOLE <= value < _TOP_WHOLE


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
