"""The directory of a snapshot to the catalogue that requests are answered from.

Rows are 0..n-1 in order of id, the same in every file. All arrays are memory-mapped; the language
model is loaded with the first text.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann import AllowedRows, NearRows, TopRows, VectorIndex
from indexer.arrays import Mask, Rows, Vectors
from indexer.errors import RequestError, SnapshotError
from indexer.language import SPACE_FILE, Encoder, MeaningSpace, check_encoder, load_encoder
from indexer.metadata import (
    Columns,
    Filter,
    MetadataStore,
    RowValueKind,
    RowValues,
    Schema,
    StoredItem,
)
from indexer.query import Availability, compute_availability
from indexer.request import SCENARIOS, Scenario
from indexer.snapshot import (
    Manifest,
    check_files,
    find_tuned_layer,
    lock_snapshot,
    read_manifest,
)
from indexer.taste import TasteModel


class SnapshotCatalogue:
    """An open snapshot, as an `indexer.query.Catalogue`; read-only and thread-safe.

    Args:
        path: The directory of the snapshot.
        encoder: An already loaded model to share; None: loaded when first needed.
        scenarios: By name; default: the presets.

    Attributes:
        closed: Whether `close` was called; then whatever others keep beside it may go too.

    Raises:
        SnapshotError: If the snapshot is damaged, or `encoder` is not the one that made its
            vectors.
    """

    def __init__(
        self,
        path: Path,
        encoder: Encoder | None,
        scenarios: Mapping[str, Scenario] = SCENARIOS,
    ) -> None:
        self.path = path
        self.scenarios = scenarios
        self.closed = False
        with ExitStack() as opened:  # closes what is open if something else is damaged
            # Held while the index is open, so that the snapshot is not pruned.
            self._pruning_hold = opened.enter_context(closing(lock_snapshot(path)))
            self.manifest: Manifest = read_manifest(path)
            check_files(path, self.manifest)
            self._metadata = opened.enter_context(MetadataStore.open(path / "catalog.sqlite"))
            self._open_arrays(path)
            self._encoder: Encoder | None = None
            self._encoder_lock = threading.Lock()
            self._check_row_counts()
            if encoder is not None:
                self._encoder = self._check_encoder(encoder)
            opened.pop_all()

    def _open_arrays(self, path: Path) -> None:
        self._columns = Columns.open(path / "columns")
        self._space = MeaningSpace.load(path / SPACE_FILE)
        self._vectors = VectorIndex.open(path / "index.faiss", self.manifest.index)
        self._taste = TasteModel.load(path / "taste") if self.manifest.learned else None

    def _check_row_counts(self) -> None:
        """Refuse a snapshot whose files do not hold the same rows."""
        sizes = {
            "manifest.json": self.manifest.counts["items"],
            "catalog.sqlite": len(self._metadata),
            "columns": len(self._columns),
            "index.faiss": len(self._vectors),
        }
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise SnapshotError(
                f"{self.path} is mixed: rows by file are {listed}; rebuild the index"
            )

    def _check_encoder(self, encoder: Encoder) -> Encoder:
        manifest = self.manifest
        if manifest.encoder is not None:
            check_encoder(encoder, manifest.encoder, manifest.probe, snapshot_id=manifest.id)
        return encoder

    def close(self) -> None:
        """Close the files; a call still running ends well, later ones may fail."""
        self.closed = True
        self._metadata.close()
        self._pruning_hold.close()

    @property
    def encoder(self) -> Encoder:
        """The language model, loaded on first use.

        Raises:
            EncoderUnavailableError: If it cannot be loaded.
            SnapshotError: If the loaded model is not the one that made the vectors.
            RequestError: If the snapshot was built without one.
        """
        with self._encoder_lock:
            if self._encoder is None:
                if self.manifest.encoder_source is None:
                    raise RequestError(
                        "this index was built with --model none and cannot read text; "
                        "ask with item ids, or rebuild with a model"
                    )
                layer = find_tuned_layer(self.path, self.manifest)
                loaded = load_encoder(self.manifest.encoder_source, layer=layer)
                self._encoder = self._check_encoder(loaded)
            return self._encoder

    # Items and their fields.

    @property
    def schema(self) -> Schema:
        """The catalogue's fields, types and value counts."""
        return self._columns.schema

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self._metadata)

    @property
    def deleted(self) -> Mask | None:
        """None: no item of a snapshot is deleted."""
        return None

    @cached_property
    def availability(self) -> Availability:
        """The rows whose items can be had."""
        return compute_availability(self)

    def rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each known id."""
        return self._metadata.find_rows(ids)

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows."""
        return self._metadata.read_ids(rows)

    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the items of rows."""
        return self._metadata.read_items(rows)

    def stored_items(self, rows: Sequence[int]) -> list[StoredItem]:
        """Return the items of rows as JSON."""
        return list(self._metadata.read_bodies(rows))

    def mask(self, condition: Filter) -> Mask:
        """Return which rows pass a filter, `(count,) bool`, read-only."""
        return self._columns.match_rows(condition)

    @property
    def element_paths(self) -> Collection[str]:
        """The fields that are lists of objects, each of which a filter can ask alone."""
        return self._columns.element_paths

    def row_values(self, field: str, kind: RowValueKind) -> RowValues:
        """Return the values of a field by row."""
        return self._columns.read_values(field, kind)

    def sort_by_id(self, rows: Rows) -> Rows:
        """Return ascending rows in order of id: unchanged, since rows are numbered so."""
        return rows

    # Words and meaning.

    def find_exact(self, text: str) -> list[int]:
        """Return rows whose id or title is this text."""
        return self._metadata.find_exact(text)

    def search_full_text(
        self, text: str, limit: int, *, is_finished: bool = False
    ) -> list[tuple[int, float]]:
        """Return rows that hold words of a text, with the share of it that they hold, 0 to 1."""
        return self._metadata.search(text, limit, is_finished=is_finished)

    def document_frequency(self, phrase: str) -> int:
        """Return how many items hold a phrase, the text of one of `parse_query_terms`."""
        return self._metadata.count_phrase(phrase)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return texts as `(m, d) float32` in the item space, meaning block only."""
        out = np.zeros((len(texts), self.manifest.layout.dim), np.float32)
        if texts:
            raw = self.encoder.encode_queries(texts)
            out[:, : self.manifest.layout.meaning] = self._space.map_queries(raw)
        return out

    def to_meaning_vectors(self, raw: Vectors) -> Vectors:
        """Map raw item vectors of this index's encoder to `(m, d) float32` meaning vectors."""
        return self._space.map_items(raw)

    def to_similarity_queries(self, vectors: Vectors) -> Vectors:
        """Turn item vectors `(m, d) float32` into query vectors for similar items."""
        width = self.manifest.layout.meaning
        queries = vectors.copy()
        queries[:, :width] = self._space.map_similar(vectors[:, :width])
        return queries

    # Vectors.

    @property
    def taste(self) -> TasteModel | None:
        """The taste model; None if nothing was learned from interactions."""
        return self._taste

    def load_raw_vector(self, row: int) -> tuple[NDArray[np.float16], bytes | None]:
        """Return a row's vector as the encoder gave it, and the hash of the text it stands for.

        The hash is None if the vector came with the catalogue.
        """
        raw = np.load(self.path / "raw.npy", mmap_mode="r", allow_pickle=False)
        hashes = np.load(self.path / "hashes.npy", mmap_mode="r", allow_pickle=False)
        text_hash = hashes[row].tobytes()
        return np.array(raw[row]), text_hash if any(text_hash) else None

    def item_vectors(self, rows: Rows) -> Vectors:
        """Return the stored vectors of rows, `(m, d) float32`, all blocks."""
        return self._vectors.read_vectors(rows)

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Return exact inner products `(q, m) float32`."""
        return self._vectors.compute_scores(vectors, rows)

    def find_near(
        self, vectors: Vectors, depth: int, allowed: AllowedRows, *, each: int = 0
    ) -> NearRows:
        """Find the allowed rows with the highest inner product with any of the vectors."""
        return self._vectors.find_near(vectors, depth, allowed, each=each)

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        """Find the allowed rows with the highest inner product for each vector."""
        return self._vectors.search(vectors, k, allowed)
