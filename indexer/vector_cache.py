"""Text hash to raw vector, kept between builds, so that no text is encoded twice.

Two places know vectors of earlier work: the parent snapshot, and a journal into which a running
build appends what it has encoded. A killed build loses its snapshot but not its journal.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors

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
        self._read_journal()

    def __len__(self) -> int:
        return len(self._found)

    def add_snapshot(self, folder: Path) -> None:
        """Know the vectors of an earlier snapshot of the same encoder."""
        hashes = np.load(folder / "hashes.npy", mmap_mode="r", allow_pickle=False)
        raw = np.load(folder / "raw.npy", mmap_mode="r", allow_pickle=False)
        for name, vector in zip(hashes, raw, strict=True):
            self._found[name.tobytes()] = vector

    def get(self, name: bytes) -> NDArray[np.float16] | None:
        """Return the `(d,) float16` vector of a text hash, if known."""
        return self._found.get(name)

    def append(self, names: Sequence[bytes], vectors: Vectors) -> None:
        """Remember freshly encoded vectors, in memory and in the journal."""
        records = np.empty(len(names), self._record)
        records["hash"] = np.array(names, f"V{_HASH_BYTES}")
        records["vector"] = vectors
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        with self._journal.open("ab") as file:
            file.write(records.tobytes())
        self._found |= dict(zip(names, records["vector"], strict=True))

    def forget_journal(self) -> None:
        """Drop the journal once a snapshot holds its vectors."""
        self._journal.unlink(missing_ok=True)

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
