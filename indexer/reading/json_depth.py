"""JSON text to the same text, refused once its lists and objects are nested too deep.

A parser that is told where it is keeps a path for every level it is in: their memory is quadratic
in the depth, so 200 kB of brackets would take all there is. Strings are skipped, as brackets in
them nest nothing.
"""

from typing import BinaryIO

import numpy as np

from indexer.errors import CatalogError

MAX_JSON_DEPTH = 100  # of lists and objects, the outermost included; no item holds as many
_NO_MARKS = bytes(set(range(256)) - set(b'"[]{}'))
_OPENING = np.frombuffer(b"[{", dtype=np.uint8)


class DepthGuard:
    """A file of JSON to read from once, from its start."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        """Take the name of the source in the message, and its bytes."""
        self._name, self._file = name, file
        self._depth = 0
        self._is_in_string = False
        self._held = b""  # a backslash whose next byte is not read yet

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`.

        Raises:
            CatalogError: If a list or an object begins in them that is nested too deep.
        """
        text = self._file.read(size)
        self._follow(text)
        return text

    def _follow(self, text: bytes) -> None:
        """Count the brackets outside strings of the next bytes."""
        plain = (self._held + text).replace(b"\\\\", b"")
        self._held = b"\\" if plain.endswith(b"\\") else b""
        marks = plain.replace(b'\\"', b"").translate(None, _NO_MARKS)
        parts = marks.split(b'"')
        outside = b"".join(parts[self._is_in_string :: 2])
        self._is_in_string ^= len(parts) % 2 == 0
        if not outside:
            return
        brackets = np.frombuffer(outside, dtype=np.uint8)
        depths = self._depth + np.cumsum(np.where(np.isin(brackets, _OPENING), 1, -1))
        if depths.max() > MAX_JSON_DEPTH:
            raise CatalogError(
                f"{self._name} has lists and objects nested more than {MAX_JSON_DEPTH} levels "
                f"deep; write it flatter, or as one object a line"
            )
        self._depth = int(depths[-1])
