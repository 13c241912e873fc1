"""A filter and one item to whether it passes; for live items, which are in no columns yet. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from indexer.metadata.character_folding import fold_characters
from indexer.metadata.predicates import (
    AllOf,
    And,
    AnyOf,
    Elem,
    Exists,
    Filter,
    Near,
    Not,
    Or,
    Range,
)
from indexer.metadata.values import (
    GeoPoint,
    NonValue,
    Number,
    Value,
    collect_elements,
    collect_leaves,
    is_within,
    to_unit_vectors,
)
from indexer.reading import parse_date_instant


@dataclass(slots=True)
class PathValues:
    """The values that one item has under one path.

    Attributes:
        strings: As `fold_characters` folds them.
        elements: Of each object in a list there, its values by path from there.
    """

    strings: set[str] = field(default_factory=set)
    booleans: set[bool] = field(default_factory=set)
    numbers: set[Number] = field(default_factory=set)
    geo_points: list[GeoPoint] = field(default_factory=list)
    elements: list[Mapping[str, "PathValues"]] = field(default_factory=list)


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
        _add_value(values_by_path.setdefault(path, PathValues()), value)
    for path, element in collect_elements(fields):
        element_values = collect_path_values(element)
        if element_values:
            values_by_path.setdefault(path, PathValues()).elements.append(element_values)
    return values_by_path


def _add_value(path_values: PathValues, value: Value) -> None:
    match value:
        case str():
            path_values.strings.add(fold_characters(value))
        case bool():
            path_values.booleans.add(value)
        case int() | float():
            path_values.numbers.add(value)
        case GeoPoint():
            path_values.geo_points.append(value)


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
    if isinstance(condition, Elem):
        elements = path_values.elements if path_values else []
        return any(matches_values(condition.part, element) for element in elements)
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


def _collect_numbers(path_values: PathValues, as_dates: bool) -> set[Number]:  # noqa: FBT001  # the leaf's own flag
    if not as_dates:
        return path_values.numbers
    instants = {
        seconds for text in path_values.strings if (seconds := parse_date_instant(text)) is not None
    }
    return path_values.numbers | instants


def _is_between(leaf: Range, number: Number) -> bool:
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
