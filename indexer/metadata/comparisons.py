"""One comparison of a filter, checked against its field's type. Pure."""

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from indexer.errors import FilterError
from indexer.metadata.predicates import AllOf, AnyOf, Between, Exists, Filter, Near, Not, Values
from indexer.metadata.schema import FieldInfo, FieldType
from indexer.metadata.values import Place, finite, instant

MAX_LIST = 1_000
BOUNDS = ("gte", "gt", "lte", "lt")

_NEAR_LIMITS = {"lat": (-90.0, 90.0), "lon": (-180.0, 180.0), "km": (0.0, float("inf"))}
_ANY_TYPE = (FieldType.MIXED, FieldType.EMPTY)


def equals(info: FieldInfo, raw: Any) -> Filter:
    """`{field: value}`."""
    if raw is None:
        raise FilterError(
            f"field {info.name!r} is compared with null; "
            f'for items without it write {{"exists": false}}'
        )
    if isinstance(raw, list | tuple):
        raise FilterError(
            f"field {info.name!r} is compared with a list; write 'any', 'all' or 'none' before it"
        )
    return _any_of(info, [raw])


def between(info: FieldInfo, bounds: Mapping[str, Any]) -> Filter:
    """`{field: {"gte": …, "lt": …}}`: the bounds in one object are one interval."""
    checked = {operator: _bound(info, operator, raw) for operator, raw in bounds.items()}
    return Between(info.name, **checked, as_dates=info.type is FieldType.DATE)


def _any_of(info: FieldInfo, raws: list[Any]) -> Filter:
    return AnyOf(info.name, _values(info, raws), as_dates=info.type is FieldType.DATE)


def _all_of(info: FieldInfo, raws: list[Any]) -> Filter:
    return AllOf(info.name, _values(info, raws), as_dates=info.type is FieldType.DATE)


def _values(info: FieldInfo, raws: list[Any]) -> Values:
    checked = [_comparand(info, raw) for raw in raws]
    return Values(
        strings=frozenset(value for value in checked if isinstance(value, str)),
        booleans=frozenset(value for value in checked if isinstance(value, bool)),
        numbers=frozenset(value for value in checked if isinstance(value, float)),
    )


def _comparand(info: FieldInfo, raw: Any) -> str | bool | float:
    """The value as the field compares it: a date is its instant, every number a float."""
    if info.type is FieldType.DATE:
        return _moment(info, raw)
    value = raw if isinstance(raw, str | bool) else finite(raw)
    fits = {FieldType.STRING: str, FieldType.BOOLEAN: bool, FieldType.NUMBER: float}
    if value is None or not (info.type in _ANY_TYPE or isinstance(value, fits.get(info.type, ()))):
        raise _wrong_type(info, raw)
    return value


def _moment(info: FieldInfo, raw: Any) -> float:
    moment = instant(raw) if isinstance(raw, str) else finite(raw)
    if moment is None:
        raise _wrong_type(info, raw)
    return moment


def _bound(info: FieldInfo, operator: str, raw: Any) -> float:
    if info.type is FieldType.DATE:
        return _moment(info, raw)
    if info.type not in (FieldType.NUMBER, *_ANY_TYPE):
        raise FilterError(
            f"{operator!r} needs a number or date field, but {info.name!r} is of type "
            f"{info.type}; compare it with equality, 'any', 'all' or 'none'"
        )
    number = finite(raw)
    if number is None:
        raise _wrong_type(info, raw)
    return number


def _exists(info: FieldInfo, raw: Any) -> Filter:
    if not isinstance(raw, bool):
        raise FilterError(f"'exists' on field {info.name!r} must be true or false: {show(raw)}")
    return Exists(info.name) if raw else Not(Exists(info.name))


def _near(info: FieldInfo, raw: Any) -> Filter:
    if info.type not in (FieldType.LOCATION, *_ANY_TYPE):
        raise FilterError(
            f"'near' needs a location field, but {info.name!r} is of type {info.type}"
        )
    if not isinstance(raw, Mapping) or set(raw) != set(_NEAR_LIMITS):
        raise FilterError(
            f"'near' on field {info.name!r} needs exactly lat, lon and km: {show(raw)}"
        )
    for key, (low, high) in _NEAR_LIMITS.items():
        number = finite(raw[key])
        if number is None or not low <= number <= high:
            raise FilterError(
                f"{key!r} of 'near' on field {info.name!r} must be a number from {low:g} to "
                f"{high:g}: {show(raw[key])}"
            )
    return Near(info.name, Place(float(raw["lat"]), float(raw["lon"])), float(raw["km"]))


def _listed(info: FieldInfo, operator: str, raw: Any) -> list[Any]:
    return checked_list(f"{operator!r} on field {info.name!r}", "values", raw)


def checked_list(owner: str, of_what: str, raw: Any) -> list[Any]:
    """Return the list that an operator needs: not empty, and not too long."""
    if not isinstance(raw, list | tuple) or not raw:
        raise FilterError(f"{owner} needs a list of at least one of its {of_what}: {show(raw)}")
    if len(raw) > MAX_LIST:
        raise FilterError(f"{owner} lists {len(raw):,} {of_what}; at most {MAX_LIST:,} are allowed")
    return list(raw)


def _wrong_type(info: FieldInfo, raw: Any) -> FilterError:
    expected = {
        FieldType.DATE: "a date such as 2024-05-01 or Unix seconds",
        FieldType.LOCATION: "'near' or 'exists'",
        FieldType.OBJECT: f"'exists', or one of its parts as '{info.name}.…'",
        FieldType.MIXED: "a string, a boolean or a finite number",
        FieldType.EMPTY: "a string, a boolean or a finite number",
    }.get(info.type, f"a {info.type}")
    return FilterError(
        f"field {info.name!r} is of type {info.type} and is compared with {show(raw)} "
        f"({type(raw).__name__}); use {expected}"
    )


def show(raw: Any) -> str:
    """Return the value for a message, shortened if it is long."""
    return reprlib.repr(raw)


OPERATORS: dict[str, Callable[[FieldInfo, Any], Filter]] = {
    "any": lambda info, raw: _any_of(info, _listed(info, "any", raw)),
    "all": lambda info, raw: _all_of(info, _listed(info, "all", raw)),
    "none": lambda info, raw: Not(_any_of(info, _listed(info, "none", raw))),
    "exists": _exists,
    "near": _near,
}
