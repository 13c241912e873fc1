"""A JSON schema and a language model to JSON that fits the schema.

Punctuation and names are appended for the model, which only fills in the values. Covers what
OpenAI's strict structured output allows of objects, arrays and scalars.
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
    """The model whose answer is guided; `chat_model.GenerationState` is one."""

    def append_text(self, text: str) -> None:
        """Feed a text to the model as if the model had generated it."""
        ...

    def read(self, ids: Sequence[int]) -> None:
        """Feed tokens to the model."""
        ...

    def find_best(self) -> tuple[int, str]:
        """Return the likeliest next token and its text, which is empty if the answer ends here."""
        ...

    def prefers(self, one: str, other: str) -> bool:
        """Return whether one text is likelier to come next than another."""
        ...

    def choose(self, options: Sequence[str]) -> int:
        """Return the position of the likeliest option, after feeding it to the model."""
        ...


def write_guided(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield JSON text that fits a schema, piece by piece."""
    if "anyOf" in schema:
        yield from write_guided(writer, schema["anyOf"][0])
    elif "enum" in schema:
        options = list(map(_dump_json, schema["enum"]))
        yield options[writer.choose(options)]
    else:
        yield from _WRITERS.get(schema.get("type", "string"), _write_string)(writer, schema)


def _write_object(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    opening = "{"
    for name, part in schema.get("properties", {}).items():
        yield _force_text(writer, f"{opening}{_dump_json(name)}: ")
        yield from write_guided(writer, part)
        opening = ", "
    yield _force_text(writer, "}" if opening != "{" else "{}")


def _write_array(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield items until the model ends the list; no value of an enumeration comes twice."""
    items = dict(schema.get("items", {}))
    least, most = schema.get("minItems", 0), schema.get("maxItems", _MOST_ITEMS)
    yield _force_text(writer, "[")
    for position in range(most):
        following = "," if position else _OPENINGS.get(str(items.get("type")), "1")
        if position >= least and writer.prefers("]", following):
            break
        if position:
            yield _force_text(writer, ", ")
        if "enum" in items:
            options = list(map(_dump_json, items["enum"]))
            chosen = writer.choose(options)
            yield options[chosen]
            items["enum"] = [value for n, value in enumerate(items["enum"]) if n != chosen]
            if not items["enum"]:
                break
        else:
            yield from write_guided(writer, items)
    yield _force_text(writer, "]")


def _write_string(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a text up to the quote that ends it; other quotes become typographic ones."""
    yield _force_text(writer, '"')
    for _ in range(_STRING_TOKENS):
        token, text = writer.find_best()
        if not text:
            break
        writer.read([token])
        before, quote, after = text.partition('"')
        yield _UNSAFE.sub(" ", before)
        if quote and _is_end(after or writer.find_best()[1]):
            yield '"'  # the model has written it
            return
        if quote:  # a small model forgets to escape a quotation
            yield "”" + _UNSAFE.sub(" ", after.replace('"', "”"))
    yield _force_text(writer, '"')


def _is_end(following: str) -> bool:
    """Whether the text after a quote shows that the quote ended a value."""
    return following.strip()[:1] in ("", ",", "}", "]")


def _write_number(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    digits = ""
    for _ in range(_NUMBER_TOKENS):
        token, text = writer.find_best()
        if not _NUMBER.fullmatch(digits + text.strip()):
            break
        digits += text.strip()
        writer.read([token])
    is_number = _NUMBER.fullmatch(digits) and digits != "-"
    yield digits.rstrip(".") if is_number else _force_text(writer, "0")


def _write_boolean(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    options = ("true", "false")
    yield options[writer.choose(options)]


def _write_null(writer: Writer, schema: Mapping[str, Any]) -> Iterator[str]:
    yield _force_text(writer, "null")


def _force_text(writer: Writer, text: str) -> str:
    """Return a text after feeding it to the model as the model's own."""
    writer.append_text(text)
    return text


def _dump_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_WRITERS = {
    "object": _write_object,
    "array": _write_array,
    "string": _write_string,
    "number": _write_number,
    "integer": _write_number,
    "boolean": _write_boolean,
    "null": _write_null,
}
