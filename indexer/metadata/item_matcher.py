"""Filter and one item to yes or no; for the few live items that no column holds yet. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from indexer.metadata.predicates import AllOf, And, AnyOf, Exists, Filter, Near, Not, Or, Range
from indexer.metadata.values import (
    GeoPoint,
    NonValue,
    collect_leaves,
    is_within,
    parse_instant,
    to_unit_vectors,
)


@dataclass(slots=True)
class PathValues:
    """What one item holds under one path."""

    strings: set[str] = field(default_factory=set)
    booleans: set[bool] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    geo_points: list[GeoPoint] = field(default_factory=list)


def matches(condition: Filter, fields: Mapping[str, Any]) -> bool:
    """Whether an item passes the filter: the same answer as `Columns.mask` gives for its row.

    The item may have fields and types that the filter's schema does not know. In a date field of
    such an item numbers count as Unix seconds, strings that are no dates as nothing.
    """
    return matches_values(condition, collect_path_values(fields))


def collect_path_values(fields: Mapping[str, Any]) -> dict[str, PathValues]:
    """Return what an item holds under each path, for `matches_values` to be asked many times."""
    paths: dict[str, PathValues] = {}
    for path, value, _ in collect_leaves(fields):
        if value is NonValue.MISSING:
            continue
        held = paths.setdefault(path, PathValues())
        match value:
            case str():
                held.strings.add(value)
            case bool():
                held.booleans.add(value)
            case float():
                held.numbers.add(value)
            case GeoPoint():
                held.geo_points.append(value)
    return paths


def matches_values(condition: Filter, paths: Mapping[str, PathValues]) -> bool:
    """Whether an item passes the filter, as `matches` says it."""
    match condition:
        case And(parts):
            return all(matches_values(part, paths) for part in parts)
        case Or(parts):
            return any(matches_values(part, paths) for part in parts)
        case Not(part):
            return not matches_values(part, paths)
    held = paths.get(condition.field)
    return held is not None and _matches_leaf(condition, held)


def _matches_leaf(leaf: AnyOf | AllOf | Range | Exists | Near, held: PathValues) -> bool:
    match leaf:
        case Exists():
            return True
        case Near():
            return _is_near(leaf, held.geo_points)
        case Range():
            return any(
                _is_between(leaf, number) for number in _collect_numbers(held, leaf.as_dates)
            )
    wanted, numbers = leaf.values, _collect_numbers(held, leaf.as_dates)
    found = (
        wanted.strings & held.strings,
        wanted.booleans & held.booleans,
        wanted.numbers & numbers,
    )
    if isinstance(leaf, AnyOf):
        return any(found)
    return found == (wanted.strings, wanted.booleans, wanted.numbers)


def _collect_numbers(held: PathValues, as_dates: bool) -> set[float]:  # noqa: FBT001  # the leaf's own flag
    if not as_dates:
        return held.numbers
    moments = {moment for text in held.strings if (moment := parse_instant(text)) is not None}
    return held.numbers | moments


def _is_between(leaf: Range, number: float) -> bool:
    return (
        (leaf.gte is None or number >= leaf.gte)
        and (leaf.gt is None or number > leaf.gt)
        and (leaf.lte is None or number <= leaf.lte)
        and (leaf.lt is None or number < leaf.lt)
    )


def _is_near(leaf: Near, places: list[GeoPoint]) -> bool:
    degrees = np.array(places, dtype=np.float64).reshape(-1, 2)
    points = to_unit_vectors(degrees[:, 0], degrees[:, 1])
    return bool(is_within(points, leaf.centre, leaf.km).any())
