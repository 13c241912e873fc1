"""What requests ask of a catalogue: dense rows with ids, fields and vectors."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from indexer.ann import TopRows
from indexer.arrays import Mask, Rows, Vectors
from indexer.metadata import Filter, RowValueKind, RowValues, Schema
from indexer.request import Scenario
from indexer.snapshot import Manifest
from indexer.taste import TasteModel


class Catalogue(Protocol):
    """Rows 0..count-1; `Index` is one, `LiveCatalogue` another."""

    manifest: Manifest
    scenarios: Mapping[str, Scenario]

    @property
    def taste(self) -> TasteModel | None: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def deleted(self) -> Mask | None: ...  # noqa: D102
    @property
    def schema(self) -> Schema: ...  # noqa: D102
    def rows(self, ids: Sequence[str]) -> dict[str, int]: ...  # noqa: D102
    def ids(self, rows: Sequence[int]) -> list[str]: ...  # noqa: D102
    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]: ...  # noqa: D102
    def mask(self, condition: Filter) -> Mask: ...  # noqa: D102
    def cells(self, field: str, kind: RowValueKind) -> RowValues: ...  # noqa: D102
    def sort_by_id(self, rows: Rows) -> Rows: ...  # noqa: D102
    def find_exact(self, text: str) -> list[int]: ...  # noqa: D102
    def search_full_text(self, text: str, limit: int) -> list[tuple[int, float]]: ...  # noqa: D102
    def encode_queries(self, texts: Sequence[str]) -> Vectors: ...  # noqa: D102
    def to_similarity_queries(self, vectors: Vectors) -> Vectors: ...  # noqa: D102
    def item_vectors(self, rows: Rows) -> Vectors: ...  # noqa: D102
    def scores(self, vectors: Vectors, rows: Rows) -> Vectors: ...  # noqa: D102
    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]: ...  # noqa: D102
