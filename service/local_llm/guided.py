"""JSON schema and a model to JSON that fits it.

Punctuation is written for the model, which only fills in the values. Covers what strict structured
output allows of objects, arrays and scalars.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

_MOST_ITEMS = 4  # of an array whose length the schema leaves open
_STRING_TOKENS = 48
_NUMBER_TOKENS = 12
_NUMBER = re.compile(r"-?\d+\.?\d*|-")
_OPENINGS = {"object": "{", "string": '"'}  # of a value; numbers begin with a digit
_UNSAFE = re.compile(r"[\x00-\x1f\\\ufffd]")


class Writer(Protocol):
    """What is guided; `chat_model.Reading` is one."""

    def say(self, text: str) -> None:
        """Read a text as if the model had written it."""
        ...

    def read(self, ids: Sequence[int]) -> None:
        """Read tokens."""
        ...

    def best(self) -> tuple[int, str]:
        """Return the most likely next token and its text."""
        ...

    def prefers(self, one: str, other: str) -> bool:
        """Return whether one continuation is likelier than another."""
        ...

    def choose(self, options: Sequence[str]) -> int:
        """Return the number of the likeliest continuation."""
        ...


def write_guided(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield JSON text that fits a schema, piece by piece."""
    if "anyOf" in schema:
        yield from write_guided(writer, schema["anyOf"][0])
    elif "enum" in schema:
        options = list(map(_json, schema["enum"]))
        yield options[writer.choose(options)]
    else:
        yield from _WRITERS.get(schema.get("type", "string"), _string)(writer, schema)


def _object(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    opening = "{"
    for name, part in schema.get("properties", {}).items():
        yield _said(writer, f"{opening}{_json(name)}: ")
        yield from write_guided(writer, part)
        opening = ", "
    yield _said(writer, "}" if opening != "{" else "{}")


def _array(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    """Items until the model ends them; of an enumeration none comes twice."""
    items = dict(schema.get("items", {}))
    least, most = schema.get("minItems", 0), schema.get("maxItems", _MOST_ITEMS)
    yield _said(writer, "[")
    for place in range(most):
        following = "," if place else _OPENINGS.get(str(items.get("type")), "1")
        if place >= least and writer.prefers("]", following):
            break
        if place:
            yield _said(writer, ", ")
        if "enum" in items:
            options = list(map(_json, items["enum"]))
            chosen = writer.choose(options)
            yield options[chosen]
            items["enum"] = [value for n, value in enumerate(items["enum"]) if n != chosen]
            if not items["enum"]:
                break
        else:
            yield from write_guided(writer, items)
    yield _said(writer, "]")


def _string(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    """Text up to the quote that ends it; other quotes become typographic ones."""
    yield _said(writer, '"')
    for _ in range(_STRING_TOKENS):
        token, text = writer.best()
        if not text:
            break
        writer.read([token])
        before, quote, after = text.partition('"')
        yield _UNSAFE.sub(" ", before)
        if quote and _is_end(after or writer.best()[1]):
            yield '"'  # the model has written it
            return
        if quote:  # a small model forgets to escape a quotation
            yield "”" + _UNSAFE.sub(" ", after.replace('"', "”"))
    yield _said(writer, '"')


def _is_end(following: str) -> bool:
    """Whether what comes after a quote shows that it ended a value."""
    return following.strip()[:1] in ("", ",", "}", "]")


def _number(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    told = ""
    for _ in range(_NUMBER_TOKENS):
        token, text = writer.best()
        if not _NUMBER.fullmatch(told + text.strip()):
            break
        told += text.strip()
        writer.read([token])
    yield told.rstrip(".") if _NUMBER.fullmatch(told) and told != "-" else _said(writer, "0")


def _boolean(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    options = ("true", "false")
    yield options[writer.choose(options)]


def _null(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    yield _said(writer, "null")


def _said(writer: Writer, text: str) -> str:
    writer.say(text)
    return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_WRITERS = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _number,
    "boolean": _boolean,
    "null": _null,
}
