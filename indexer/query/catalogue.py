"""What a request needs of a catalogue: rows with ids, fields and vectors, as a protocol.

n rows, numbered 0..n-1; d numbers in an item vector; q query vectors.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from indexer.ann import AllowedRows, NearRows, TopRows
from indexer.arrays import Mask, Rows, Vectors
from indexer.metadata import Filter, RowValueKind, RowValues, Schema, StoredItem
from indexer.request import Scenario
from indexer.snapshot import Manifest
from indexer.taste import TasteModel

if TYPE_CHECKING:  # it is computed from a catalogue
    from indexer.query.eligibility import Availability


class Catalogue(Protocol):
    """The items that can be recommended; `Index` is one, `LiveCatalogue` another."""

    manifest: Manifest
    scenarios: Mapping[str, Scenario]

    @property
    def taste(self) -> TasteModel | None:
        """What was learned from interactions; None if nothing was."""

    @property
    def count(self) -> int:
        """Number of rows, n."""

    @property
    def deleted(self) -> Mask | None:
        """Rows of deleted items, `(n,) bool`; None: there are none."""

    @property
    def availability(self) -> "Availability":
        """The rows that can be recommended to anybody, from `compute_availability`."""

    @property
    def schema(self) -> Schema:
        """Fields of the items, with their types."""

    def rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each id that is known."""

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the id of each row."""

    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the fields of each row."""

    def stored_items(self, rows: Sequence[int]) -> list[StoredItem]:
        """Return the fields of each row as they are kept: as JSON, or ready to be shown."""

    def mask(self, condition: Filter) -> Mask:
        """Return which rows pass a filter, `(n,) bool`, read-only."""

    def row_values(self, field: str, kind: RowValueKind) -> RowValues:
        """Return the values of a field as pairs of row and value."""

    def sort_by_id(self, rows: Rows) -> Rows:
        """Return ascending rows in order of id."""

    def find_exact(self, text: str) -> list[int]:
        """Return the rows whose id or title is this text."""

    def search_full_text(
        self, text: str, limit: int, *, is_finished: bool = False
    ) -> list[tuple[int, float]]:
        """Return up to `limit` rows that hold words of a text, with the share of it, 0 to 1.

        Args:
            text: Words or a sentence.
            limit: The most rows to return.
            is_finished: Whether the last word is complete; else it may begin longer ones.
        """

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts in the item space, `(len(texts), d) float32`."""

    def to_similarity_queries(self, vectors: Vectors) -> Vectors:
        """Turn item vectors into query vectors for similar items, `(m, d) float32`."""

    def item_vectors(self, rows: Rows) -> Vectors:
        """Return the stored vectors of rows, `(m, d) float32`, all blocks."""

    def scores(self, vectors: Vectors, rows: Rows) -> Vectors:
        """Return exact inner products of q query vectors and m rows, `(q, m) float32`."""

    def find_near(
        self, vectors: Vectors, depth: int, allowed: AllowedRows, *, each: int = 0
    ) -> NearRows:
        """Return the `depth` allowed rows with the highest product with any vector, and more.

        The best `each` of every vector are among them.
        """

    def find_nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[TopRows]:
        """Return, for each query vector, the k allowed rows with the highest inner products."""
