"""One comparison of a filter to a condition, checked against the type of its field. Pure."""

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from indexer.errors import FilterError
from indexer.metadata.character_folding import fold_characters
from indexer.metadata.predicates import AllOf, AnyOf, Exists, Filter, FilterValues, Near, Not, Range
from indexer.metadata.schema import FieldInfo, FieldType
from indexer.metadata.values import GeoPoint, Number, to_exact_number, to_finite_float
from indexer.reading import BadValueError, parse_date_seconds

MAX_LIST_VALUES = 1_000
BOUNDS = ("gte", "gt", "lte", "lt")

_NEAR_LIMITS = {"lat": (-90.0, 90.0), "lon": (-180.0, 180.0), "km": (0.0, float("inf"))}
_TOP_WHOLE = 2**64  # from which on whole numbers of items are kept as text
_UNTYPED = (FieldType.MIXED, FieldType.EMPTY)


def parse_equality(info: FieldInfo, raw: Any) -> Filter:
    """Parse the value of `{field: value}`.

    Raises:
        FilterError: If the value is null, a list or of the wrong type.
    """
    if raw is None:
        raise FilterError(
            f"field {info.name!r} is compared with null; "
            f'for items without it write {{"exists": false}}'
        )
    if isinstance(raw, list | tuple):
        raise FilterError(
            f"field {info.name!r} is compared with a list; write 'any', 'all' or 'none' before it"
        )
    return _parse_any_of(info, [raw])


def parse_range(info: FieldInfo, bounds: Mapping[str, Any]) -> Filter:
    """Parse the bounds of `{field: {"gte": …, "lt": …}}`, which are one interval.

    Raises:
        FilterError: If the field is not ordered, or a bound is of the wrong type.
    """
    checked = {operator: _parse_bound(info, operator, raw) for operator, raw in bounds.items()}
    return Range(info.name, **checked, as_dates=info.is_date)


def _parse_any_of(info: FieldInfo, raws: list[Any]) -> Filter:
    return AnyOf(info.name, _parse_values(info, raws), as_dates=info.is_date)


def _parse_all_of(info: FieldInfo, raws: list[Any]) -> Filter:
    return AllOf(info.name, _parse_values(info, raws), as_dates=info.is_date)


def _parse_values(info: FieldInfo, raws: list[Any]) -> FilterValues:
    checked = [_parse_comparand(info, raw) for raw in raws]
    strings = frozenset(value for value in checked if isinstance(value, str))
    booleans = frozenset(value for value in checked if isinstance(value, bool))
    return FilterValues(
        strings=frozenset(map(fold_characters, strings)),
        booleans=booleans,
        numbers=frozenset(v for v in checked if not isinstance(v, str | bool)),
        raw_strings=strings,
    )


def _parse_comparand(info: FieldInfo, raw: Any) -> str | bool | Number:
    """Return a value as the field compares it: a date as its instant, every number exactly."""
    if info.is_date:
        return _parse_instant(info, raw)
    value = raw if isinstance(raw, str | bool) else _parse_number(info, raw)
    kind = _find_type(value)
    if value is None or not (info.type in _UNTYPED or kind is info.type):
        raise _make_type_error(info, raw)
    return value


def _find_type(value: str | bool | Number | None) -> FieldType:  # noqa: FBT001  # a value
    if isinstance(value, str):
        return FieldType.STRING
    return FieldType.BOOLEAN if isinstance(value, bool) else FieldType.NUMBER


def _parse_instant(info: FieldInfo, raw: Any) -> float:
    try:
        return parse_date_seconds(info.name, raw)
    except BadValueError:
        raise _make_type_error(info, raw) from None


def _parse_bound(info: FieldInfo, operator: str, raw: Any) -> Number:
    if info.is_date:
        return _parse_instant(info, raw)
    if info.type not in (FieldType.NUMBER, *_UNTYPED):
        raise FilterError(
            f"{operator!r} needs a number or date field, but {info.name!r} is of type "
            f"{info.type}; compare it with equality, 'any', 'all' or 'none'"
        )
    number = _parse_number(info, raw)
    if number is None:
        raise _make_type_error(info, raw)
    return number


def _parse_number(info: FieldInfo, raw: Any) -> Number | None:
    """Return a number exactly; None for what is none."""
    if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) >= _TOP_WHOLE:
        raise FilterError(
            f"{info.name!r} is compared with {render_value(raw)}, which has more than 64 bits; "
            f"items hold such a number as text: write it in quotes"
        )
    return to_exact_number(raw)


def _parse_exists(info: FieldInfo, raw: Any) -> Filter:
    if not isinstance(raw, bool):
        raise FilterError(
            f"'exists' on field {info.name!r} must be true or false: {render_value(raw)}"
        )
    return Exists(info.name) if raw else Not(Exists(info.name))


def _parse_near(info: FieldInfo, raw: Any) -> Filter:
    if info.type not in (FieldType.LOCATION, *_UNTYPED):
        raise FilterError(
            f"'near' needs a location field, but {info.name!r} is of type {info.type}"
        )
    if not isinstance(raw, Mapping) or set(raw) != set(_NEAR_LIMITS):
        raise FilterError(
            f"'near' on field {info.name!r} needs exactly lat, lon and km: {render_value(raw)}"
        )
    for key, (low, high) in _NEAR_LIMITS.items():
        number = to_finite_float(raw[key])
        if number is None or not low <= number <= high:
            raise FilterError(
                f"{key!r} of 'near' on field {info.name!r} must be a number from {low:g} to "
                f"{high:g}: {render_value(raw[key])}"
            )
    return Near(info.name, GeoPoint(float(raw["lat"]), float(raw["lon"])), float(raw["km"]))


def _parse_value_list(info: FieldInfo, operator: str, raw: Any) -> list[Any]:
    return require_list(f"{operator!r} on field {info.name!r}", "values", raw)


def require_list(owner: str, content: str, raw: Any) -> list[Any]:
    """Return the operand of an operator that takes a list.

    Args:
        owner: The operator, as the message shall name it.
        content: What the list holds, in the plural.
        raw: The operand.

    Raises:
        FilterError: If it is no list, empty or too long.
    """
    if not isinstance(raw, list | tuple) or not raw:
        raise FilterError(
            f"{owner} needs a list of at least one of its {content}: {render_value(raw)}"
        )
    if len(raw) > MAX_LIST_VALUES:
        raise FilterError(
            f"{owner} lists {len(raw):,} {content}; at most {MAX_LIST_VALUES:,} are allowed"
        )
    return list(raw)


def _make_type_error(info: FieldInfo, raw: Any) -> FilterError:
    expected = {
        FieldType.DATE: "a date such as 2024-05-01 or Unix seconds",
        FieldType.LOCATION: "'near' or 'exists'",
        FieldType.OBJECT: f"'exists', or one of its parts as '{info.name}.…'",
        FieldType.MIXED: "a string, a boolean or a finite number",
        FieldType.EMPTY: "a string, a boolean or a finite number",
    }.get(info.type, f"a {info.type}")
    return FilterError(
        f"field {info.name!r} is of type {info.type} and is compared with {render_value(raw)} "
        f"({type(raw).__name__}); use {expected}"
    )


def render_value(raw: Any) -> str:
    """Return a value as text for a message, shortened if it is long."""
    return reprlib.repr(raw)


OPERATOR_PARSERS: dict[str, Callable[[FieldInfo, Any], Filter]] = {
    "any": lambda info, raw: _parse_any_of(info, _parse_value_list(info, "any", raw)),
    "all": lambda info, raw: _parse_all_of(info, _parse_value_list(info, "all", raw)),
    "none": lambda info, raw: Not(_parse_any_of(info, _parse_value_list(info, "none", raw))),
    "exists": _parse_exists,
    "near": _parse_near,
}
