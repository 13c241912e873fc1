"""Text of anybody to text that a terminal shows and does not obey. Pure."""

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def escape_controls(text: str) -> str:
    """Return a text with control characters as hexadecimal escapes; tabs and line ends stay."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
