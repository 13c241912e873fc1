"""Filter of a request in JSON to a checked, hashable tree of conditions. Pure.

The grammar is that of `POST /v1/recommend`. Its details:

- `and`, `or` and `not` are always operators; a field with such a name cannot be filtered on.
- The bounds in one object are one interval: of a list of numbers, one and the same element must lie
  within all of them, as in Qdrant. Use `and` to allow different elements.
- Booleans are not numbers; `4` equals `4.0`; whole numbers of up to 64 bits compare exactly.
- Strings are equal if `fold_characters` makes them so: composed or not, in full or half width, in
  traditional or simplified Chinese. Case and spaces differ.
- Dates are compared by instant with dates as a source may write them, or Unix seconds; without an
  offset they are UTC, and a month or a year is its first instant.
- `elem` holds a filter that one object in the list under a field must pass alone; it names the
  fields of these objects. A list within them is asked by an `elem` of its own.
- `none` is the negation of `any`, so it is true where the field is missing.
"""

from collections.abc import Mapping
from typing import Any

from indexer.errors import FilterError
from indexer.metadata.comparisons import (
    BOUNDS,
    OPERATOR_PARSERS,
    parse_equality,
    parse_range,
    render_value,
    require_list,
)
from indexer.metadata.predicates import And, Elem, Filter, Not, Or
from indexer.metadata.schema import MAX_NAME_CHARS, FieldInfo, Schema

MAX_DEPTH = 16
MAX_LEAVES = 256


def parse_filter(raw: Any, schema: Schema) -> Filter:
    """Check a filter against the fields of the catalogue; `{}` lets every item pass.

    Raises:
        FilterError: If a field or an operator is unknown, a value is of the wrong type, a list is
            empty, or a limit is exceeded.
    """
    return _Parser(schema).parse_object(raw, 1)


class _LeafCounter:
    """Counts the comparisons of a filter with its inner filters."""

    def __init__(self) -> None:
        self._count = 0

    def add(self) -> None:
        """Count one more.

        Raises:
            FilterError: If there are too many.
        """
        self._count += 1
        if self._count > MAX_LEAVES:
            raise FilterError(
                f"the filter makes more than {MAX_LEAVES} comparisons; "
                f"put the values of one field into one 'any'"
            )


class _Parser:
    def __init__(self, schema: Schema, leaf_counter: _LeafCounter | None = None) -> None:
        self._schema = schema
        self._leaf_counter = leaf_counter or _LeafCounter()

    def parse_object(self, raw: Any, depth: int) -> Filter:
        if not isinstance(raw, Mapping):
            raise FilterError(f"a filter must be an object, not {render_value(raw)}")
        if depth > MAX_DEPTH:
            raise FilterError(f"the filter is nested deeper than {MAX_DEPTH} levels; flatten it")
        return _combine([self._parse_member(key, value, depth) for key, value in raw.items()])

    def _parse_member(self, key: Any, value: Any, depth: int) -> Filter:
        match key:
            case "and":
                return _combine(self._parse_parts("and", value, depth))
            case "or":
                return Or(tuple(self._parse_parts("or", value, depth)))
            case "not":
                return Not(self.parse_object(value, depth + 1))
            case _:
                return self._parse_condition(self._find_field(key), value, depth)

    def _parse_parts(self, operator: str, raw: Any, depth: int) -> list[Filter]:
        parts = require_list(f"{operator!r}", "filters", raw)
        return [self.parse_object(part, depth + 1) for part in parts]

    def _find_field(self, name: Any) -> FieldInfo:
        if isinstance(name, str) and name in self._schema.fields:
            return self._schema.fields[name]
        clipped_name = str(name)[:MAX_NAME_CHARS]
        nearest = self._schema.find_nearest_name(clipped_name)
        hint = f"did you mean {nearest!r}?" if nearest else "the catalogue has no fields"
        raise FilterError(f"unknown field {clipped_name!r}; {hint}")

    def _parse_condition(self, info: FieldInfo, raw: Any, depth: int) -> Filter:
        if not isinstance(raw, Mapping):
            self._leaf_counter.add()
            return parse_equality(info, raw)
        if not raw:
            raise FilterError(
                f"field {info.name!r} is compared with nothing; {_describe_operators()}"
            )
        parts = [
            self._parse_elem(info, raw[key], depth)
            if key == "elem"
            else self._parse_operator(info, key, raw[key])
            for key in raw
            if key not in BOUNDS
        ]
        bounds = {key: raw[key] for key in BOUNDS if key in raw}
        if bounds:
            self._leaf_counter.add()
            parts.append(parse_range(info, bounds))
        return _combine(parts)

    def _parse_operator(self, info: FieldInfo, key: Any, raw: Any) -> Filter:
        self._leaf_counter.add()
        if key in OPERATOR_PARSERS:
            return OPERATOR_PARSERS[key](info, raw)
        nested = f"{info.name}.{key}"
        hint = f"write {nested!r}" if nested in self._schema.fields else _describe_operators()
        clipped_name = str(key)[:MAX_NAME_CHARS]
        raise FilterError(f"unknown operator {clipped_name!r} on field {info.name!r}; {hint}")

    def _parse_elem(self, info: FieldInfo, raw: Any, depth: int) -> Filter:
        inner_schema = self._schema.select_within(info.name)
        if not inner_schema.fields:
            raise FilterError(
                f"'elem' needs a field with a list of objects, but {info.name!r} is of type "
                f"{info.type}; compare it with 'any', 'all' or 'none'"
            )
        if not isinstance(raw, Mapping):
            raise FilterError(
                f"'elem' on field {info.name!r} needs a filter of the fields of one element, such "
                f"as {{{next(iter(inner_schema.fields))!r}: …}}: {render_value(raw)}"
            )
        inner_parser = _Parser(inner_schema, self._leaf_counter)
        return Elem(info.name, inner_parser.parse_object(raw, depth + 1))


def _combine(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _describe_operators() -> str:
    return f"use one of {', '.join([*OPERATOR_PARSERS, 'elem', *BOUNDS])}"
