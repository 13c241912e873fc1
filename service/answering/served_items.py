"""Ids of a list to a few bytes that tell which of them were shown, and back to ids of a catalogue.

Each id is its 40-bit hash. Up to `MAX_IN_ORDER` are kept whole, in the order they were shown. More
are kept as an ascending set, Rice-coded. A list of which all ids are known, shown or not, needs
fewer bits than 40: so many that few of those not shown look as if they had been, and these are
named. For a list of up to 1,000 ids, that makes at most about 550 bytes, whatever the ids are.

What is traded for that: an item that was not in the list when a page was made (a new one) may look
shown, and is then left out of this list. It is no gap, since it never was in the list. Hashes of 40
bits are not exact either: of 1,000 shown in a million, one item would be missed in a thousandth of
all lists.
"""

import hashlib
import math
import struct
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.live import RequestView

Hashes: TypeAlias = NDArray[np.uint64]

MAX_IN_ORDER = 64
_HASH_BITS = 40
_HASH_BYTES = _HASH_BITS // 8
_NAMED_BITS = 32  # of those that look shown but were not
_HEADER = struct.Struct(">BBII")  # bits, Rice parameter, shown, named
_NONE: Hashes = np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class ServedItems:
    """Which items of a list were shown.

    Attributes:
        prefixes: `(m,) uint64`, the first `bits` bits of each hash: up to `MAX_IN_ORDER` in the
            order they were shown, more ascending.
        bits: At most `_HASH_BITS`.
        named: `(n,) uint64`, the last `_NAMED_BITS` of hashes that match but were not shown.
    """

    prefixes: Hashes = field(default_factory=lambda: _NONE)
    bits: int = _HASH_BITS
    named: Hashes = field(default_factory=lambda: _NONE)

    @property
    def is_whole(self) -> bool:
        """Whether no bit of any hash was left out."""
        return self.bits == _HASH_BITS

    def add(self, ids: Sequence[str], *, others: Sequence[str] | None) -> "ServedItems":
        """Return these and further ids.

        Args:
            ids: In the order they are shown.
            others: All further ids of the list; None: they are not known, so no bit may be saved.
        """
        added = hash_ids(ids)
        prefixes = np.concatenate([self.prefixes, added >> np.uint64(_HASH_BITS - self.bits)])
        if len(prefixes) <= MAX_IN_ORDER and self.bits == _HASH_BITS:
            return ServedItems(prefixes)
        named = np.setdiff1d(self.named, _name(added))
        whole = ServedItems(np.unique(prefixes), self.bits, named)
        if others is None:
            return whole
        rest = hash_ids(others)
        fewest = math.ceil(math.log2(len(whole.prefixes)))
        shorter = [whole._shorten(bits, rest) for bits in range(fewest + 1, fewest + 7)]
        return min([whole._shorten(self.bits, rest), *shorter], key=ServedItems._count_bits)

    def find_rows(self, sorted_hashes: Hashes) -> NDArray[np.int64]:
        """Return the positions of the hashes that were shown, by prefix."""
        shift = np.uint64(_HASH_BITS - self.bits)
        first = np.searchsorted(sorted_hashes, self.prefixes << shift)
        after = np.searchsorted(sorted_hashes, (self.prefixes + np.uint64(1)) << shift)
        runs = [np.arange(*pair) for pair in zip(first.tolist(), after.tolist(), strict=True)]
        found = np.concatenate([np.empty(0, np.int64), *runs])
        return found[~np.isin(_name(sorted_hashes[found]), self.named)]

    def to_bytes(self) -> bytes:
        """Return the bytes that `from_bytes` reads."""
        if len(self.prefixes) <= MAX_IN_ORDER and self.bits == _HASH_BITS:
            return b"\0" + _pack_whole(self.prefixes, _HASH_BYTES)
        gaps = np.diff(self.prefixes, prepend=np.uint64(0))
        low_bits = max(0, int(math.log2(max(1.0, float(gaps.mean())))))
        ends = np.cumsum((gaps >> np.uint64(low_bits)) + np.uint64(1)) - np.uint64(1)
        unary = np.zeros(int(ends[-1]) + 1, np.uint8)
        unary[ends.astype(np.int64)] = 1
        shifts = np.arange(low_bits, dtype=np.uint64)
        low = (gaps[:, np.newaxis] >> shifts) & np.uint64(1)  # (m, low_bits)
        coded = np.packbits(np.concatenate([low.astype(np.uint8).ravel(), unary])).tobytes()
        header = _HEADER.pack(self.bits, low_bits, len(gaps), len(self.named))
        return b"\xff" + header + _pack_whole(self.named, _NAMED_BITS // 8) + coded

    @classmethod
    def from_bytes(cls, packed: bytes) -> Self:
        """Read what `to_bytes` wrote; the first byte tells a set from hashes in order."""
        if packed[:1] == b"\0":
            return cls(_unpack_whole(packed[1:], _HASH_BYTES))
        bits, low_bits, count, named_count = _HEADER.unpack_from(packed, 1)
        start = 1 + _HEADER.size
        end = start + named_count * (_NAMED_BITS // 8)
        coded = np.unpackbits(np.frombuffer(packed, np.uint8, offset=end))
        low = coded[: count * low_bits].reshape(count, low_bits).astype(np.uint64)
        ends = np.flatnonzero(coded[count * low_bits :])[:count]
        high = (np.diff(ends, prepend=-1) - 1).astype(np.uint64)
        shifts = np.arange(low_bits, dtype=np.uint64)
        gaps = (high << np.uint64(low_bits)) | (low << shifts).sum(axis=1, dtype=np.uint64)
        named = _unpack_whole(packed[start:end], _NAMED_BITS // 8)
        return cls(np.cumsum(gaps, dtype=np.uint64), bits, named)

    def _shorten(self, bits: int, rest: Hashes) -> "ServedItems":
        """Return the same with at most so many bits, and the matches among the rest named."""
        bits = min(bits, self.bits)
        prefixes = np.unique(self.prefixes >> np.uint64(self.bits - bits))
        matching = rest[np.isin(rest >> np.uint64(_HASH_BITS - bits), prefixes)]
        return ServedItems(prefixes, bits, np.union1d(self.named, _name(matching)))

    def _count_bits(self) -> float:
        count = len(self.prefixes)
        return count * (self.bits - math.log2(count) + 1.5) + len(self.named) * _NAMED_BITS


def hash_ids(ids: Sequence[str]) -> Hashes:
    """Return the hash of each id, `(n,) uint64` below 2**40."""
    digests = [hashlib.blake2b(i.encode(), digest_size=_HASH_BYTES).digest() for i in ids]
    return _unpack_whole(b"".join(digests), _HASH_BYTES)


def find_served_ids(view: RequestView, served: ServedItems) -> tuple[str, ...]:
    """Return the ids of a catalogue that were shown, in that order while it is known."""
    if not len(served.prefixes):
        return ()
    catalogue, known = view.catalogue, view.index.count
    new_rows = np.arange(known, catalogue.count)
    new_hashes = hash_ids(catalogue.ids(new_rows.tolist()))
    new_order = np.argsort(new_hashes)
    hashes, order = _SNAPSHOT_HASHES.sort(view)
    old, new = served.find_rows(hashes), served.find_rows(new_hashes[new_order])
    rows = np.concatenate([order[old], new_rows[new_order[new]]])
    if len(served.prefixes) <= MAX_IN_ORDER and served.bits == _HASH_BITS:
        found = np.concatenate([hashes[old], new_hashes[new_order[new]]])
        place = {prefix: n for n, prefix in enumerate(served.prefixes.tolist())}
        rows = rows[np.argsort([place[value] for value in found.tolist()], kind="stable")]
    return tuple(catalogue.ids(rows.tolist()))


class _SnapshotHashes:
    """The hashes of all ids of each open snapshot, sorted; made when a list first goes on."""

    def __init__(self) -> None:
        self._sorted: weakref.WeakKeyDictionary[object, tuple[Hashes, NDArray[np.int64]]] = (
            weakref.WeakKeyDictionary()
        )
        self._lock = threading.Lock()

    def sort(self, view: RequestView) -> tuple[Hashes, NDArray[np.int64]]:
        """Return the hashes in ascending order, and the row of each."""
        index = view.index
        with self._lock:
            made = self._sorted.get(index)
            if made is None:
                hashes = hash_ids(index.ids(range(index.count)))
                order = np.argsort(hashes)
                made = self._sorted[index] = (hashes[order], order)
        return made


_SNAPSHOT_HASHES = _SnapshotHashes()


def _name(hashes: Hashes) -> Hashes:
    return hashes & np.uint64((1 << _NAMED_BITS) - 1)


def _pack_whole(values: Hashes, width: int) -> bytes:
    raw = values.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - width :]
    return raw.tobytes()


def _unpack_whole(packed: bytes, width: int) -> Hashes:
    raw = np.frombuffer(packed, np.uint8).reshape(-1, width)
    wide = np.zeros((len(raw), 8), np.uint8)
    wide[:, 8 - width :] = raw
    return wide.view(">u8").ravel().astype(np.uint64)
