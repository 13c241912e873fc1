"""A snapshot's files and another taste model to an open index over the same catalogue.

Files that do not depend on the taste model are linked; only the others are written again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.ann import IndexOptions, Layout, build_index_file
from indexer.index import Index
from indexer.language import Encoder, MeaningSpace
from indexer.metadata import RowValueKind
from indexer.snapshot import MANIFEST_FILE, BlockVectors, CatalogueStats, Manifest
from indexer.taste import TasteModel

HOLDOUT_FOLDER = "holdout"  # in a working folder; deleted before anything is published
_NOT_LINKED = ("index.faiss", MANIFEST_FILE, "report.json", "report.html", "taste", HOLDOUT_FOLDER)

Meaning = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CatalogueFiles:
    """A snapshot, published or not, without its taste model.

    Attributes:
        folder: Its files.
        manifest: Its manifest.
        stats: Facts about its catalogue.
        encoder: Its encoder, if it is loaded; None: loaded when needed.
    """

    folder: Path
    manifest: Manifest
    stats: CatalogueStats
    encoder: Encoder | None

    def compute_meaning(self) -> Meaning:
        """Return the meaning vectors of the items, `(n, m) float32`."""
        space, raw = self._load_vectors()
        return space.map_stored_items(raw)

    @contextmanager
    def open_with_taste(self, taste: TasteModel, *, folder: Path) -> Iterator[Index]:
        """Open an exactly searched index over the catalogue with a taste model.

        Args:
            taste: The taste model to serve with.
            folder: Where to write; must not exist, and is deleted by the caller.
        """
        _link_files(self.folder, folder)
        space, raw = self._load_vectors()
        layout = Layout(meaning=space.dim, taste=taste.targets.shape[1])
        vectors = BlockVectors(raw, space, layout, self.stats, taste)
        index_facts = build_index_file(
            folder / "index.faiss",
            vectors,
            layout,
            options=IndexOptions("flat"),
            report=lambda *_: None,
        )
        (folder / "taste").mkdir()
        taste.save(folder / "taste")
        manifest = replace(self.manifest, layout=layout, index=index_facts, learned=True, files={})
        (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
        index = Index(folder, self.encoder)
        try:
            yield index
        finally:
            index.close()

    def _load_vectors(self) -> tuple[MeaningSpace, NDArray[np.float16]]:
        raw = np.load(self.folder / "raw.npy", mmap_mode="r", allow_pickle=False)
        return MeaningSpace.load(self.folder / "space.safetensors"), raw


def collect_catalogue_stats(index: Index) -> CatalogueStats:
    """Return the facts about an open index's catalogue that its build had collected."""
    ratings = np.full(index.count, np.nan, np.float32)
    if "rating" in index.schema.fields:
        row_values = index.row_values("rating", RowValueKind.NUMBERS)
        ratings[row_values.rows] = row_values.values
    manifest = index.manifest
    ids = index.ids(range(index.count))
    return CatalogueStats(manifest.rating_scale, manifest.language, ratings, ids)


def _link_files(source: Path, folder: Path) -> None:
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source)
        if name.parts[0] in _NOT_LINKED:
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(file.resolve())
