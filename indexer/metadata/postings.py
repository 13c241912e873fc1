"""Words (strings and booleans) of a field to the rows that hold them."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask
from indexer.metadata.flat_arrays import FlatArrays, FlatArraysWriter, Span

Rows: TypeAlias = NDArray[np.int32]
KeyHalves: TypeAlias = NDArray[np.uint64]


class WordKey(NamedTuple):
    """A hash of 128 bits that identifies a word; no collision is expected among 10^18 words."""

    high: int
    low: int


def hash_word(word: str | bool) -> WordKey:  # noqa: FBT001  # a value, not a switch
    """Return the key of a word, the BLAKE2b hash of its text or truth value."""
    content = f"={word}".encode("utf-8", "surrogatepass") if isinstance(word, str) else b"%d" % word
    digest = blake2b(content, digest_size=16).digest()
    return WordKey(int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big"))


@dataclass(frozen=True, slots=True)
class Postings:
    """The sorted keys of a field's words, with the rows that hold each.

    Attributes:
        n: Number of rows of the catalogue.
        high: `(m,) uint64`, ascending; `low` breaks ties.
        low: `(m,) uint64`.
        starts: `(m + 1,) int64`: the rows of key j are `rows[starts[j]:starts[j + 1]]`.
        rows: `int32`, ascending and distinct within a key.
    """

    n: int
    high: KeyHalves
    low: KeyHalves
    starts: NDArray[np.int64]
    rows: Rows

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the arrays to the files; return where each lies."""
        return {
            "high": files.append("keys", self.high),
            "low": files.append("keys", self.low),
            "starts": files.append("starts", self.starts),
            "rows": files.append("rows", self.rows),
        }

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map the arrays that `write` appended."""
        high, low = files.read("keys", spans["high"]), files.read("keys", spans["low"])
        starts, rows = files.read("starts", spans["starts"]), files.read("rows", spans["rows"])
        return cls(n, high, low, starts, rows)

    def match_any(self, words: Iterable[str | bool]) -> Mask:
        """Return the rows that hold at least one of the words."""
        mask = np.zeros(self.n, dtype=np.bool_)
        for word in words:
            mask[self._find_rows(word)] = True
        return mask

    def match_all(self, words: Iterable[str | bool]) -> Mask:
        """Return the rows that hold every one of the words."""
        return build_mask(intersect_rows(map(self._find_rows, words)), self.n)

    def repeat_keys(self) -> KeyHalves:
        """Return the first half of the key of each entry of `rows`, `uint64`."""
        return np.repeat(self.high, np.diff(self.starts))

    def _find_rows(self, word: str | bool) -> Rows:  # noqa: FBT001  # a value, not a switch
        key = hash_word(word)
        first = int(np.searchsorted(self.high, np.uint64(key.high), side="left"))
        last = int(np.searchsorted(self.high, np.uint64(key.high), side="right"))
        for position in range(first, last):
            if int(self.low[position]) == key.low:
                return self.rows[self.starts[position] : self.starts[position + 1]]
        return self.rows[:0]


def build_mask(rows: Rows, n: int) -> Mask:
    """Return a new mask `(n,) bool` that is true at the rows."""
    mask = np.zeros(n, dtype=np.bool_)
    mask[rows] = True
    return mask


def intersect_rows(row_lists: Iterable[Rows]) -> Rows:
    """Return the rows that are in every one of at least one ascending lists.

    The shortest list is looked up in the others, so the work depends mostly on its length.
    """
    common, *others = sorted(row_lists, key=len)
    for rows in others:
        if not len(common):
            break
        positions = np.searchsorted(rows, common)
        positions[positions == len(rows)] = 0
        common = common[rows[positions] == common]
    return common
