"""A snapshot's files and another taste model to an open index of the same catalogue.

Nothing is copied: the files are linked, and only what depends on the taste is written anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.ann import IndexOptions, Layout, build_index_file
from indexer.index import Index
from indexer.language import Encoder, MeaningSpace
from indexer.metadata import RowValueKind
from indexer.snapshot import MANIFEST_FILE, BlockVectors, CatalogueStats, Manifest
from indexer.taste import TasteModel

HOLDOUT_FOLDER = "rehearsal"  # in a working folder; gone before anything is published
_NOT_LINKED = ("index.faiss", MANIFEST_FILE, "report.json", "report.html", "taste", HOLDOUT_FOLDER)

Meaning = NDArray[np.float32]


@contextmanager
def open_holdout_index(
    source: Path,
    manifest: Manifest,
    taste: TasteModel | None,
    *,
    stats: CatalogueStats,
    encoder: Encoder | None,
    folder: Path,
) -> Iterator[Index]:
    """Open the catalogue of one snapshot with another taste model, exactly searched.

    Args:
        source: Folder of the snapshot, published or not.
        manifest: Its manifest.
        taste: What to serve with; None: meaning alone.
        stats: Of its catalogue.
        encoder: Its encoder, if it is loaded.
        folder: Where to work; must not exist, and is for the caller to delete.
    """
    _link_files(source, folder)
    space = MeaningSpace.load(source / "space.safetensors")
    raw = np.load(source / "raw.npy", mmap_mode="r", allow_pickle=False)
    layout = Layout(meaning=space.dim, taste=taste.targets.shape[1] if taste else 0)
    vectors = BlockVectors(raw, space, layout, stats, taste)
    index_options = IndexOptions("flat")
    index_facts = build_index_file(
        folder / "index.faiss", vectors, layout, options=index_options, report=lambda *_: None
    )
    if taste is not None:
        (folder / "taste").mkdir()
        taste.save(folder / "taste")
    holdout_manifest = replace(
        manifest, layout=layout, index=index_facts, learned=taste is not None, files={}
    )
    (folder / MANIFEST_FILE).write_text(holdout_manifest.to_json(), encoding="utf-8")
    index = Index(folder, encoder)
    try:
        yield index
    finally:
        index.close()


def read_catalogue_stats(index: Index) -> CatalogueStats:
    """Read again what a build found out about a catalogue."""
    ratings = np.full(index.count, np.nan, np.float32)
    if "rating" in index.schema.fields:
        cells = index.cells("rating", RowValueKind.NUMBERS)
        ratings[cells.rows] = cells.values
    manifest = index.manifest
    ids = index.ids(range(index.count))
    return CatalogueStats(manifest.rating_scale, manifest.language, ratings, ids)


def load_meaning(source: Path) -> Meaning:
    """Return the meaning vectors of a snapshot folder, `(n, d) float32`."""
    space = MeaningSpace.load(source / "space.safetensors")
    raw = np.load(source / "raw.npy", mmap_mode="r", allow_pickle=False)
    return space.map_stored_items(raw)


def _link_files(source: Path, folder: Path) -> None:
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source)
        if name.parts[0] in _NOT_LINKED:
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(file.resolve())
