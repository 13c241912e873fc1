"""Bytes of JSON to the bytes of each of its values, without decoding them.

Where a value ends is told by its brackets and quotes alone. So one that cannot be decoded costs
itself, and one value at a time is in memory.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

MAX_VALUE_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 1 << 20
_SPACE = re.compile(rb"\s*+")
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_INSIDE = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+", re.DOTALL)
_OUTSIDE = re.compile(rb'(?:[^"{}\[\],:\s]++|' + _STRING + rb")*+", re.DOTALL)
_OPEN_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+', re.DOTALL)
_SHOWN_BYTES = 200


class BrokenJsonError(ValueError):
    """Bytes are no JSON, so that it cannot be said where the next value begins."""


class LongValueError(ValueError):
    """A value has more than `MAX_VALUE_BYTES`; `start` are its first ones. The next is readable."""

    def __init__(self, start: bytes) -> None:
        super().__init__(f"is longer than {MAX_VALUE_BYTES} bytes")
        self.start = start


class JsonValues:
    """Takes value after value from a file of JSON."""

    def __init__(self, file: BinaryIO) -> None:
        """Take a file that is open at the start of a value."""
        self._file = file
        self._buffer = b""
        self._position = self._length = 0
        self._start = b""  # of a value that is too long: what follows is let go

    def peek(self) -> bytes:
        """Return the next byte that is no space, which stays; b"" at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._position)
            self._position = found.end() if found else self._position
            if self._position < len(self._buffer):
                return self._buffer[self._position : self._position + 1]
            if not self._fill():
                return b""

    def take_mark(self, mark: bytes) -> None:
        """Go past a bracket, comma or colon.

        Raises:
            BrokenJsonError: If something else is next.
        """
        if self.peek() != mark:
            found = self.peek()
            raise BrokenJsonError(f"expected {mark.decode()}, found {found!r}" if found else "ends")
        self._position += 1

    def take_value(self) -> bytes:
        """Return the bytes of the next value: an object, a list, a text, a number or a word.

        Raises:
            BrokenJsonError: If there is none, or if the file ends within it.
            LongValueError: If it has more than `MAX_VALUE_BYTES`.
        """
        self.peek()
        self._length, self._start = 0, b""
        depth = 0
        while True:
            mark = self._find_mark(is_nested=depth > 0)
            step = 1 if mark in (b"{", b"[") else -1 if mark in (b"}", b"]") else 0
            if not depth and (step < 1 or self._length or self._start):
                break
            depth += step
            self._length += 1
            if not depth:
                break
        return self._cut()

    def take_list(self) -> Iterator[bytes | LongValueError]:
        """Yield the values of a list, which is next; one that is too long as its error.

        Raises:
            BrokenJsonError: If no list is next, or if it is damaged.
        """
        self.take_mark(b"[")
        while self.peek() != b"]":
            try:
                yield self.take_value()
            except LongValueError as error:
                yield error
            if self.peek() != b"]":
                self.take_mark(b",")
        self.take_mark(b"]")

    def _find_mark(self, *, is_nested: bool) -> bytes:
        """Lengthen the value to the next bracket, or if it is not nested to what ends it."""
        pattern = _INSIDE if is_nested else _OUTSIDE
        while True:
            found = pattern.match(self._buffer, self._position + self._length)
            self._length = found.end() - self._position if found else self._length
            if self._length > MAX_VALUE_BYTES:
                self._let_go(self._position + self._length)
            end = self._position + self._length
            mark = self._buffer[end : end + 1]
            if mark not in (b"", b'"'):
                return mark
            if mark and len(self._buffer) - self._position > MAX_VALUE_BYTES:
                self._let_go_text(end)
            if not self._fill():
                if mark or is_nested:
                    raise BrokenJsonError("ends within a value")
                return b""

    def _let_go(self, end: int) -> None:
        """Keep nothing but the start of a value that is too long."""
        self._start = self._start or self._buffer[self._position : self._position + _SHOWN_BYTES]
        self._position, self._length = end, 0

    def _let_go_text(self, begin: int) -> None:
        """Let go what is known of a text that goes on, and of the value before it."""
        self._let_go(begin)
        found = _OPEN_STRING.match(self._buffer, begin)
        self._buffer = b'"' + self._buffer[found.end() if found else len(self._buffer) :]
        self._position = 0

    def _cut(self) -> bytes:
        value = self._buffer[self._position : self._position + self._length]
        self._position += self._length
        if self._start:
            raise LongValueError(self._start)
        if not value:
            found = self.peek()
            raise BrokenJsonError(f"has no value before {found!r}" if found else "ends")
        return value

    def _fill(self) -> bool:
        """Read as many bytes again as are waiting, so that a long text is searched twice only."""
        more = self._file.read(max(_CHUNK_BYTES, len(self._buffer) - self._position))
        self._buffer = self._buffer[self._position :] + more
        self._position = 0
        return bool(more)
