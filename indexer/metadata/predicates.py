"""What a filter is once checked: a frozen, hashable tree of conditions over dotted fields."""

from dataclasses import dataclass
from typing import TypeAlias

from indexer.metadata.values import GeoPoint


@dataclass(frozen=True, slots=True)
class FilterValues:
    """Values to compare with, apart by kind because in Python `True == 1`."""

    strings: frozenset[str] = frozenset()
    booleans: frozenset[bool] = frozenset()
    numbers: frozenset[float] = frozenset()  # instants (Unix seconds) for a date field

    def collect_words(self) -> list[str | bool]:
        """Return what is looked up rather than measured."""
        return [*self.strings, *self.booleans]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field holds at least one of the values."""

    field: str
    values: FilterValues
    as_dates: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    """The field holds every one of the values."""

    field: str
    values: FilterValues
    as_dates: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """The field holds a number (or an instant) within all the bounds given."""

    field: str
    gte: float | None = None
    gt: float | None = None
    lte: float | None = None
    lt: float | None = None
    as_dates: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """The item has the field."""

    field: str


@dataclass(frozen=True, slots=True)
class Near:
    """The field holds a place at most `km` away from `centre`."""

    field: str
    centre: GeoPoint
    km: float


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; true without parts."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold, be it because the field is missing."""

    part: "Filter"


Filter: TypeAlias = AnyOf | AllOf | Range | Exists | Near | And | Or | Not
