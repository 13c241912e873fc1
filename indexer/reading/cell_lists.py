"""Text of one cell to the list or object that it spells: JSON, Python, PostgreSQL. Pure.

`None` means that a text spells none; it is text then, such as the film `[REC]`.
"""

import ast
import re
from contextlib import suppress
from typing import Any

import orjson

_MAX_CHARS = 1 << 16  # a longer literal of Python or array of PostgreSQL is text
# All that a literal of lists, objects, texts and numbers consists of. Nothing else reaches Python's
# parser: no names, calls or operators.
_STRING = (
    r"'(?:[^'\\\n]|\\['\"\\nrtxuU0-7])*+'"
    r'|"(?:[^"\\\n]|\\[\'"\\nrtxuU0-7])*+"'
)
_PYTHON_LITERAL = re.compile(
    rf"(?:[\[\]{{}}(),:\s]|{_STRING}"
    r"|-?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?(?![\w.])"
    r"|(?:None|True|False|-?nan|-?inf)\b)*+",
    re.ASCII,
)
_STRING_OR_NAN = re.compile(rf"{_STRING}|-?\b(?:nan|inf)\b")
_ARRAY_PART = re.compile(r'\s*+(?:"((?:[^"\\]|\\.)*+)"\s*+|([^",{}\\]++))(?:,|$)')
_ESCAPE = re.compile(r"\\(.)")


def read_structure(text: str) -> list[Any] | dict[Any, Any] | None:
    """Return the list or object that a text spells in JSON or in Python's own notation.

    Only literals are read, and only if they are not long; nothing is evaluated.
    """
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] not in ("[]", "{}", "()"):
        return None
    try:
        value: Any = orjson.loads(stripped)
    except orjson.JSONDecodeError:
        value = _read_python(stripped)
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, list | dict) else None


def _read_python(text: str) -> Any:
    if len(text) > _MAX_CHARS or not _PYTHON_LITERAL.fullmatch(text):
        return None
    if '"' not in text and "\\" not in text:
        with suppress(orjson.JSONDecodeError):  # by far the quickest for ['Drama', 'Crime']
            return orjson.loads(text.replace("'", '"'))
    try:
        return ast.literal_eval(_STRING_OR_NAN.sub(_replace_nan, text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _replace_nan(match: re.Match[str]) -> str:
    return match[0] if match[0][0] in "'\"" else "None"


def read_array(text: str) -> list[str] | None:
    """Return the texts of a PostgreSQL array such as `{Drama,"Film noir",NULL}`, without nulls."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] != "{}" or len(stripped) > _MAX_CHARS:
        return None
    inside = stripped[1:-1]
    if not inside.strip():
        return []
    parts: list[str] = []
    position = 0
    while position < len(inside):
        match = _ARRAY_PART.match(inside, position)
        if match is None:
            return None
        quoted, plain = match.groups()
        if quoted is not None:
            parts.append(_ESCAPE.sub(r"\1", quoted))
        elif plain.strip().upper() != "NULL":
            parts.append(plain.strip())
        position = match.end()
    return parts


def read_list(text: str) -> list[Any] | None:
    """Return the entries of a text that spells a list, in any of the notations."""
    value = read_structure(text)
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value:
        return [value] if "name" in value or "text" in value else None
    return read_array(text)


def take_names(entries: list[Any]) -> list[Any]:
    """Return the entries; of those that are objects their `name` or `text`, if they have one."""
    return [
        entry.get("name", entry.get("text", entry)) if isinstance(entry, dict) else entry
        for entry in entries
    ]
