"""A schema and the values of live items in unknown fields to a schema that has these fields. Pure.

A known field keeps its type, whatever a live item holds in it: one odd item must not break
everybody's filters.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from indexer.metadata import (
    MAX_FIELDS,
    DateGuess,
    FieldInfo,
    FieldType,
    GeoPoint,
    Leaf,
    NonValue,
    Schema,
    Value,
)

_MAX_TOP_VALUES = 50
_MAX_TOP_VALUE_CHARS = 256


@dataclass(slots=True)
class _FieldStats:
    """What is known about the values under one new path."""

    dates: DateGuess
    is_list: bool = False
    present: int = 0
    counts: Counter[str | bool | float] = field(default_factory=Counter)
    kinds: set[FieldType] = field(default_factory=set)

    def add(self, value: Value) -> None:
        match value:
            case str():
                self.kinds.add(FieldType.STRING)
                self.dates.observe(value)
            case bool():
                self.kinds.add(FieldType.BOOLEAN)
            case int() | float():
                self.kinds.add(FieldType.NUMBER)
            case GeoPoint():
                self.kinds.add(FieldType.LOCATION)
            case NonValue.OBJECT:
                self.kinds.add(FieldType.OBJECT)
        self.present += value is not NonValue.MISSING
        if isinstance(value, str | bool | int | float):
            self.counts[value] += 1

    def to_field_info(self, name: str) -> FieldInfo:
        numbers = [float(v) for v in self.counts if not isinstance(v, str | bool)]
        short = Counter(
            {v: n for v, n in self.counts.items() if len(str(v)) <= _MAX_TOP_VALUE_CHARS}
        )
        return FieldInfo(
            name,
            self.type,
            is_list=self.is_list,
            present=self.present,
            distinct=len(self.counts),
            top_values=tuple(short.most_common(_MAX_TOP_VALUES)),
            minimum=min(numbers, default=None),
            maximum=max(numbers, default=None),
        )

    @property
    def type(self) -> FieldType:
        if self.kinds == {FieldType.STRING} and self.dates.holds:
            return FieldType.DATE
        if len(self.kinds) == 1:
            return next(iter(self.kinds))
        return FieldType.MIXED if self.kinds else FieldType.EMPTY


def extend_schema(base: Schema, unknown_values: Iterable[Leaf]) -> Schema:
    """Return a schema with the fields of some leaves, `(path, value, in_list)`, added.

    As in a build, only the first `MAX_FIELDS` fields of all can be filtered on.
    """
    places = max(0, MAX_FIELDS - len(base.fields))
    stats_by_path: dict[str, _FieldStats] = {}
    for path, value, in_list in unknown_values:
        stats = stats_by_path.get(path)
        if stats is None:
            if len(stats_by_path) >= places and path not in base.fields:
                continue
            stats = stats_by_path[path] = _FieldStats(DateGuess(path))
        stats.is_list |= in_list
        stats.add(value)
    if not stats_by_path:
        return base
    return Schema(
        {
            **base.fields,
            **{path: stats.to_field_info(path) for path, stats in stats_by_path.items()},
        }
    )
