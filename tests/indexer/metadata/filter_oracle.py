"""The filter grammar of API.md, one item at a time and as plainly as possible.

A second opinion for the product: it shares no code with it, and must not.
"""

import math
import unicodedata
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any


def passes(raw: Mapping[str, Any], item: Mapping[str, Any], *, dates: Collection[str]) -> bool:
    """Whether the item passes the filter; `dates` names the fields that hold dates."""
    return all(_member(key, value, item, dates) for key, value in raw.items())


def nearly_on_the_edge(raw: Any, item: Mapping[str, Any]) -> bool:
    """Whether rounding may decide a distance in the filter."""
    if isinstance(raw, list):
        return any(nearly_on_the_edge(part, item) for part in raw)
    if not isinstance(raw, dict):
        return False
    for key, value in raw.items():
        if isinstance(value, dict) and "near" in value:
            near = value["near"]
            places = [place for place in _values(item, key) if isinstance(place, dict)]
            if any(abs(_km(place, near) - near["km"]) < 1e-4 for place in places):
                return True
        if nearly_on_the_edge(value, item):
            return True
    return False


def _member(key: str, raw: Any, item: Mapping[str, Any], dates: Collection[str]) -> bool:
    if key == "and":
        return all(passes(part, item, dates=dates) for part in raw)
    if key == "or":
        return any(passes(part, item, dates=dates) for part in raw)
    if key == "not":
        return not passes(raw, item, dates=dates)
    held = _values(item, key)
    if key in dates:
        held = [_seconds(value) for value in held]
    if isinstance(raw, dict) and "elem" in raw:
        rest = {name: operand for name, operand in raw.items() if name != "elem"}
        relative = {field.removeprefix(f"{key}.") for field in dates if field.startswith(f"{key}.")}
        found = any(passes(raw["elem"], one, dates=relative) for one in _elements(item, key))
        return found and (not rest or _member(key, rest, item, dates))
    operators = raw if isinstance(raw, dict) else {"any": [raw]}
    bounds = {name: bound for name, bound in operators.items() if name in _COMPARISONS}
    others = {name: operand for name, operand in operators.items() if name not in _COMPARISONS}
    in_interval = not bounds or any(_lies_between(value, bounds, key in dates) for value in held)
    return in_interval and all(_holds(held, *other, key in dates) for other in others.items())


def _holds(held: list[Any], operator: str, operand: Any, is_date: bool) -> bool:  # noqa: FBT001
    if operator == "exists":
        return bool(held) is operand
    if operator == "near":
        return any(isinstance(p, dict) and _km(p, operand) <= operand["km"] for p in held)
    wanted = [_seconds(value) if is_date else value for value in operand]
    found = [any(_equal(value, one) for value in held) for one in wanted]
    return {"any": any(found), "all": all(found), "none": not any(found)}[operator]


_COMPARISONS = {
    "gte": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "lte": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
}


def _lies_between(value: Any, bounds: Mapping[str, Any], is_date: bool) -> bool:  # noqa: FBT001
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return all(
        _COMPARISONS[name](value, _seconds(bound) if is_date else bound)
        for name, bound in bounds.items()
    )


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return _spelt(left) == _spelt(right)
    return bool(left == right)


def _spelt(text: str) -> str:
    """The one spelling of the few texts that these tests spell in several ways."""
    for written, usual in (("懸", "悬"), ("Ｆ", "F"), ("ｉ", "i"), ("ｌ", "l"), ("ｍ", "m")):
        text = text.replace(written, usual)
    return unicodedata.normalize("NFC", text)


def _elements(item: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    """The objects, in lists under a path, that hold something; no list is in another object's."""
    here: Any = item
    for key in path.split("."):
        here = here.get(key) if isinstance(here, dict) else None
    return [p for p in _flat(here) if _is_something(p)] if isinstance(here, list) else []


def _values(item: Mapping[str, Any], path: str) -> list[Any]:
    """What is there under a dotted path: scalars, places, and objects that hold something."""
    here: list[Any] = [item]
    for key in path.split("."):
        objects = [part for part in _flat(here) if isinstance(part, dict)]
        here = [part[key] for part in objects if key in part]
    return [value for value in _flat(here) if _is_something(value)]


def _flat(values: list[Any]) -> list[Any]:
    nested = [_flat(value) if isinstance(value, list) else [value] for value in values]
    return [value for part in nested for value in part]


def _is_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_is_something(part) for part in _flat(list(value.values())))
    return value is not None


def _seconds(value: str | float) -> float:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def _km(place: Mapping[str, float], centre: Mapping[str, float]) -> float:
    """The haversine formula as in any textbook."""
    lat, lon, lat0, lon0 = map(
        math.radians, (place["lat"], place["lon"], centre["lat"], centre["lon"])
    )
    haversine = (
        math.sin((lat - lat0) / 2) ** 2
        + math.cos(lat) * math.cos(lat0) * math.sin((lon - lon0) / 2) ** 2
    )
    return 2 * 6371.0088 * math.asin(math.sqrt(min(1.0, haversine)))
