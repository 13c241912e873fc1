"""A published snapshot to findings: what is wrong with it, and what to do about it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import numpy as np

from indexer.arrays import Rows
from indexer.errors import IndexerError
from indexer.index import Index
from indexer.language import MIN_PROBE_COSINE, PROBE_TEXT, Encoder, describe_item, load_encoder
from indexer.snapshot import (
    Manifest,
    find_damaged_files,
    find_snapshot,
    find_tuned_layer,
    read_manifest,
)

_SAMPLE_SIZE = 32
_MIN_ROW_COSINE = 0.99  # float16 storage and bfloat16 encoding stay above .999


def verify_snapshot(
    root: Path, snapshot_id: str | None = None, *, encoder: Encoder | None = None
) -> list[str]:
    """Return one sentence for each thing wrong with a snapshot; none if it is sound.

    Checks sizes and checksums of every file, that SQLite is intact, that all files hold the same
    rows, that the language model still makes the recorded probe vector, and, for a sample of rows,
    that re-encoding the item gives the stored vectors.

    Args:
        root: Index directory.
        snapshot_id: Default: the live one.
        encoder: The model, if already loaded.

    Raises:
        SnapshotError: If there is no such snapshot, or its manifest cannot be read.
    """
    path = find_snapshot(root, snapshot_id)
    manifest = read_manifest(path)
    findings = find_damaged_files(path, manifest)
    if findings:  # the checks of the contents would only report the same damage again
        return [f"{finding}; roll back or rebuild" for finding in findings]
    return list(_check_contents(path, manifest, encoder))


def _check_contents(path: Path, manifest: Manifest, encoder: Encoder | None) -> Iterator[str]:
    integrity = _check_sqlite(path / "catalog.sqlite")
    if integrity != "ok":
        yield f"catalog.sqlite is damaged ({integrity}); roll back or rebuild"
    try:
        index = Index(path, None)
    except IndexerError as error:
        yield str(error)
        return
    yield from _compare_rows(index)
    if manifest.encoder is None:
        index.close()
        return
    try:
        layer = find_tuned_layer(path, manifest)
        model = encoder or load_encoder(manifest.encoder_source, layer=layer)
        yield from _compare_vectors(index, manifest, model)
    except IndexerError as error:
        yield f"the vectors were not checked: {error}"
    finally:
        index.close()


def _check_sqlite(file: Path) -> str:
    """Result of SQLite's integrity check: "ok", or what is wrong."""
    uri = f"file:{quote(os.fsencode(file.resolve()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)


def _compare_rows(index: Index) -> Iterator[str]:
    """Compare a sample of rows: index.faiss must hold the mapped vectors of raw.npy."""
    raw = np.load(index.path / "raw.npy", mmap_mode="r", allow_pickle=False)
    if len(raw) != index.count:
        yield f"raw.npy holds {len(raw)} rows, index.faiss {index.count}; rebuild"
        return
    rows = _sample_rows(index)
    expected = index.to_meaning_vectors(raw[rows].astype(np.float32))
    stored = index.item_vectors(rows)[:, : expected.shape[1]]
    for row, similarity in zip(rows, (expected * stored).sum(axis=1), strict=True):
        if not similarity >= _MIN_ROW_COSINE:
            yield (
                f"row {row} of index.faiss is not that of raw.npy (cosine {similarity:.3f}); "
                f"rebuild"
            )


def _sample_rows(index: Index) -> Rows:
    """Rows spread evenly over the index."""
    return np.linspace(0, index.count - 1, min(_SAMPLE_SIZE, index.count)).astype(np.int64)


def _compare_vectors(index: Index, manifest: Manifest, encoder: Encoder) -> Iterator[str]:
    """Compare the probe vector and a sample of rows with what the encoder makes of them now."""
    probe = encoder.encode_items([PROBE_TEXT])[0]
    cosine = float(probe @ np.array(manifest.probe, np.float32))
    if not cosine >= MIN_PROBE_COSINE:
        yield f"the model gives the probe text another vector (cosine {cosine:.3f}); rebuild"
        return
    rows = _sample_rows(index)
    items = index.items(rows.tolist())
    texts = [describe_item(item, rating_scale=manifest.rating_scale) for item in items]
    hashes = np.load(index.path / "hashes.npy", allow_pickle=False)
    given = np.array([hashes[row].tobytes() == bytes(16) for row in rows])
    expected = index.to_meaning_vectors(encoder.encode_items(texts))
    width = manifest.layout.meaning
    cosines = (expected * index.item_vectors(rows)[:, :width]).sum(axis=1)
    for row, item, similarity, is_given in zip(rows, items, cosines, given, strict=True):
        if not (similarity >= _MIN_ROW_COSINE or is_given):
            yield (
                f"row {row} ({item['id']}) is stored far from its text (cosine {similarity:.3f}); "
                f"rebuild"
            )
