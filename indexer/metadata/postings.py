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
    """128 bits that stand for a word; two words sharing them is not expected in 10^18 words."""

    high: int
    low: int


def hash_word(word: str | bool) -> WordKey:  # noqa: FBT001  # a value, not a switch
    """Return the key by which a word is found, however long it is."""
    content = f"={word}".encode("utf-8", "surrogatepass") if isinstance(word, str) else b"%d" % word
    digest = blake2b(content, digest_size=16).digest()
    return WordKey(int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big"))


@dataclass(frozen=True, slots=True)
class Postings:
    """Sorted keys, and for each the rows that hold it.

    Attributes:
        n: Number of rows of the catalogue.
        high: `(m,) uint64`, ascending; `low` breaks ties.
        low: `(m,) uint64`.
        starts: `(m + 1,) int64`: the rows of key j are `rows[starts[j]:starts[j + 1]]`.
        rows: Ascending and unique within a key.
    """

    n: int
    high: KeyHalves
    low: KeyHalves
    starts: NDArray[np.int64]
    rows: Rows

    def write(self, files: FlatArraysWriter) -> dict[str, Span]:
        """Append the arrays and return their places."""
        return {
            "high": files.append("keys", self.high),
            "low": files.append("keys", self.low),
            "starts": files.append("starts", self.starts),
            "rows": files.append("rows", self.rows),
        }

    @classmethod
    def read(cls, files: FlatArrays, spans: dict[str, Span], n: int) -> Self:
        """Map what `write` wrote."""
        high, low = files.read("keys", spans["high"]), files.read("keys", spans["low"])
        starts, rows = files.read("starts", spans["starts"]), files.read("rows", spans["rows"])
        return cls(n, high, low, starts, rows)

    def match_any(self, words: Iterable[str | bool]) -> Mask:
        """Rows that hold one of the words."""
        mask = np.zeros(self.n, dtype=np.bool_)
        for word in words:
            mask[self._find_rows(word)] = True
        return mask

    def match_all(self, words: Iterable[str | bool]) -> Mask:
        """Rows that hold each of the words."""
        return build_mask(intersect_rows(map(self._find_rows, words)), self.n)

    def repeat_keys(self) -> KeyHalves:
        """The first half of the key of each row in `rows`."""
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
    """Return a fresh mask that is set at the rows."""
    mask = np.zeros(n, dtype=np.bool_)
    mask[rows] = True
    return mask


def intersect_rows(row_lists: Iterable[Rows]) -> Rows:
    """Return the rows that are in each of some ascending lists; the rarest bounds the work."""
    rarest, *others = sorted(row_lists, key=len)
    for rows in others:
        if not len(rarest):
            break
        positions = np.searchsorted(rows, rarest)
        positions[positions == len(rows)] = 0
        rarest = rarest[rows[positions] == rarest]
    return rarest
