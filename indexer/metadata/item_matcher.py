"""Filter and one item to yes or no; for the few live items that no column holds yet. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from indexer.metadata.predicates import AllOf, And, AnyOf, Between, Exists, Filter, Near, Not, Or
from indexer.metadata.values import Mark, Place, instant, is_within, leaves, unit_vectors


@dataclass(slots=True)
class Held:
    """What one item holds under one path."""

    strings: set[str] = field(default_factory=set)
    booleans: set[bool] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    places: list[Place] = field(default_factory=list)


def matches(condition: Filter, fields: Mapping[str, Any]) -> bool:
    """Whether an item passes the filter: the same answer as `Columns.mask` gives for its row.

    The item may have fields and types that the filter's schema does not know. In a date field of
    such an item numbers count as Unix seconds, strings that are no dates as nothing.
    """
    return holds(condition, held_by_path(fields))


def held_by_path(fields: Mapping[str, Any]) -> dict[str, Held]:
    """Return what an item holds under each path, for `holds` to be asked many times."""
    paths: dict[str, Held] = {}
    for path, value, _ in leaves(fields):
        if value is Mark.NOTHING:
            continue
        held = paths.setdefault(path, Held())
        match value:
            case str():
                held.strings.add(value)
            case bool():
                held.booleans.add(value)
            case float():
                held.numbers.add(value)
            case Place():
                held.places.append(value)
    return paths


def holds(condition: Filter, paths: Mapping[str, Held]) -> bool:
    """Whether an item passes the filter, as `matches` says it."""
    match condition:
        case And(parts):
            return all(holds(part, paths) for part in parts)
        case Or(parts):
            return any(holds(part, paths) for part in parts)
        case Not(part):
            return not holds(part, paths)
    held = paths.get(condition.field)
    return held is not None and _compares(condition, held)


def _compares(leaf: AnyOf | AllOf | Between | Exists | Near, held: Held) -> bool:
    match leaf:
        case Exists():
            return True
        case Near():
            return _is_near(leaf, held.places)
        case Between():
            return any(_is_between(leaf, number) for number in _numbers(held, leaf.as_dates))
    wanted, numbers = leaf.values, _numbers(held, leaf.as_dates)
    found = (
        wanted.strings & held.strings,
        wanted.booleans & held.booleans,
        wanted.numbers & numbers,
    )
    if isinstance(leaf, AnyOf):
        return any(found)
    return found == (wanted.strings, wanted.booleans, wanted.numbers)


def _numbers(held: Held, as_dates: bool) -> set[float]:  # noqa: FBT001  # the leaf's own flag
    if not as_dates:
        return held.numbers
    moments = {moment for text in held.strings if (moment := instant(text)) is not None}
    return held.numbers | moments


def _is_between(leaf: Between, number: float) -> bool:
    return (
        (leaf.gte is None or number >= leaf.gte)
        and (leaf.gt is None or number > leaf.gt)
        and (leaf.lte is None or number <= leaf.lte)
        and (leaf.lt is None or number < leaf.lt)
    )


def _is_near(leaf: Near, places: list[Place]) -> bool:
    degrees = np.array(places, dtype=np.float64).reshape(-1, 2)
    points = unit_vectors(degrees[:, 0], degrees[:, 1])
    return bool(is_within(points, leaf.centre, leaf.km).any())
