"""A checked filter: a frozen, hashable tree of conditions over dotted field names."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from indexer.errors import FilterError
from indexer.metadata.values import GeoPoint, Number


@dataclass(frozen=True, slots=True)
class FilterValues:
    """The values of a condition, separate by type because in Python `True == 1`.

    Attributes:
        strings: As `fold_characters` folds them.
        raw_strings: As the request has them, for columns that were written before strings were
            folded.
        numbers: Instants (Unix seconds) for a date field.
    """

    strings: frozenset[str] = frozenset()
    booleans: frozenset[bool] = frozenset()
    numbers: frozenset[Number] = frozenset()
    raw_strings: frozenset[str] = frozenset()

    def collect_words(self) -> list[str | bool]:
        """Return the strings and booleans, which `Postings` hold."""
        return [*self.strings, *self.booleans]

    def collect_raw_words(self) -> list[str | bool]:
        """Return the same as they were written."""
        return [*self.raw_strings, *self.booleans]


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
    gte: Number | None = None
    gt: Number | None = None
    lte: Number | None = None
    lt: Number | None = None
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
class Elem:
    """One object in the list under a path passes the part, whose fields are named from there."""

    field: str
    part: "Filter"


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


Filter: TypeAlias = AnyOf | AllOf | Range | Exists | Near | Elem | And | Or | Not


def refuse_inner_list(field: str, element_paths: Collection[str]) -> None:
    """Refuse to ask for one element of a list that is within each element of another.

    Args:
        field: The path of the list.
        element_paths: The paths of all lists of objects.

    Raises:
        FilterError: Telling how it is asked.
    """
    outer = next((name for name in element_paths if field.startswith(f"{name}.")), None)
    if field not in element_paths and outer is not None:
        inner = field.removeprefix(f"{outer}.")
        raise FilterError(
            f"{field!r} is a list within each element of {outer!r}; write "
            f'{{"{outer}": {{"elem": {{"{inner}": {{"elem": …}}}}}}}}'
        )
