"""Queries to candidate rows: a FAISS index taken apart, its parameters travelling with each call.

An index file holds one copy of the vectors that scores are computed from: a flat index itself, the
storage of a graph, or what an `IndexRefine` refines with. It is read in place, memory-mapped.
"""

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask, Rows, Vectors
from indexer.cores import count_threads
from indexer.errors import SnapshotError

_EXTRA_ROWS = 4  # asked beyond k, so that a tie at the cut is seen
_MASK_MARGIN = 1.2  # a mask may pass a little less among the near rows than among all
_LATE_DEVIATIONS = (
    4.0  # standard deviations by which the k-th allowed row may come later than by chance
)
_thread_local = threading.local()


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a search tries; each part matters only to indexes that have it.

    Attributes:
        k_factor: Candidates scored exactly for each row asked for.
        nprobe: Inverted lists visited.
        ef: Length of a graph search's queue.
    """

    k_factor: float = 1.0
    nprobe: int = 1
    ef: int = 16

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Effort":
        """Read what a manifest holds."""
        return replace(cls(), **raw)

    def scale_by(self, factor: float) -> "Effort":
        """The same, so many times broader."""
        if factor == 1:
            return self
        return Effort(
            self.k_factor * factor, math.ceil(self.nprobe * factor), math.ceil(self.ef * factor)
        )


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What is looked for.

    Attributes:
        k: How many rows.
        allowed: `(n,) bool`; None: all rows.
        share: Of all rows, how many are allowed.
        breadth: How many times harder than usual to try.
    """

    k: int
    allowed: Mask | None = None
    share: float = 1.0
    breadth: float = 1.0


class FaissSearcher:
    """One FAISS index, never mutated; thread-safe.

    Attributes:
        index: As FAISS gave it.
        list_count: Inverted lists; 0: it has none.
        vectors: `(n, d)` float32 or float16, the stored vectors, read-only.
        is_exact: Whether the index scans all of `vectors`.
    """

    def __init__(self, index: Any) -> None:
        faiss = load_faiss()
        self.index = index  # the views below die with it
        self._top_index = top = faiss.downcast_index(index)
        self._has_refine = isinstance(top, faiss.IndexRefine)
        self._base_index = faiss.downcast_index(top.base_index) if self._has_refine else top
        inner = _strip_transforms(faiss, self._base_index)
        self.list_count = int(inner.nlist) if isinstance(inner, faiss.IndexIVF) else 0
        self._is_graph = isinstance(inner, faiss.IndexHNSW)
        self.count, self.dim = int(index.ntotal), int(index.d)
        store = _find_vector_store(faiss, top)
        _require_inner_product(faiss, [top, self._base_index, inner, store])
        self.vectors = _view_stored_vectors(faiss, store)
        self.is_exact = store is top

    def scan(self, queries: Vectors, k: int, allowed: Mask | None) -> tuple[Vectors, Rows]:
        """Return `(q, k)` scores and rows of an exact index."""
        faiss = load_faiss()
        _limit_threads(faiss, len(queries))
        bitmap = _pack_mask(allowed)  # must outlive the call
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
        """Yield for each query allowed rows and their exact scores; None if a scan is cheaper.

        Rows may be fewer than asked for: then try harder, or scan.
        """
        wanted = math.ceil((options.k + _EXTRA_ROWS) * options.breadth)
        effort = effort.scale_by(options.breadth)
        if options.allowed is None:
            return self._search_unmasked(queries, wanted, effort)
        enough = math.ceil(wanted * self._compute_oversampling(effort) / options.breadth)
        count = math.ceil(_MASK_MARGIN * options.breadth * enough / options.share)
        queue = max(effort.ef, 2 * count)  # as long as the list, a graph's last rows are a guess
        if max(count, queue if self._is_graph else 0) > self.count // 2:
            return None
        nprobe_factor = (
            options.share**-0.5
        )  # ranks lie 1/share further, lists to visit about its root
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
        """Without a mask FAISS itself scores the candidates."""
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

    def _compute_oversampling(self, effort: Effort) -> float:
        """Candidates of the base index for each of the best rows."""
        return effort.k_factor if self._has_refine else 1.0

    def _score_candidates(
        self, queries: Vectors, near: Rows, allowed: Mask, latest: tuple[int, float], enough: int
    ) -> Iterator[tuple[Rows, Vectors]]:
        """Score the allowed candidates, at most twice enough; no row if the search fell short."""
        kth, max_rank = latest
        for query, found in zip(queries, near, strict=True):
            found = found[found >= 0]
            at = np.flatnonzero(allowed[found])
            is_short = len(at) < enough or at[kth] >= max_rank
            kept_rows = found[at[: 0 if is_short else 2 * enough]]
            yield kept_rows, query @ self.vectors[kept_rows].astype(np.float32).T

    def _compute_rank_limit(self, options: SearchOptions) -> tuple[int, float]:
        """Which allowed row must come before which place among the near ones.

        A mask that spares the near rows, such as a filter on another brand, has its best rows where
        the search has not been. Then the k-th allowed row comes later than chance would have it.

        Returns:
            Number of an allowed row, from 0, and the place it must come before; a search so many
            times broader may find it so many times later.
        """
        k = options.k + _EXTRA_ROWS
        return k - 1, options.breadth * (k + _LATE_DEVIATIONS * math.sqrt(k)) / options.share

    def _search(
        self, index: Any, queries: Vectors, count: int, params: Any
    ) -> tuple[Vectors, Rows]:
        _limit_threads(load_faiss(), len(queries))
        scores, rows = index.search(queries, count, params=params)
        return scores, rows

    def _build_faiss_params(self, effort: Effort) -> Any:
        """FAISS search parameters of the base index."""
        faiss = load_faiss()
        if self.list_count:
            return faiss.SearchParametersIVF(nprobe=min(effort.nprobe, self.list_count))
        if self._is_graph:
            return faiss.SearchParametersHNSW(efSearch=min(effort.ef, self.count))
        return None


def load_faiss() -> Any:
    """FAISS, untyped: its stubs lack what SWIG adds at run time."""
    import faiss

    return faiss


def use_all_threads() -> None:
    """Let a build use what the machine, or OMP_NUM_THREADS, allows."""
    threads = count_threads()
    load_faiss().omp_set_num_threads(threads)
    _thread_local.threads = threads


def _limit_threads(faiss: Any, batch: int) -> None:
    """OpenMP's thread count belongs to the calling thread; many callers times many is a storm."""
    threads = 1 if batch < 32 else count_threads()
    if getattr(_thread_local, "threads", None) != threads:
        faiss.omp_set_num_threads(threads)
        _thread_local.threads = threads


def _pack_mask(allowed: Mask | None) -> NDArray[np.uint8] | None:
    return None if allowed is None else np.packbits(allowed, bitorder="little")


def _build_selector(faiss: Any, bitmap: NDArray[np.uint8]) -> Any:
    return faiss.IDSelectorBitmap(bitmap.size, faiss.swig_ptr(bitmap))


def _strip_transforms(faiss: Any, index: Any) -> Any:
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index


def _find_vector_store(faiss: Any, top: Any) -> Any:
    """The part of an index that scores are computed from."""
    if isinstance(top, faiss.IndexRefine):
        return faiss.downcast_index(top.refine_index)
    if isinstance(top, faiss.IndexHNSW):
        return faiss.downcast_index(top.storage)
    return top


def _require_inner_product(faiss: Any, parts: list[Any]) -> None:
    """Some FAISS constructors fall back to L2 whatever they are asked for."""
    for part in parts:
        if part.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise SnapshotError(
                f"index.faiss does not use the inner product ({type(part).__name__}); "
                f"rebuild the index"
            )


def has_readable_vectors(index: Any) -> bool:
    """Whether the stored vectors of an index can be read in place."""
    faiss = load_faiss()
    store = _find_vector_store(faiss, faiss.downcast_index(index))
    return _find_stored_dtype(faiss, store) is not None


def _find_stored_dtype(faiss: Any, store: Any) -> str | None:
    if isinstance(store, faiss.IndexFlat):
        return "<f4"
    if isinstance(store, faiss.IndexScalarQuantizer):
        return "<f2" if store.sq.qtype == faiss.ScalarQuantizer.QT_fp16 else None
    return None


def _view_stored_vectors(faiss: Any, store: Any) -> NDArray[Any]:
    """A read-only view of the vectors inside the index: no second copy in memory or on disk."""
    kind = _find_stored_dtype(faiss, store)
    if kind is None:
        raise SnapshotError(
            f"index.faiss keeps its vectors as {type(store).__name__}, which cannot be read in "
            f"place; end the factory string with Refine(SQfp16)"
        )
    count, dim = int(store.ntotal), int(store.d)
    if count == 0:
        return np.empty((0, dim), np.float32)
    size = count * dim * np.dtype(kind).itemsize
    view: NDArray[Any] = faiss.rev_swig_ptr(store.codes.data(), size).view(kind)
    view = view.reshape(count, dim)
    view.flags.writeable = False
    return view
