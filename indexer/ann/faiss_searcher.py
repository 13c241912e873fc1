"""Query vectors to candidate rows with exact scores, by one FAISS index.

Search parameters are passed with every call, since the index is shared by threads. Scores are
computed from the vectors that the index file stores: a flat index itself, the storage of a graph,
or the refinement of an `IndexRefine`. They are read in place, memory-mapped.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann.allowed_rows import AllowedRows
from indexer.ann.faiss_library import limit_threads, load_faiss
from indexer.ann.near_rows import NearRows, find_kth_largest, select_distinct_best
from indexer.ann.stored_vectors import (
    count_lists,
    find_vector_store,
    require_inner_product,
    strip_transforms,
    view_stored_vectors,
)
from indexer.arrays import Mask, Rows, Vectors, multiply_with_rows, widen
from indexer.errors import SnapshotError

# More of each vector and again of all together, as a row is often near several: on 20,000 items
# 98% of the first ten were right with a factor of 1, 99.9% with 2.
_UNION_FACTOR = 2
_EXTRA_ROWS = 4  # searched beyond k, so that a tie with the k-th is noticed
_MASK_MARGIN = 1.2  # among the near rows a mask may allow a smaller share than among all
# Standard deviations by which the k-th allowed row may rank lower than a random mask would put it.
_MAX_RANK_DEVIATIONS = 4.0
# How FAISS scans 4-bit codes: one query after the other, keeping candidates in a reservoir. By
# itself it scans for several queries at once, which takes a sixth to a quarter longer and finds the
# same rows.
_SCAN_QUERIES_IN_TURN = 15


@dataclass(frozen=True, slots=True)
class Effort:
    """Search parameters that trade time for recall; each applies to some kinds of index only.

    Attributes:
        k_factor: Candidates scored exactly for each row asked for; indexes with a refinement.
        nprobe: Inverted lists visited; indexes with inverted lists.
        ef: Length of the search queue; graphs.
    """

    k_factor: float = 1.0
    nprobe: int = 1
    ef: int = 16

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Effort":
        """Read an effort from the manifest; missing numbers keep their defaults."""
        return replace(cls(), **raw)

    def scale_by(self, factor: float) -> "Effort":
        """Return the effort with every number multiplied by a factor, whole ones rounded up."""
        if factor == 1:
            return self
        return Effort(
            self.k_factor * factor, math.ceil(self.nprobe * factor), math.ceil(self.ef * factor)
        )


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Number of rows, allowed rows and effort of one search.

    Attributes:
        k: Number of rows to find.
        allowed: `(n,) bool`; None allows all rows.
        allowed_share: Share of all rows that are allowed, in (0, 1].
        effort_factor: Multiple of the usual effort.
    """

    k: int
    allowed: Mask | None = None
    allowed_share: float = 1.0
    effort_factor: float = 1.0


class FaissSearcher:
    """One FAISS index, never changed; safe to use from many threads.

    Attributes:
        index: The FAISS index.
        list_count: Number of inverted lists; 0 if it has none.
        count: Number of vectors, `n`.
        dim: Their width, `d`.
        vectors: `(n, d)` float32 or float16, a read-only view of the stored vectors.
        is_exact: Whether a search scans all of `vectors`.
    """

    def __init__(self, index: Any) -> None:
        faiss = load_faiss()
        self.index = index  # must be kept: the views below point into its memory
        self._top_index = top = faiss.downcast_index(index)
        self._has_refine = isinstance(top, faiss.IndexRefine)
        self._base_index = faiss.downcast_index(top.base_index) if self._has_refine else top
        inner = strip_transforms(faiss, self._base_index)
        self.list_count = count_lists(faiss, index)
        self._is_graph = isinstance(inner, faiss.IndexHNSW)
        if isinstance(inner, faiss.IndexFastScan):
            inner.implem = _SCAN_QUERIES_IN_TURN
        self.count, self.dim = int(index.ntotal), int(index.d)
        store = find_vector_store(faiss, top)
        require_inner_product(faiss, [top, self._base_index, inner, store])
        self.vectors = view_stored_vectors(faiss, store)
        self.is_exact = store is top
        # A file need not hold its numbers at even addresses, and of an array that is not aligned
        # NumPy copies all rows before it takes some.
        self._bytes = self.vectors.view(np.uint8)

    def scan(self, queries: Vectors, k: int, allowed: Mask | None) -> tuple[Vectors, Rows]:
        """Return `(q, k)` scores and rows of an exact index, best first.

        Raises:
            SnapshotError: If the index returns fewer rows than it holds.
        """
        faiss = load_faiss()
        limit_threads(faiss, len(queries))
        bitmap = _pack_mask(allowed)  # FAISS keeps only a pointer: must live until the call ends
        params = (
            faiss.SearchParameters(sel=_build_selector(faiss, bitmap))
            if bitmap is not None
            else None
        )
        scores, rows = self._top_index.search(queries, k, params=params)
        if (rows < 0).any():
            raise SnapshotError("the index returned fewer rows than it holds; verify the snapshot")
        return scores, rows

    def find_candidates(
        self, queries: Vectors, options: SearchOptions, effort: Effort
    ) -> Iterator[tuple[Rows, Vectors]] | None:
        """Return for each query allowed rows with exact scores; None if an exact scan is cheaper.

        A query may get fewer rows than k; then search again with a larger `effort_factor`.
        """
        wanted = math.ceil((options.k + _EXTRA_ROWS) * options.effort_factor)
        effort = effort.scale_by(options.effort_factor)
        if options.allowed is None:
            return self._search_unmasked(queries, wanted, effort)
        enough = math.ceil(wanted * self._compute_oversampling(effort) / options.effort_factor)
        count = math.ceil(_MASK_MARGIN * options.effort_factor * enough / options.allowed_share)
        queue = max(effort.ef, 2 * count)  # with a queue of `count` a graph's last rows are poor
        if max(count, queue if self._is_graph else 0) > self.count // 2:
            return None
        # Allowed rows rank 1 / allowed_share times lower; the lists to visit grow like its root.
        nprobe_factor = options.allowed_share**-0.5
        params = self._build_faiss_params(
            replace(effort, nprobe=math.ceil(effort.nprobe * nprobe_factor), ef=queue)
        )
        rows = self._search(self._base_index, queries, count, params)[1]
        return self._score_candidates(
            queries, rows, options.allowed, self._compute_rank_limit(options), enough
        )

    def _search_unmasked(
        self, queries: Vectors, count: int, effort: Effort
    ) -> Iterator[tuple[Rows, Vectors]] | None:
        """As `find_candidates`, without a mask: FAISS itself scores the candidates exactly."""
        factor = self._compute_oversampling(effort)
        if count * factor > self.count // 2:
            return None
        params = self._build_faiss_params(replace(effort, ef=max(effort.ef, count)))
        if self._has_refine:
            params = load_faiss().IndexRefineSearchParameters(
                k_factor=factor, base_index_params=params
            )
        scores, rows = self._search(self._top_index, queries, count, params)
        return ((r[r >= 0], s[r >= 0]) for r, s in zip(rows, scores, strict=True))

    def find_near(
        self, queries: Vectors, depth: int, allowed: AllowedRows, effort: Effort, *, each: int = 0
    ) -> NearRows | None:
        """Return the rows near any of the query vectors; all vectors share one pass over the codes.

        Of the candidates of all vectors together only the best by their inexact scores are scored
        exactly, as many as are needed to find the best rows of one vector: a row counts with the
        best of its scores.

        Args:
            queries: `(q, d) float32`.
            depth: Number of rows that must be right.
            allowed: Which rows may be found.
            effort: Search parameters.
            each: So many of each vector are returned too, its best by inexact scores.

        Returns:
            None if more effort or an exact scan is needed.
        """
        union = _UNION_FACTOR if len(queries) > 1 else 1
        kept = math.ceil(depth * self._compute_oversampling(effort) * union)
        share = allowed.mask_count / self.count
        count = kept if allowed.mask is None else math.ceil(_MASK_MARGIN * kept / share)
        count += len(allowed.dropped)
        queue = max(effort.ef, count if allowed.mask is None else 2 * count) + len(allowed.dropped)
        if max(count, queue if self._is_graph else 0) > self.count // 2:
            return None
        nprobe = effort.nprobe if allowed.mask is None else math.ceil(effort.nprobe * share**-0.5)
        params = self._build_faiss_params(Effort(effort.k_factor, nprobe, queue))
        scores, rows = self._search(self._base_index, queries, count, params)
        usable = rows >= 0
        if allowed.count < self.count:
            usable &= allowed.contain(rows)
        if self._falls_short(usable, depth, allowed):
            return None
        near = select_distinct_best(scores, rows, usable, kept * union, each=each)
        products = multiply_with_rows(queries, self.read_vectors(near))
        return NearRows(near, products, find_kth_largest(products.max(axis=0), depth))

    def _falls_short(self, usable: Mask, depth: int, allowed: AllowedRows) -> bool:
        """Whether a vector has too few usable candidates or too far down; `_compute_rank_limit`."""
        if int(usable.sum(axis=1, dtype=np.int32).min()) < depth:
            return True
        if allowed.mask is None:
            return False
        share = allowed.mask_count / self.count
        max_rank = (depth + _MAX_RANK_DEVIATIONS * math.sqrt(depth)) / share + len(allowed.dropped)
        ranks = (usable.cumsum(axis=1) < depth).sum(axis=1)
        return bool((ranks >= max_rank).any())

    def read_vectors(self, rows: Rows) -> Vectors:
        """Return the stored vectors of m rows, `(m, d) float32`."""
        return _to_float32(self._bytes.take(rows, axis=0).view(self.vectors.dtype))

    def read_range(self, start: int, stop: int) -> Vectors:
        """Return the stored vectors of m consecutive rows, `(m, d) float32`; not to be changed."""
        return _to_float32(self.vectors[start:stop])

    def _compute_oversampling(self, effort: Effort) -> float:
        """Return how many candidates of the base index are scored for each row to find."""
        return effort.k_factor if self._has_refine else 1.0

    def _score_candidates(
        self,
        queries: Vectors,
        near: Rows,
        allowed: Mask,
        rank_limit: tuple[int, float],
        enough: int,
    ) -> Iterator[tuple[Rows, Vectors]]:
        """Yield allowed candidates with exact scores; no rows for a query that needs more effort.

        Args:
            queries: `(q, d)`.
            near: `(q, c)`, rows in the order of the base index; -1 where there are none.
            allowed: `(n,) bool`.
            rank_limit: From `_compute_rank_limit`.
            enough: Allowed candidates needed; at most twice as many are scored.
        """
        kth, max_rank = rank_limit
        for query, near_rows in zip(queries, near, strict=True):
            near_rows = near_rows[near_rows >= 0]
            ranks = np.flatnonzero(allowed[near_rows])
            is_short = len(ranks) < enough or ranks[kth] >= max_rank
            kept_rows = near_rows[ranks[: 0 if is_short else 2 * enough]]
            yield kept_rows, query @ self.read_vectors(kept_rows).T

    def _compute_rank_limit(self, options: SearchOptions) -> tuple[int, float]:
        """Return which allowed candidate must rank above which place, or the search fell short.

        A mask that excludes mostly near rows, such as a filter on another brand, has its best rows
        where the search did not look. It shows in the k-th allowed row ranking lower among the
        candidates than it would under a random mask.

        Returns:
            Position of an allowed candidate, from 0, and the rank it must be above; the rank grows
            with the effort.
        """
        k = options.k + _EXTRA_ROWS
        max_rank = (k + _MAX_RANK_DEVIATIONS * math.sqrt(k)) / options.allowed_share
        return k - 1, options.effort_factor * max_rank

    def _search(
        self, index: Any, queries: Vectors, count: int, params: Any
    ) -> tuple[Vectors, Rows]:
        limit_threads(load_faiss(), len(queries))
        scores, rows = index.search(queries, count, params=params)
        return scores, rows

    def _build_faiss_params(self, effort: Effort) -> Any:
        """Return the FAISS search parameters of the base index; None if it has none."""
        faiss = load_faiss()
        if self.list_count:
            return faiss.SearchParametersIVF(nprobe=min(effort.nprobe, self.list_count))
        if self._is_graph:
            return faiss.SearchParametersHNSW(efSearch=min(effort.ef, self.count))
        return None


def _pack_mask(allowed: Mask | None) -> NDArray[np.uint8] | None:
    return None if allowed is None else np.packbits(allowed, bitorder="little")


def _build_selector(faiss: Any, bitmap: NDArray[np.uint8]) -> Any:
    return faiss.IDSelectorBitmap(bitmap.size, faiss.swig_ptr(bitmap))


def _to_float32(stored: NDArray[Any]) -> Vectors:
    return widen(stored) if stored.dtype == np.float16 else stored
