"""The fields of a catalogue: their types, counts, ranges and most frequent values."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

MAX_NAME_CHARS = 100  # difflib is quadratic: a name of a megabyte must not stop the service


class FieldType(StrEnum):
    """The type of a field's values over the whole catalogue."""

    STRING = "string"
    BOOLEAN = "boolean"
    NUMBER = "number"
    DATE = "date"  # every value is a string in ISO form; compared by instant
    LOCATION = "location"  # {"lat", "lon"}
    OBJECT = "object"  # only `exists` applies; its parts are fields of their own: "attrs.color"
    MIXED = "mixed"  # several of these; each value is compared by its own type
    EMPTY = "empty"  # items have the field, but as null or an empty list only


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field of the catalogue.

    Attributes:
        name: Dotted path: `attrs.color` is `color` inside the object `attrs`.
        type: Type of its values.
        is_list: Whether any item has a list of values.
        present: Number of items that have it.
        distinct: Number of different values.
        top_values: At most 50 of `(value, number of items)`, most frequent first, equal ones in
            order of first appearance. Values longer than 256 characters are left out; numbers
            are counted only if there are at most 50 different ones.
        minimum: Smallest number, or earliest instant in Unix seconds (UTC).
        maximum: Largest number, or latest instant in Unix seconds (UTC).
    """

    name: str
    type: FieldType
    is_list: bool = False
    present: int = 0
    distinct: int = 0
    top_values: tuple[tuple[str | bool | float, int], ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def is_date(self) -> bool:
        """Whether its values are compared by instant."""
        return self.type is FieldType.DATE

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict that `from_json` turns back into an equal field."""
        return {**asdict(self), "type": str(self.type), "top_values": [*map(list, self.top_values)]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        top_values = tuple((value, count) for value, count in raw["top_values"])
        return cls(**{**raw, "type": FieldType(raw["type"]), "top_values": top_values})


@dataclass(frozen=True, slots=True)
class Schema:
    """Every field that a filter may name."""

    fields: Mapping[str, FieldInfo]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict that `from_json` turns back into an equal schema."""
        return {"fields": [info.to_json() for info in self.fields.values()]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        infos = map(FieldInfo.from_json, raw["fields"])
        return cls({info.name: info for info in infos})

    def select_within(self, name: str) -> "Schema":
        """Return the fields of the objects under a field, named from there."""
        prefix = f"{name}."
        inner = {n.removeprefix(prefix): i for n, i in self.fields.items() if n.startswith(prefix)}
        return Schema({n: replace(info, name=n) for n, info in inner.items()})

    def find_nearest_name(self, name: str) -> str | None:
        """Return the known field that looks most like `name`; None if no field is known."""
        by_folded = {known[:MAX_NAME_CHARS].casefold(): known for known in sorted(self.fields)}
        folded = name[:MAX_NAME_CHARS].casefold()
        found = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.0)
        return by_folded[found[0]] if found else None
