"""A published snapshot in memory: the catalogue that requests are answered from.

Read-only and thread-safe. Everything is memory-mapped; the model loads with the first text.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann import TopRows, VectorIndex
from indexer.answer import Answer, recommend, search, similar
from indexer.arrays import Mask, Rows, Vectors
from indexer.errors import RequestError, SnapshotError
from indexer.language import MIN_PROBE_COSINE, PROBE_TEXT, Encoder, MeaningSpace, load_encoder
from indexer.metadata import (
    Columns,
    Filter,
    MetadataStore,
    RowValueKind,
    RowValues,
    Schema,
    parse_filter,
)
from indexer.request import (
    MAX_HISTORY_BATCH,
    SCENARIOS,
    Scenario,
    load_index_scenarios,
    parse_request,
)
from indexer.snapshot import (
    Manifest,
    check_files,
    find_snapshot,
    find_tuned_layer,
    lock_snapshot,
    read_manifest,
)
from indexer.taste import TasteModel


class Index:
    """One snapshot, opened; the rows of all its files are the same.

    Attributes:
        closed: Nobody uses it any more; what is kept beside it may go.
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
            self._pruning_hold = opened.enter_context(closing(lock_snapshot(path)))  # from pruning
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
        self._space = MeaningSpace.load(path / "space.safetensors")
        self._vectors = VectorIndex.open(path / "index.faiss", self.manifest.index)
        self._taste = TasteModel.load(path / "taste") if self.manifest.learned else None

    @classmethod
    def open(
        cls,
        root: str | Path,
        *,
        snapshot_id: str | None = None,
        encoder: Encoder | None = None,
        scenarios: Mapping[str, Scenario] | None = None,
    ) -> "Index":
        """Open the live snapshot of an index directory, or a named one.

        Args:
            root: What `build_index` wrote.
            snapshot_id: Of an older snapshot.
            encoder: An already loaded model to share; default: loaded when first needed.
            scenarios: By name; default: the presets and `scenarios.toml` in the directory.

        Raises:
            ScenarioError: If `scenarios.toml` cannot be used.
            SnapshotError: If there is no snapshot, it is damaged, or `encoder` is not the one that
                made its vectors.
        """
        if scenarios is None:
            scenarios = load_index_scenarios(Path(root))
        return cls(find_snapshot(Path(root), snapshot_id), encoder, scenarios)

    def __len__(self) -> int:
        return self.count

    def close(self) -> None:
        """Close the files; a call still running ends well, later ones may fail."""
        self.closed = True
        self._metadata.close()
        self._pruning_hold.close()

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.manifest.id

    @property
    def schema(self) -> Schema:
        """The catalogue's fields, types and value counts."""
        return self._columns.schema

    @property
    def encoder(self) -> Encoder:
        """The language model, loaded on first use.

        Raises:
            EncoderUnavailableError: If it cannot be loaded.
            SnapshotError: If what loads is not what made the vectors.
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

    def recommend(self, **fields: Any) -> Answer:
        """Recommend items; the keywords are the fields of POST /v1/recommend.

        Raises:
            RequestError: If a keyword is unknown or its value does not fit.
            FilterError: If the filter does not fit the catalogue.
        """
        request = parse_request(fields, max_history=MAX_HISTORY_BATCH, scenarios=self.scenarios)
        return recommend(self, request)

    def search(self, query: str, k: int = 10, **fields: Any) -> Answer:
        """Find items for a text: exact ids and titles first, then by meaning and words.

        Args:
            query: What is looked for.
            k: How many.
            fields: `filter`, `fields`, `min_score`, `exclude`, `explain`.

        Raises:
            RequestError: If the query is empty, or a keyword does not fit.
        """
        return search(self, parse_request({"query": query, "k": k, **fields}))

    def similar(self, items: Any, texts: Any = None, k: int = 10, **fields: Any) -> Answer:
        """Find items like some and unlike others.

        Args:
            items: An id, a list of ids, or ids with weights: `{"m1": 1.0, "m7": -0.5}`.
            texts: Texts with weights: `{"gore": -1}`.
            k: How many.
            fields: `filter`, `fields`, `min_score`, `exclude`, `explain`.

        Raises:
            RequestError: If an id is unknown or nothing positive is asked for.
        """
        return similar(self, items, texts or {}, parse_request({"k": k, **fields}))

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Return the meaning vectors of items, `(len(ids), d) float32`, unit length.

        Raises:
            RequestError: If an id is not in the catalogue.
        """
        rows = self.rows(ids)
        missing = [item_id for item_id in ids if item_id not in rows]
        if missing:
            raise RequestError(f"no item {missing[0]!r} in the catalogue")
        width = self.manifest.layout.meaning
        return self.item_vectors(np.array([rows[item_id] for item_id in ids]))[:, :width]

    def get(self, item_id: str) -> dict[str, Any] | None:
        """Return an item, or None if there is none of that id."""
        rows = self.rows([item_id])
        return self.items(list(rows.values()))[0] if rows else None

    def page(
        self, *, after: int = -1, limit: int = 100, condition: Any = None
    ) -> list[tuple[int, dict[str, Any]]]:
        """Return up to `limit` (row, item) with rows above `after`, in order of id.

        Raises:
            FilterError: If the filter `condition` does not fit the catalogue.
        """
        if condition is None:
            return self._metadata.read_page(after, limit)
        mask = self.mask(parse_filter(condition, self.schema))
        rows = np.flatnonzero(mask[after + 1 :])[:limit] + after + 1
        return list(zip(rows.tolist(), self.items(rows.tolist()), strict=True))

    @property
    def taste(self) -> TasteModel | None:
        """What was learned from interactions, if anything."""
        return self._taste

    # The catalogue as requests see it: dense rows 0..count-1.

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self._metadata)

    def rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each known id."""
        return self._metadata.find_rows(ids)

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows."""
        return self._metadata.read_ids(rows)

    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the items of rows."""
        return self._metadata.read_items(rows)

    def mask(self, condition: Filter) -> Mask:
        """Return which rows pass a filter, `(count,) bool`, read-only."""
        return self._columns.match_rows(condition)

    def cells(self, field: str, kind: RowValueKind) -> RowValues:
        """Return what rows hold in a field."""
        return self._columns.read_values(field, kind)

    @property
    def deleted(self) -> Mask | None:
        """Which rows are gone, `(count,) bool`; None: none is."""
        return None

    def sort_by_id(self, rows: Rows) -> Rows:
        """Return ascending rows in order of id, which is what they are."""
        return rows

    def find_exact(self, text: str) -> list[int]:
        """Return rows whose id or title is this text."""
        return self._metadata.find_exact(text)

    def search_full_text(self, text: str, limit: int) -> list[tuple[int, float]]:
        """Return rows that hold words of a text, with BM25 scores; higher is better."""
        return self._metadata.search(text, limit)

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

    def load_raw_vector(self, row: int) -> tuple[NDArray[np.float16], bytes | None]:
        """Return a row's vector as the encoder gave it, and the hash of the text it stands for.

        The hash is None if the catalogue brought the vector.
        """
        raw = np.load(self.path / "raw.npy", mmap_mode="r", allow_pickle=False)
        hashes = np.load(self.path / "hashes.npy", mmap_mode="r", allow_pickle=False)
        name = hashes[row].tobytes()
        return np.array(raw[row]), name if any(name) else None

    def to_similarity_queries(self, vectors: Vectors) -> Vectors:
        """Turn `(m, d)` vectors of things into request vectors for things of their kind."""
        width = self.manifest.layout.meaning
        queries = vectors.copy()
        queries[:, :width] = self._space.map_similar(vectors[:, :width])
        return queries

    def item_vectors(self, rows: Rows) -> Vectors:
        """Return the stored vectors of rows, `(m, d) float32`, all blocks."""
        return self._vectors.read_vectors(rows)

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Return exact inner products `(q, m) float32`."""
        return self._vectors.compute_scores(vectors, rows)

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        """Find the allowed rows with the highest inner product for each vector."""
        return self._vectors.search(vectors, k, allowed)

    def _check_encoder(self, encoder: Encoder) -> Encoder:
        """The encoder, if it is the one that made the vectors."""
        if self.manifest.encoder is None:
            return encoder
        expected, given = self.manifest.encoder, encoder.fingerprint
        if (expected.name, expected.dim) != (given.name, given.dim):
            raise SnapshotError(
                f"snapshot {self.id} was built with {expected.name} ({expected.dim} dimensions), "
                f"not {given.name} ({given.dim}); open it with its own model or rebuild"
            )
        probe = encoder.encode_items([PROBE_TEXT])[0]
        cosine = float(probe @ np.array(self.manifest.probe, np.float32))
        # Written as "not close": a NaN is neither close nor far, and must be refused.
        if not cosine >= MIN_PROBE_COSINE or expected.text_version != given.text_version:
            raise SnapshotError(
                f"snapshot {self.id} was built with another version of {expected.name} (its probe "
                f"text has cosine {cosine:.3f}); open it with that version or rebuild"
            )
        return encoder

    def _check_row_counts(self) -> None:
        """Refuse a snapshot whose parts do not hold the same rows."""
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
