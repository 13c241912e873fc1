"""Filter of a request in JSON to a checked, hashable tree of conditions. Pure.

The grammar is that of `POST /v1/recommend`. Its details:

- `and`, `or` and `not` are always operators; a field with such a name cannot be filtered on.
- The bounds in one object are one interval: of a list of numbers, one and the same element must lie
  within all of them, as in Qdrant. Use `and` to allow different elements.
- Booleans are not numbers; `4` equals `4.0`; strings are equal only if exactly equal.
- Dates are compared by instant with date strings or Unix seconds; without an offset they are UTC.
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
from indexer.metadata.predicates import And, Filter, Not, Or
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


class _Parser:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._leaf_count = 0

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
                return self._parse_condition(self._find_field(key), value)

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

    def _parse_condition(self, info: FieldInfo, raw: Any) -> Filter:
        if not isinstance(raw, Mapping):
            self._count_leaf()
            return parse_equality(info, raw)
        if not raw:
            raise FilterError(
                f"field {info.name!r} is compared with nothing; {_describe_operators()}"
            )
        parts = [self._parse_operator(info, key, raw[key]) for key in raw if key not in BOUNDS]
        bounds = {key: raw[key] for key in BOUNDS if key in raw}
        if bounds:
            self._count_leaf()
            parts.append(parse_range(info, bounds))
        return _combine(parts)

    def _parse_operator(self, info: FieldInfo, key: Any, raw: Any) -> Filter:
        self._count_leaf()
        if key in OPERATOR_PARSERS:
            return OPERATOR_PARSERS[key](info, raw)
        nested = f"{info.name}.{key}"
        hint = f"write {nested!r}" if nested in self._schema.fields else _describe_operators()
        clipped_name = str(key)[:MAX_NAME_CHARS]
        raise FilterError(f"unknown operator {clipped_name!r} on field {info.name!r}; {hint}")

    def _count_leaf(self) -> None:
        self._leaf_count += 1
        if self._leaf_count > MAX_LEAVES:
            raise FilterError(
                f"the filter makes more than {MAX_LEAVES} comparisons; "
                f"put the values of one field into one 'any'"
            )


def _combine(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _describe_operators() -> str:
    return f"use one of {', '.join([*OPERATOR_PARSERS, *BOUNDS])}"
