"""Staged items to raw vectors on disk: given ones, known ones, and the rest encoded in chunks.

Texts that must be encoded wait in a scratch file: a million of them would fill the memory.
"""

import os
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows
from indexer.build.options import StageProgress
from indexer.build.staging import Staging
from indexer.language import Encoder, VectorCache, describe, hash_text

_CHUNK_TEXTS = 2_048


class RawVectors:
    """The raw vectors of one build, in its working folder.

    Attributes:
        raw: `(n, d) float16`, unit length, memory-mapped.
        encoded_count: Texts that went through the model.
        reused_count: Rows whose vector was known, or that share their text with another.
    """

    def __init__(self, work: Path, shape: tuple[int, int]) -> None:
        """Make room on the disk."""
        self._work = work
        self.encoded_count = self.reused_count = 0
        file = work / "raw.npy"
        self.raw = np.lib.format.open_memmap(file, mode="w+", dtype="<f2", shape=shape)
        with file.open("r+b") as opened:
            # A mapped page that finds no room on the disk later kills the process.
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
        self._hashes = np.zeros(shape[0], "V16")

    def write(
        self,
        staging: Staging,
        rating_scale: tuple[float, float],
        encoder: Encoder | None,
        cache: VectorCache | None,
        report: StageProgress,
    ) -> NDArray[np.float16]:
        """Fill in all rows; what a killed build has encoded is in the cache, too."""
        key = encoder.fingerprint.key if encoder else ""
        with _PendingTexts(self._work / "texts.tmp") as pending:
            for row, item in enumerate(staging.iter_items()):
                if item.vector is not None:
                    wide = item.vector.astype(np.float64)  # squares of float32 over- or underflow
                    self.raw[row] = wide / np.linalg.norm(wide)
                    continue
                text = describe(item.fields, rating_scale=rating_scale)
                text_key = hash_text(key, text)
                self._hashes[row] = np.void(text_key)
                known = cache.get(text_key) if cache else None
                if known is None:
                    pending.add(row, text)
                else:
                    self.raw[row] = known
                    self.reused_count += 1
            if encoder is not None and cache is not None:
                self._encode(pending, encoder, cache, report)
        self.raw.flush()
        np.save(self._work / "hashes.npy", self._hashes)
        return self.raw

    def _encode(
        self, pending: "_PendingTexts", encoder: Encoder, cache: VectorCache, report: StageProgress
    ) -> None:
        """Longest first, equal texts once; each chunk is durable before the next begins."""
        rows = pending.list_rows()
        _, first, inverse = np.unique(self._hashes[rows], return_index=True, return_inverse=True)
        longest_first = first[np.argsort(-pending.list_sizes()[first], kind="stable")]
        total = len(first)
        for start in range(0, total, _CHUNK_TEXTS):
            positions = longest_first[start : start + _CHUNK_TEXTS]
            progress = _shift_progress(report, start, total)
            vectors = encoder.encode_items([pending.read_text(int(p)) for p in positions], progress)
            self.raw[rows[positions]] = vectors
            cache.append([self._hashes[row].tobytes() for row in rows[positions]], vectors)
        for position, row in enumerate(rows.tolist()):
            source_row = int(rows[first[inverse[position]]])
            if source_row != row:
                self.raw[row] = self.raw[source_row]
        self.encoded_count = total
        self.reused_count += len(rows) - total


def _shift_progress(report: StageProgress, done: int, total: int) -> Callable[[int], None]:
    """Report texts finished after `done` of `total`."""

    def progress(finished: int) -> None:
        nonlocal done
        done += finished
        report("encode", done, total)

    return progress


class _PendingTexts:
    """Texts in a scratch file, with the row of each; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._records = array("q")  # row, place in the file and size of each text
        self._end_offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink()

    def add(self, row: int, text: str) -> None:
        content = text.encode("utf-8", "surrogatepass")
        self._file.write(content)
        self._records.extend((row, self._end_offset, len(content)))
        self._end_offset += len(content)

    def list_rows(self) -> Rows:
        return self._read_column(0)

    def list_sizes(self) -> Rows:
        return self._read_column(2)

    def read_text(self, text_number: int) -> str:
        _, position, size = self._records[3 * text_number : 3 * text_number + 3]
        self._file.seek(position)
        return self._file.read(size).decode("utf-8", "surrogatepass")

    def _read_column(self, column: int) -> Rows:
        return np.array(self._records, np.int64)[column::3]
