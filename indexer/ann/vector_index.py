"""Query vectors and a mask to the nearest rows.

A search never returns fewer rows than are allowed, up to k, and orders equal scores by row. When an
approximate search falls short it is repeated with more effort, and at last scans every row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from indexer.ann.allowed_rows import AllowedRows
from indexer.ann.column_search import MAX_NONZERO_COLUMNS, ColumnSearch
from indexer.ann.faiss_library import load_faiss
from indexer.ann.faiss_searcher import Effort, FaissSearcher, SearchOptions
from indexer.ann.lead_rows import LeadRows
from indexer.ann.near_rows import NearRows, find_kth_largest
from indexer.ann.stored_vectors import measure_column_spread, require_finite
from indexer.ann.top_rows import (
    NO_TOP_ROWS,
    TopRows,
    round_scores,
    select_top,
    select_top_unless_tied,
)
from indexer.arrays import Mask, Rows, Vectors
from indexer.errors import SnapshotError, VectorShapeError

# Below this share of allowed rows, one exact product with those rows is faster than a masked scan.
GATHER_SHARE = 0.05
_CHUNK_ROWS = 16_384
_EFFORT_STEP, _MAX_EFFORT = 4, 4_096  # of repeated searches
# Of what the heaviest column adds to a product to what all others do; more effort was measured to
# be needed beyond it.
_USUAL_RATIO = 1.4
_SMALL_COUNT = 1_500  # of rows; one product with all of them is faster than any search


class VectorIndex:
    """An immutable FAISS inner-product index over dense rows 0..n-1; thread-safe.

    Args:
        index: The FAISS index.
        facts: From the manifest: efforts, `lead` and `gather_share`, as `measure_index` found them.
    """

    def __init__(self, index: Any, facts: Mapping[str, Any] | None = None) -> None:
        known = facts or {}
        self._searcher = FaissSearcher(index)
        self._effort = Effort.from_json(known.get("effort", {}))
        self._usual_effort = Effort.from_json(known.get("usual_effort", known.get("effort", {})))
        self._gather_share = float(known.get("gather_share", GATHER_SHARE))
        self._vectors = self._searcher.vectors
        self._column_spread = measure_column_spread(self._vectors)
        self._column_search = ColumnSearch(self._vectors)
        self._lead_effort = _read_effort(known, "lead_effort", self._effort)
        self._lead_usual_effort = _read_effort(known, "lead_usual_effort", self._usual_effort)
        self._lead_rows = LeadRows.from_json(known.get("lead"), self._searcher.read_vectors)

    @classmethod
    def build(cls, vectors: Vectors) -> "VectorIndex":
        """Index `(n, d) float32` vectors exactly, in memory.

        Raises:
            VectorShapeError: If `vectors` is not two-dimensional or holds a NaN or infinity.
        """
        if vectors.ndim != 2:
            raise VectorShapeError(f"vectors have shape {vectors.shape}, expected (n, d)")
        index = load_faiss().IndexFlatIP(vectors.shape[1])
        for start in range(0, len(vectors), _CHUNK_ROWS):
            index.add(require_finite(vectors[start : start + _CHUNK_ROWS], start))
        return cls(index)

    @classmethod
    def open(cls, path: Path, facts: Mapping[str, Any] | None = None) -> "VectorIndex":
        """Map an index file into memory.

        Args:
            path: The file.
            facts: As in the constructor.

        Raises:
            SnapshotError: If the file is missing, truncated or no FAISS index.
        """
        faiss = load_faiss()
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise SnapshotError(
                f"{path} is missing or damaged; roll back with zhiyin snapshots, or rebuild"
            ) from error
        return cls(index, facts)

    def save(self, path: Path) -> None:
        """Write the index to one file."""
        load_faiss().write_index(self._searcher.index, str(path))

    def __len__(self) -> int:
        return self._searcher.count

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self._searcher.dim

    @property
    def list_count(self) -> int:
        """Number of inverted lists; 0 for an index of another kind."""
        return self._searcher.list_count

    @property
    def is_exact(self) -> bool:
        """Whether every search is exact."""
        return self._searcher.is_exact

    def read_vectors(self, rows: Sequence[int] | Rows) -> Vectors:
        """Return the stored vectors of some rows, `(m, d) float32`."""
        return self._searcher.read_vectors(np.asarray(rows, dtype=np.int64))

    def read_column(self, column: int) -> Vectors:
        """Return one number of every stored vector, `(n,) float32`."""
        return self._vectors[:, column].astype(np.float32)

    def compute_scores(self, queries: Vectors, rows: Rows | None = None) -> Vectors:
        """Return exact inner products `(q, m) float32` with `m` rows, or with all rows.

        Raises:
            VectorShapeError: If `queries` is not `(q, d) float32`, or holds NaN or infinity.
        """
        self._check_queries(queries)
        count = len(self) if rows is None else len(rows)
        out = np.empty((len(queries), count), np.float32)
        for start in range(0, count, _CHUNK_ROWS):
            stop = min(start + _CHUNK_ROWS, count)
            chunk = (
                self._searcher.read_range(start, stop)
                if rows is None
                else self._searcher.read_vectors(rows[start:stop])
            )
            np.matmul(queries, chunk.T, out=out[:, start:stop])
        return out

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> list[TopRows]:
        """Find the rows with the highest inner product for each query.

        Args:
            queries: `(q, d) float32`.
            k: Number of rows; fewer are returned only if fewer are allowed.
            allowed: `(n,) bool`; None allows all rows.

        Returns:
            The top rows of each query.

        Raises:
            VectorShapeError: If `queries` is not `(q, d) float32`, or holds NaN or infinity.
        """
        self._check_queries(queries)
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, count)
        if k < 1:
            return [NO_TOP_ROWS for _ in queries]
        if allowed is not None and count <= self._gather_share * len(self):
            return self._search_subset(queries, k, np.flatnonzero(allowed))
        mask = allowed if count < len(self) else None
        is_narrow = np.count_nonzero(queries, axis=1) <= MAX_NONZERO_COLUMNS
        top_rows = {
            position: self._column_search.search(queries[position], k, mask)
            for position in np.flatnonzero(is_narrow).tolist()
        }
        others = np.flatnonzero(~is_narrow).tolist()
        options = SearchOptions(k, mask, count / len(self))
        search_others = self._search_flat if self._searcher.is_exact else self._search_approximate
        others_top = search_others(queries[others], options) if others else []
        top_rows |= dict(zip(others, others_top, strict=True))
        return [top_rows[position] for position in range(len(queries))]

    def find_near(
        self, queries: Vectors, depth: int, allowed: AllowedRows, *, each: int = 0
    ) -> NearRows:
        """Find the rows whose highest inner product with any of the query vectors is largest.

        Args:
            queries: `(q, d) float32`, of one request.
            depth: Number of rows that must be right; more may be returned, and fewer only if fewer
                are allowed.
            allowed: Which rows may be found.
            each: So many rows of each vector are returned too, its best by the scores of the codes:
                of an approximate index a few of the last ones may be others.

        Raises:
            VectorShapeError: If `queries` is not `(q, d) float32`, or holds NaN or infinity.
        """
        self._check_queries(queries)
        depth = min(depth, allowed.count)
        if allowed.count <= max(_SMALL_COUNT, self._gather_share * len(self)):
            return self._score_all(queries, allowed)
        if len(queries) == 1 and np.count_nonzero(queries) <= MAX_NONZERO_COLUMNS:
            return self._find_in_columns(queries, depth, allowed)
        effort = self._choose_effort(queries, allowed)
        while not self._searcher.is_exact and effort.k_factor <= _MAX_EFFORT:
            near = self._searcher.find_near(queries, depth, allowed, effort, each=each)
            if near is not None:
                return self._add_lead_rows(near, queries, depth, allowed)
            effort = effort.scale_by(_EFFORT_STEP)
        return self._find_near_exactly(queries, depth, allowed, each=each)

    def _choose_effort(self, queries: Vectors, allowed: AllowedRows) -> Effort:
        is_usual = self._are_usual(queries)
        if self._lead_rows.serve(queries, allowed.contain):
            return self._lead_usual_effort if is_usual else self._lead_effort
        return self._usual_effort if is_usual else self._effort

    def _add_lead_rows(
        self, near: NearRows, queries: Vectors, depth: int, allowed: AllowedRows
    ) -> NearRows:
        rows, products = self._lead_rows.score(queries, allowed.contain, near.rows)
        if not len(rows):
            return near
        both = near.add(rows, products)
        return replace(both, bound=find_kth_largest(both.products.max(axis=0), depth))

    def _are_usual(self, queries: Vectors) -> bool:
        """Whether no column outweighs the rest of a vector: codes are least exact for such ones.

        A column in which all items are alike, as the prior of a catalogue without ratings, tells
        none from another, however large its number in the query.
        """
        if self._searcher.is_exact:
            return True
        weighted = np.square(queries * self._column_spread)
        largest = weighted.max(axis=1)
        others = weighted.sum(axis=1) - largest
        return bool((largest <= _USUAL_RATIO**2 * others).all())

    def _score_all(self, queries: Vectors, allowed: AllowedRows) -> NearRows:
        rows = allowed.list_rows()
        is_everything = len(rows) == len(self)
        products = self.compute_scores(queries, None if is_everything else rows)
        return NearRows(rows, products, -np.inf)

    def _find_in_columns(self, queries: Vectors, depth: int, allowed: AllowedRows) -> NearRows:
        nonzero = np.flatnonzero(queries[0])
        if len(nonzero) == 1 and queries[0, nonzero[0]] > 0:
            rows, other = self._column_search.find_in_column(int(nonzero[0]), depth, allowed)
            bound = float(queries[0, nonzero[0]]) * other
        else:
            mask = None if allowed.count == len(self) else allowed.to_mask()
            top = self._column_search.search(queries[0], depth, mask)
            rows, bound = np.sort(top.rows), -np.inf
            if len(rows) < allowed.count:
                bound = float(top.scores[-1])
        return NearRows(rows, self.compute_scores(queries, rows), bound, ties_follow=True)

    def _find_near_exactly(
        self, queries: Vectors, depth: int, allowed: AllowedRows, *, each: int
    ) -> NearRows:
        """Score every row; rows that tie with the last of `depth` are among those returned."""
        products = self.compute_scores(queries)
        best = round_scores(products.max(axis=0))
        usable = allowed.list_rows()
        cut = find_kth_largest(best[usable], depth)
        rows = usable[best[usable] >= cut]
        if each:
            own_best = [select_top(usable, own[usable], each).rows for own in products]
            rows = np.unique(np.concatenate([rows, *own_best]))
        is_everything = len(rows) == allowed.count
        return NearRows(rows, products[:, rows], -np.inf if is_everything else cut)

    def _search_subset(self, queries: Vectors, k: int, rows: Rows) -> list[TopRows]:
        return [select_top(rows, scores, k) for scores in self.compute_scores(queries, rows)]

    def _search_exact(self, queries: Vectors, options: SearchOptions) -> list[TopRows]:
        if options.allowed is not None:
            return self._search_subset(queries, options.k, np.flatnonzero(options.allowed))
        rows = np.arange(len(self))
        return [select_top(rows, scores, options.k) for scores in self.compute_scores(queries)]

    def _search_flat(self, queries: Vectors, options: SearchOptions) -> list[TopRows]:
        """Scan a flat index for more than k rows, until all that tie with the k-th are among them.

        FAISS does not order equal scores by row, so a tie at the cut must be found completely.
        """
        k, wanted = options.k, options.k
        total = round(options.allowed_share * len(self))
        while True:
            count = min(wanted + 16, total)
            scores, rows = self._searcher.scan(queries, count, options.allowed)
            may_miss_ties = (count < total) & (
                round_scores(scores[:, -1]) >= round_scores(scores[:, k - 1])
            )
            if not np.any(may_miss_ties):
                return [select_top(r, s, k) for r, s in zip(rows, scores, strict=True)]
            wanted = 4 * count
            if wanted >= total // 4:
                return self._search_exact(queries, options)

    def _search_approximate(self, queries: Vectors, options: SearchOptions) -> list[TopRows]:
        """Search with four times the effort again for queries without k rows; at last exactly."""
        top_rows: dict[int, TopRows] = {}
        open_queries = np.arange(len(queries))
        while len(open_queries):
            candidates = self._searcher.find_candidates(
                queries[open_queries], options, self._effort
            )
            if candidates is None:
                top_rows |= zip(
                    open_queries.tolist(),
                    self._search_exact(queries[open_queries], options),
                    strict=True,
                )
                break
            for position, (rows, scores) in zip(open_queries.tolist(), candidates, strict=True):
                top = select_top_unless_tied(rows, scores, options.k)
                if top is not None:
                    top_rows[position] = self._put_lead_rows(top, queries[position], options)
            open_queries = np.array(
                [position for position in open_queries.tolist() if position not in top_rows],
                np.int64,
            )
            options = replace(options, effort_factor=4 * options.effort_factor)
        return [top_rows[position] for position in range(len(queries))]

    def _put_lead_rows(self, top: TopRows, query: Vectors, options: SearchOptions) -> TopRows:
        """Return the best of a query's top rows and of the lead rows that are not among them."""

        def may_be_found(rows: Rows) -> Mask:
            return (
                np.ones(len(rows), np.bool_) if options.allowed is None else options.allowed[rows]
            )

        rows, products = self._lead_rows.score(query[None], may_be_found, np.sort(top.rows))
        if not len(rows):
            return top
        together = np.concatenate([top.rows, rows])
        return select_top(together, np.concatenate([top.scores, products[0]]), options.k)

    def _check_queries(self, queries: Vectors) -> None:
        if queries.ndim != 2 or queries.shape[1] != self.dim or queries.dtype != np.float32:
            raise VectorShapeError(
                f"queries have shape {queries.shape} and type {queries.dtype}, but this index "
                f"holds (n, {self.dim}) float32; use the encoder the snapshot was built with"
            )
        if not np.isfinite(queries).all():
            raise VectorShapeError("a query vector holds NaN or infinity")


def _read_effort(facts: Mapping[str, Any], name: str, otherwise: Effort) -> Effort:
    return Effort.from_json(facts[name]) if name in facts else otherwise
