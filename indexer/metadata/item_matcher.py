"""A filter and one item to whether it passes; for live items, which are in no columns yet. Pure."""

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
    to_unit_vectors,
)
from indexer.reading import parse_date_instant


@dataclass(slots=True)
class PathValues:
    """The values that one item has under one path."""

    strings: set[str] = field(default_factory=set)
    booleans: set[bool] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    geo_points: list[GeoPoint] = field(default_factory=list)


def matches(condition: Filter, fields: Mapping[str, Any]) -> bool:
    """Whether an item passes a filter, as `Columns.match_rows` decides it for its row.

    The item may have fields and types that the schema of the filter does not have. In a date field
    its numbers are Unix seconds, and its strings that are not dates match nothing.
    """
    return matches_values(condition, collect_path_values(fields))


def collect_path_values(fields: Mapping[str, Any]) -> dict[str, PathValues]:
    """Return an item's values by path, to be computed once for many calls of `matches_values`."""
    values_by_path: dict[str, PathValues] = {}
    for path, value, _ in collect_leaves(fields):
        if value is NonValue.MISSING:
            continue
        path_values = values_by_path.setdefault(path, PathValues())
        match value:
            case str():
                path_values.strings.add(value)
            case bool():
                path_values.booleans.add(value)
            case float():
                path_values.numbers.add(value)
            case GeoPoint():
                path_values.geo_points.append(value)
    return values_by_path


def matches_values(condition: Filter, values_by_path: Mapping[str, PathValues]) -> bool:
    """Whether an item passes a filter, as `matches`, given its values by path."""
    match condition:
        case And(parts):
            return all(matches_values(part, values_by_path) for part in parts)
        case Or(parts):
            return any(matches_values(part, values_by_path) for part in parts)
        case Not(part):
            return not matches_values(part, values_by_path)
    path_values = values_by_path.get(condition.field)
    return path_values is not None and _matches_leaf(condition, path_values)


def _matches_leaf(leaf: AnyOf | AllOf | Range | Exists | Near, path_values: PathValues) -> bool:
    match leaf:
        case Exists():
            return True
        case Near():
            return _is_near(leaf, path_values.geo_points)
        case Range():
            return any(
                _is_between(leaf, number) for number in _collect_numbers(path_values, leaf.as_dates)
            )
    wanted, numbers = leaf.values, _collect_numbers(path_values, leaf.as_dates)
    shared = (
        wanted.strings & path_values.strings,
        wanted.booleans & path_values.booleans,
        wanted.numbers & numbers,
    )
    if isinstance(leaf, AnyOf):
        return any(shared)
    return shared == (wanted.strings, wanted.booleans, wanted.numbers)


def _collect_numbers(path_values: PathValues, as_dates: bool) -> set[float]:  # noqa: FBT001  # the leaf's own flag
    if not as_dates:
        return path_values.numbers
    instants = {
        seconds for text in path_values.strings if (seconds := parse_date_instant(text)) is not None
    }
    return path_values.numbers | instants


def _is_between(leaf: Range, number: float) -> bool:
    return (
        (leaf.gte is None or number >= leaf.gte)
        and (leaf.gt is None or number > leaf.gt)
        and (leaf.lte is None or number <= leaf.lte)
        and (leaf.lt is None or number < leaf.lt)
    )


def _is_near(leaf: Near, geo_points: list[GeoPoint]) -> bool:
    degrees = np.array(geo_points, dtype=np.float64).reshape(-1, 2)
    points = to_unit_vectors(degrees[:, 0], degrees[:, 1])
    return bool(is_within(points, leaf.centre, leaf.km).any())
