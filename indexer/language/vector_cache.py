"""Hash of a text to its raw vector, kept between builds so that no text is encoded twice.

Vectors come from two places: the previous snapshot, and a journal to which a running build appends
the vectors it has encoded. A killed build loses its unfinished snapshot but not its journal.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.durable import fsync

_HASH_BYTES = 16
_CHUNK_ROWS = 16_384
_NORM_TOLERANCE = 0.01
Hashes = NDArray[np.void]


def hash_text(fingerprint_key: str, text: str) -> bytes:
    """Return a hash of 16 bytes of an encoder's fingerprint key and a text."""
    return hashlib.sha256(f"{fingerprint_key}\n{text}".encode()).digest()[:_HASH_BYTES]


class VectorCache:
    """Raw vectors of one encoder by text hash, memory-mapped.

    Args:
        journal: File of the build's output directory; there is one for each fingerprint key.
        dim: Width of a vector.

    Attributes:
        snapshot: Folder of the last snapshot that was added; None if none was.
    """

    def __init__(self, journal: Path, dim: int) -> None:
        self._journal = journal
        self._record_type = np.dtype([("hash", f"V{_HASH_BYTES}"), ("vector", "<f2", (dim,))])
        self._stored: list[_StoredVectors] = []
        self.snapshot: Path | None = None
        self._read_journal()

    def __len__(self) -> int:
        return sum(len(stored.rows) for stored in self._stored)

    def add_snapshot(self, folder: Path) -> None:
        """Add the vectors of an earlier snapshot of the same encoder."""
        hashes = np.load(folder / "hashes.npy", mmap_mode="r", allow_pickle=False)
        raw = np.load(folder / "raw.npy", mmap_mode="r", allow_pickle=False)
        self._stored.append(_StoredVectors.from_rows(hashes, raw, np.arange(len(hashes))))
        self.snapshot = folder

    def get(self, text_key: bytes) -> NDArray[np.float16] | None:
        """Return the `(d,) float16` vector of a text hash, or None if there is none."""
        vectors = (stored.get(text_key) for stored in self._stored)
        return next((vector for vector in vectors if vector is not None), None)

    def append(self, text_keys: Sequence[bytes], vectors: Vectors) -> None:
        """Append `(n, d)` new vectors to the journal and flush them to the disk.

        Vectors appended here are not found by `get` of the same object.
        """
        records = np.empty(len(text_keys), self._record_type)
        records["hash"] = np.array(text_keys, f"V{_HASH_BYTES}")
        records["vector"] = vectors
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self._journal.exists()
        with self._journal.open("ab") as file:
            file.write(records.tobytes())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            fsync(self._journal.parent)

    def _read_journal(self) -> None:
        if not self._journal.exists():
            return
        size = self._journal.stat().st_size
        whole_bytes = size - size % self._record_type.itemsize
        if whole_bytes != size:  # the build was killed while it wrote a record
            with self._journal.open("r+b") as file:
                file.truncate(whole_bytes)
        if not whole_bytes:
            return
        records = np.memmap(self._journal, self._record_type, mode="r")
        self._stored.append(
            _StoredVectors.from_rows(
                records["hash"], records["vector"], _find_unit_rows(records["vector"])
            )
        )


def _find_unit_rows(vectors: NDArray[np.float16]) -> NDArray[np.int64]:
    """Return the rows of unit length: records that a crash left half-written are not."""
    is_unit = [
        np.abs(np.linalg.norm(vectors[start : start + _CHUNK_ROWS].astype(np.float32), axis=1) - 1)
        < _NORM_TOLERANCE
        for start in range(0, len(vectors), _CHUNK_ROWS)
    ]
    return np.flatnonzero(np.concatenate(is_unit))


@dataclass(frozen=True, slots=True)
class _StoredVectors:
    """Vectors on disk, found by binary search: a dictionary of millions would fill the memory.

    Attributes:
        keys: `(m,) uint64`, first halves of the hashes, ascending.
        rows: `(m,) int64`, row of each key.
        hashes: `(n,) V16`, by row, memory-mapped.
        raw: `(n, d) float16`, by row, memory-mapped.
    """

    keys: NDArray[np.uint64]
    rows: NDArray[np.int64]
    hashes: Hashes
    raw: NDArray[np.float16]

    @classmethod
    def from_rows(cls, hashes: Hashes, raw: NDArray[np.float16], rows: NDArray[np.int64]) -> Self:
        """Index the vectors at some rows; equal hashes must have equal vectors."""
        first_halves = np.ascontiguousarray(hashes[rows]).view("<u8")[::2]
        order = np.argsort(first_halves, kind="stable")
        return cls(first_halves[order], rows[order], hashes, raw)

    def get(self, text_key: bytes) -> NDArray[np.float16] | None:
        key = np.frombuffer(text_key, "<u8")[0]
        position = int(np.searchsorted(self.keys, key))
        while position < len(self.keys) and self.keys[position] == key:
            row = int(self.rows[position])
            if self.hashes[row].tobytes() == text_key:
                vector: NDArray[np.float16] = self.raw[row]
                return vector
            position += 1
        return None
