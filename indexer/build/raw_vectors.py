"""Staged items to raw vectors on disk, and to the meaning space fitted to them.

A row's own vector is taken as it is, the vector of a known text comes from the cache, and all other
texts are encoded in chunks. They wait in a scratch file, since a million of them would not fit
into memory.
"""

import os
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.build.options import Notice
from indexer.build.staging import Staging
from indexer.durations import describe_duration
from indexer.language import (
    SPACE_FILE,
    Encoder,
    MeaningSpace,
    MeasuredBackground,
    Moments,
    VectorCache,
    build_identity_space,
    describe_item,
    fit_meaning_space,
    hash_text,
    iter_chunks,
    load_background,
)
from indexer.progress import StageProgress
from indexer.snapshot import CatalogueStats

_CHUNK_TEXTS = 2_048
_MIN_MEASURED_S = 2.0  # of encoding, before it is said how long all will take
_MIN_ANNOUNCED_TEXTS = 512  # fewer are encoded before anybody has read how long it takes


@dataclass(frozen=True, slots=True)
class StagedCatalogue:
    """The items of a build before they are encoded.

    Attributes:
        staging: Holds the items.
        stats: Facts about them.
        dim: Width of a raw vector.
    """

    staging: Staging
    stats: CatalogueStats
    dim: int


@dataclass(frozen=True, slots=True)
class EncodedCatalogue:
    """The items of a build as one encoder sees them.

    Attributes:
        encoder: Made the raw vectors; None if every row brought its vector.
        raw: `(n, r) float16`, unit length, memory-mapped.
        space: Maps raw vectors to meaning; fitted to `raw`.
        encoded_count: Texts that went through the encoder.
        reused_count: Rows whose vector was known, or that share their text with another row.
    """

    encoder: Encoder | None
    raw: NDArray[np.float16] = field(repr=False)
    space: MeaningSpace = field(repr=False)
    encoded_count: int
    reused_count: int

    def compute_meaning(self) -> Vectors:
        """Return the meaning vectors of all items, `(n, m) float32`, unit length."""
        return self.space.map_stored_items(self.raw)


def encode_catalogue(
    catalogue: StagedCatalogue,
    encoder: Encoder | None,
    cache: VectorCache | None,
    *,
    folder: Path,
    report: StageProgress,
    notice: Notice | None = None,
) -> EncodedCatalogue:
    """Write `raw.npy` and `hashes.npy`, and fit the meaning space.

    Args:
        catalogue: The items.
        encoder: None if every row brings its vector.
        cache: Vectors of earlier builds, a killed one among them; None without an encoder.
        folder: Where the files are written.
        report: Called with the progress.
        notice: Told in a sentence how many texts will be encoded, and about how long it takes.
    """
    vectors = _RawVectorWriter(folder, (len(catalogue.stats.ids), catalogue.dim), notice)
    raw = vectors.write(catalogue, encoder, cache, report)
    return EncodedCatalogue(
        encoder, raw, _fit_space(raw, encoder, cache), vectors.encoded_count, vectors.reused_count
    )


def _fit_space(
    raw: NDArray[np.float16], encoder: Encoder | None, cache: VectorCache | None
) -> MeaningSpace:
    """Centre and whiten by the statistics of this catalogue; leave given vectors as they are."""
    if encoder is None:
        return build_identity_space(raw.shape[1])
    moments = Moments.from_chunks(iter_chunks(raw), raw.shape[1])
    known = None
    if cache is not None and cache.snapshot is not None:
        known = MeasuredBackground.read(cache.snapshot / SPACE_FILE)
    return fit_meaning_space(moments, load_background(encoder, known))


class _RawVectorWriter:
    """Fills `raw.npy` and `hashes.npy` in a folder."""

    def __init__(self, folder: Path, shape: tuple[int, int], notice: Notice | None) -> None:
        """Reserve the space on disk for `shape`, `(n, r)`."""
        self._folder, self._notice = folder, notice
        self.encoded_count = self.reused_count = 0
        file = folder / "raw.npy"
        self.raw = np.lib.format.open_memmap(file, mode="w+", dtype="<f2", shape=shape)
        with file.open("r+b") as opened:
            # A mapped page that finds no room on the disk later kills the process.
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
        self._hashes = np.zeros(shape[0], "V16")

    def write(
        self,
        catalogue: StagedCatalogue,
        encoder: Encoder | None,
        cache: VectorCache | None,
        report: StageProgress,
    ) -> NDArray[np.float16]:
        """Fill in all rows and return them, `(n, r) float16`, unit length."""
        with _PendingTexts(self._folder / "texts.tmp") as pending:
            self._fill_known(catalogue, encoder, cache, pending)
            if encoder is not None and cache is not None:
                self._encode(pending, encoder, cache, report)
        self.raw.flush()
        np.save(self._folder / "hashes.npy", self._hashes)
        return self.raw

    def _fill_known(
        self,
        catalogue: StagedCatalogue,
        encoder: Encoder | None,
        cache: VectorCache | None,
        pending: "_PendingTexts",
    ) -> None:
        """Fill in the rows whose vector is given or cached; collect the texts of the others."""
        key = encoder.fingerprint.key if encoder else ""
        for row, item in enumerate(catalogue.staging.iter_items()):
            if item.vector is not None:
                wide = item.vector.astype(np.float64)  # squares of float32 over- or underflow
                self.raw[row] = wide / np.linalg.norm(wide)
                continue
            text = describe_item(item.fields, rating_scale=catalogue.stats.rating_scale)
            text_key = hash_text(key, text)
            self._hashes[row] = np.void(text_key)
            known = cache.get(text_key) if cache else None
            if known is None:
                pending.add(row, text)
            else:
                self.raw[row] = known
                self.reused_count += 1

    def _encode(
        self, pending: "_PendingTexts", encoder: Encoder, cache: VectorCache, report: StageProgress
    ) -> None:
        """Encode each distinct text once, the longest first.

        Each chunk is durable in the cache's journal before the next one begins.
        """
        rows = pending.list_rows()
        _, first, inverse = np.unique(self._hashes[rows], return_index=True, return_inverse=True)
        longest_first = first[np.argsort(-pending.list_sizes()[first], kind="stable")]
        total = len(first)
        if self._notice is not None and total >= _MIN_ANNOUNCED_TEXTS:
            words = _describe_encoding(encoder, total, known=len(self.raw) - total)
            sizes = pending.list_sizes()[longest_first]
            report = _announce_duration(report, self._notice, words, np.cumsum(sizes))
        for start in range(0, total, _CHUNK_TEXTS):
            positions = longest_first[start : start + _CHUNK_TEXTS]
            progress = _shift_progress(report, start, total)
            texts = [pending.read_text(int(position)) for position in positions]
            vectors = encoder.encode_items(texts, progress)
            self.raw[rows[positions]] = vectors
            cache.append([self._hashes[row].tobytes() for row in rows[positions]], vectors)
        for position, row in enumerate(rows.tolist()):
            source_row = int(rows[first[inverse[position]]])
            if source_row != row:
                self.raw[row] = self.raw[source_row]
        self.encoded_count = total
        self.reused_count += len(rows) - total


def _describe_encoding(encoder: Encoder, total: int, *, known: int) -> str:
    also = f", {known:,} known already" if known else ""
    return f"{total:,} texts to encode with {encoder.fingerprint.name}{also}"


def _announce_duration(
    report: StageProgress, notice: Notice, words: str, bytes_done: NDArray[np.int64]
) -> StageProgress:
    """Return a progress callback that also tells once, early on, how long all will take.

    Args:
        report: Is called as before.
        notice: Is told the sentence.
        words: Its beginning: how many texts there are.
        bytes_done: `(t,)`, size of the first texts together, in the order they are encoded.
    """
    started = time.perf_counter()
    is_told = False

    def report_and_announce(stage: str, done: int, total: int) -> None:
        nonlocal is_told
        seconds = time.perf_counter() - started
        if not is_told and (seconds >= _MIN_MEASURED_S or done >= total):
            is_told = True
            # Longer texts come first, so what is left goes by size and not by number.
            all_seconds = seconds * float(bytes_done[-1] / bytes_done[done - 1])
            speed = max(1.0, total / max(all_seconds, 1e-9))
            duration = describe_duration(all_seconds - seconds)
            notice(f"{words}: about {duration} at {speed:,.0f} texts a second")
        report(stage, done, total)

    return report_and_announce


def _shift_progress(report: StageProgress, done: int, total: int) -> Callable[[int], None]:
    """Return a progress callback that adds the texts of one chunk to the `done` before it."""

    def report_finished(finished: int) -> None:
        nonlocal done
        done += finished
        report("encode", done, total)

    return report_finished


class _PendingTexts:
    """Texts in a scratch file, with the row of each; a context manager that deletes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._records = array("q")  # row, offset in the file and size in bytes of each text
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
