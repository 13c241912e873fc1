"""Text hash to raw vector, kept between builds, so that no text is encoded twice.

Two places know vectors of earlier work: the parent snapshot, and a journal into which a running
build appends what it has encoded. A killed build loses its snapshot but not its journal.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors
from indexer.snapshot import fsync

_HASH_BYTES = 16
Hashes = NDArray[np.void]


def text_hash(fingerprint_key: str, text: str) -> bytes:
    """Return 16 bytes that name a text as one encoder sees it."""
    return hashlib.sha256(f"{fingerprint_key}\n{text}".encode()).digest()[:_HASH_BYTES]


class VectorCache:
    """Raw vectors of one encoder by text hash.

    Args:
        journal: File of the out directory; its name holds the encoder's key.
        dim: Width of a vector.
    """

    def __init__(self, journal: Path, dim: int) -> None:
        self._journal = journal
        self._record = np.dtype([("hash", f"V{_HASH_BYTES}"), ("vector", "<f2", (dim,))])
        self._found: dict[bytes, NDArray[np.float16]] = {}
        self._stored: _Stored | None = None
        self._read_journal()

    def __len__(self) -> int:
        return len(self._found) + (len(self._stored.raw) if self._stored else 0)

    def add_snapshot(self, folder: Path) -> None:
        """Know the vectors of an earlier snapshot of the same encoder."""
        hashes = np.load(folder / "hashes.npy", mmap_mode="r", allow_pickle=False)
        raw = np.load(folder / "raw.npy", mmap_mode="r", allow_pickle=False)
        first_halves = hashes.view("<u8")[::2]
        order = np.argsort(first_halves, kind="stable")
        self._stored = _Stored(first_halves[order], order, hashes, raw)

    def get(self, name: bytes) -> NDArray[np.float16] | None:
        """Return the `(d,) float16` vector of a text hash, if known."""
        found = self._found.get(name)
        return self._stored.get(name) if found is None and self._stored else found

    def append(self, names: Sequence[bytes], vectors: Vectors) -> None:
        """Remember freshly encoded vectors, in memory and in the journal."""
        records = np.empty(len(names), self._record)
        records["hash"] = np.array(names, f"V{_HASH_BYTES}")
        records["vector"] = vectors
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self._journal.exists()
        with self._journal.open("ab") as file:
            file.write(records.tobytes())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            fsync(self._journal.parent)
        self._found |= dict(zip(names, records["vector"], strict=True))

    def _read_journal(self) -> None:
        if not self._journal.exists():
            return
        size = self._journal.stat().st_size
        whole = size - size % self._record.itemsize
        if whole != size:  # the writer was killed in the middle of a record
            with self._journal.open("r+b") as file:
                file.truncate(whole)
        records = np.fromfile(self._journal, self._record)
        lengths = np.linalg.norm(records["vector"].astype(np.float32), axis=1)
        for record in records[np.abs(lengths - 1) < 0.01]:  # a torn page is no unit vector
            self._found[record["hash"].tobytes()] = record["vector"]


@dataclass(frozen=True, slots=True)
class _Stored:
    """The vectors of a snapshot, found by halving: a dictionary of millions would fill memory.

    Attributes:
        keys: `(n,) uint64`, first halves of the hashes, ascending.
        rows: `(n,) int64`, row of each key.
        hashes: `(n,) V16`, by row.
        raw: `(n, d) float16`, by row, memory-mapped.
    """

    keys: NDArray[np.uint64]
    rows: NDArray[np.int64]
    hashes: Hashes
    raw: NDArray[np.float16]

    def get(self, name: bytes) -> NDArray[np.float16] | None:
        key = np.frombuffer(name, "<u8")[0]
        place = int(np.searchsorted(self.keys, key))
        while place < len(self.keys) and self.keys[place] == key:
            row = int(self.rows[place])
            if self.hashes[row].tobytes() == name:
                vector: NDArray[np.float16] = self.raw[row]
                return vector
            place += 1
        return None
