"""Item vectors to an inner-product index and back to the nearest rows. The only door to faiss.

Up to `FLAT_LIMIT` rows the index is exact. Larger catalogues use 4-bit product quantisation
(fast-scan) with float16 refinement: measured on real request vectors it keeps its recall under
any block weights, where graphs and inverted lists tuned on item-like queries lose it.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.errors import SnapshotError, VectorShapeError

Vectors: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.int64]

# Below this share of allowed rows, gathering them and one exact product beats a masked scan.
GATHER_SHARE = 0.05
_CHUNK_ROWS = 65_536
_local = threading.local()


@dataclass(frozen=True, slots=True)
class Found:
    """Rows found for one query, best first, ties by row.

    Attributes:
        rows: `(m,) int64`, distinct.
        scores: `(m,) float32`, inner products; higher is closer.
    """

    rows: Rows
    scores: Vectors


class VectorIndex:
    """An immutable FAISS inner-product index over dense rows 0..n-1; thread-safe."""

    def __init__(self, index: Any) -> None:
        import faiss

        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise SnapshotError("index.faiss does not use the inner product; rebuild the index")
        self._index = index
        self._vectors = _stored_vectors(index)

    @classmethod
    def build(cls, vectors: Vectors) -> "VectorIndex":
        """Index `(n, d) float32` vectors exactly.

        Raises:
            VectorShapeError: If `vectors` is not two-dimensional or holds a NaN or infinity.
        """
        import faiss

        if vectors.ndim != 2:
            raise VectorShapeError(f"vectors have shape {vectors.shape}, expected (n, d)")
        index = faiss.IndexFlatIP(vectors.shape[1])
        for start in range(0, len(vectors), _CHUNK_ROWS):
            chunk = np.ascontiguousarray(vectors[start : start + _CHUNK_ROWS], dtype=np.float32)
            # Written as "not all finite": FAISS accepts a NaN and then never finds its row.
            if not np.isfinite(chunk).all():
                bad = start + int(np.flatnonzero(~np.isfinite(chunk).all(axis=1))[0])
                raise VectorShapeError(f"the vector of row {bad} holds NaN or infinity")
            index.add(chunk)
        return cls(index)

    @classmethod
    def open(cls, path: Path) -> "VectorIndex":
        """Map an index file into memory.

        Raises:
            SnapshotError: If the file is missing, truncated or no FAISS index.
        """
        import faiss

        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise SnapshotError(
                f"{path} is missing or damaged; roll back with scripts/snapshots.py, or rebuild"
            ) from error
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the index to one file."""
        import faiss

        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._index.d)

    def vectors(self, rows: Sequence[int] | Rows) -> Vectors:
        """Return the stored vectors of some rows, `(m, d) float32`."""
        picked: Vectors = self._vectors[np.asarray(rows, dtype=np.int64)]
        return picked

    def scores(self, queries: Vectors, rows: Rows | None = None) -> Vectors:
        """Return exact inner products `(q, m) float32` with the given rows, or with all of them."""
        self._check(queries)
        count = len(self) if rows is None else len(rows)
        out = np.empty((len(queries), count), np.float32)
        for start in range(0, count, _CHUNK_ROWS):
            stop = min(start + _CHUNK_ROWS, count)
            chunk = self._vectors[start:stop] if rows is None else self._vectors[rows[start:stop]]
            np.matmul(queries, chunk.T, out=out[:, start:stop])
        return out

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> list[Found]:
        """Find the rows with the highest inner product for each query.

        Args:
            queries: `(q, d) float32`.
            k: How many; fewer come back only when fewer rows are allowed.
            allowed: `(n,) bool`; None allows all rows.

        Raises:
            VectorShapeError: If `queries` is not `(q, d) float32`, or holds a NaN.
        """
        self._check(queries)
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, count)
        if k < 1:
            return [Found(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
        if allowed is not None and count <= GATHER_SHARE * len(self):
            return self._gather(queries, k, np.flatnonzero(allowed))
        return self._scan(queries, k, allowed)

    def _gather(self, queries: Vectors, k: int, rows: Rows) -> list[Found]:
        return [best(rows, scores, k) for scores in self.scores(queries, rows)]

    def _scan(self, queries: Vectors, k: int, allowed: Mask | None) -> list[Found]:
        """Search in FAISS, asking for more until every row tied with the k-th is inside."""
        wanted = k
        total = len(self) if allowed is None else int(np.count_nonzero(allowed))
        while True:
            asked = min(wanted + 16, total)
            scores, rows = self._faiss_search(queries, asked, allowed)
            # Ties at the cut must be broken by row, so the cut may not fall inside a tie.
            open_tie = (asked < total) & (_rounded(scores[:, -1]) >= _rounded(scores[:, k - 1]))
            if not np.any(open_tie) or asked == total:
                return [best(r, s, k) for r, s in zip(rows, scores, strict=True)]
            wanted = 4 * asked
            if wanted >= total // 4:
                all_rows = np.arange(len(self)) if allowed is None else np.flatnonzero(allowed)
                return self._gather(queries, k, all_rows)

    def _faiss_search(self, queries: Vectors, k: int, allowed: Mask | None) -> tuple[Vectors, Rows]:
        faiss = _faiss()
        _one_thread_for_small_batches(faiss, len(queries))
        params, bitmap = None, None
        if allowed is not None:
            bitmap = np.packbits(allowed, bitorder="little")  # must outlive the call
            params = faiss.SearchParameters(
                sel=faiss.IDSelectorBitmap(bitmap.size, faiss.swig_ptr(bitmap))
            )
        scores, rows = self._index.search(queries, k, params=params)
        del bitmap
        if (rows < 0).any():
            raise SnapshotError("the index returned fewer rows than it holds; verify the snapshot")
        return scores, rows

    def _check(self, queries: Vectors) -> None:
        if queries.ndim != 2 or queries.shape[1] != self.dim or queries.dtype != np.float32:
            raise VectorShapeError(
                f"queries have shape {queries.shape} and type {queries.dtype}, but this index "
                f"holds (n, {self.dim}) float32; use the encoder the snapshot was built with"
            )
        if not np.isfinite(queries).all():
            raise VectorShapeError("a query vector holds NaN or infinity")


def best(rows: Rows, scores: Vectors, k: int) -> Found:
    """Keep the k best rows: by score, equal scores (to six decimals) by row."""
    if k < len(rows):
        cut = _rounded(np.partition(scores, len(scores) - k)[len(scores) - k])
        keep = _rounded(scores) >= cut
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((rows, -_rounded(scores)))[:k]
    return Found(rows[order], scores[order])


def _rounded(scores: Any) -> Any:
    """Six decimals: the last bits of a float32 sum depend on the path that computed it."""
    return np.round(scores, 6)


def _one_thread_for_small_batches(faiss: Any, batch: int) -> None:
    """OpenMP's thread count belongs to the calling thread; many callers times many is a storm."""
    threads = 1 if batch < 32 else os.cpu_count() or 1
    if getattr(_local, "threads", None) != threads:
        faiss.omp_set_num_threads(threads)
        _local.threads = threads


def _faiss() -> Any:
    """The library, untyped: its stubs lack what SWIG adds at run time."""
    import faiss

    return faiss


def _stored_vectors(index: Any) -> NDArray[Any]:
    """A read-only view of the vectors inside the index: no second copy in memory or on disk."""
    faiss = _faiss()
    flat = faiss.downcast_index(index)
    count, dim = int(flat.ntotal), int(flat.d)
    if count == 0:
        return np.empty((0, dim), np.float32)
    view: NDArray[Any] = faiss.rev_swig_ptr(flat.get_xb(), count * dim).reshape(count, dim)
    view.flags.writeable = False
    return view
