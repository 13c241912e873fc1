"""A checked filter: a frozen, hashable tree of conditions over dotted field names."""

from dataclasses import dataclass
from typing import TypeAlias

from indexer.metadata.values import GeoPoint


@dataclass(frozen=True, slots=True)
class FilterValues:
    """The values of a condition, separate by type because in Python `True == 1`."""

    strings: frozenset[str] = frozenset()
    booleans: frozenset[bool] = frozenset()
    numbers: frozenset[float] = frozenset()  # instants (Unix seconds) for a date field

    def collect_words(self) -> list[str | bool]:
        """Return the strings and booleans, which `Postings` hold."""
        return [*self.strings, *self.booleans]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field holds at least one of the values.

    Attributes:
        field: Dotted path.
        values: At least one.
        as_dates: Whether the field is a date, so that strings of an item are read as instants.
    """

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
    """The field holds a number (or an instant) within all bounds that are not None."""

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
    """The field holds a location at most `km` away from `centre`."""

    field: str
    centre: GeoPoint
    km: float


@dataclass(frozen=True, slots=True)
class And:
    """Every part is true; true without parts."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part is true."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part is not true, which includes that its field is missing."""

    part: "Filter"


Filter: TypeAlias = AnyOf | AllOf | Range | Exists | Near | And | Or | Not
