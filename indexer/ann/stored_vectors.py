"""A FAISS index to its parts: inverted lists, and the vectors it stores, with a view of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann.faiss_library import load_faiss
from indexer.arrays import Vectors
from indexer.errors import SnapshotError, VectorShapeError

_SAMPLED_ROWS = 2_048  # of which the spread of each column is taken


def require_inner_product(faiss: Any, parts: list[Any]) -> None:
    """Refuse an index that does not use the inner product.

    Some FAISS constructors use L2 whatever metric they are given.

    Raises:
        SnapshotError: If one of the parts uses another metric.
    """
    for part in parts:
        if part.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise SnapshotError(
                f"index.faiss does not use the inner product ({type(part).__name__}); "
                f"rebuild the index"
            )


def has_readable_vectors(index: Any) -> bool:
    """Whether the stored vectors of an index can be read in place."""
    faiss = load_faiss()
    store = find_vector_store(faiss, faiss.downcast_index(index))
    return _find_stored_dtype(faiss, store) is not None


def view_stored_vectors(faiss: Any, store: Any) -> NDArray[Any]:
    """Return a read-only view of the vectors in the index's own memory, without a copy.

    Returns:
        `(n, d)` float32 or float16.

    Raises:
        SnapshotError: If the vectors are stored in a form that cannot be read in place.
    """
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


def strip_transforms(faiss: Any, index: Any) -> Any:
    """Return the index behind transforms of the vectors, such as a rotation."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index


def count_lists(faiss: Any, index: Any) -> int:
    """Return the number of inverted lists of an index; 0 if it has none."""
    top = faiss.downcast_index(index)
    base = faiss.downcast_index(top.base_index) if isinstance(top, faiss.IndexRefine) else top
    inner = strip_transforms(faiss, base)
    return int(inner.nlist) if isinstance(inner, faiss.IndexIVF) else 0


def find_vector_store(faiss: Any, top: Any) -> Any:
    """Return the part of an index that stores the vectors scores are computed from."""
    if isinstance(top, faiss.IndexRefine):
        return faiss.downcast_index(top.refine_index)
    if isinstance(top, faiss.IndexHNSW):
        return faiss.downcast_index(top.storage)
    return top


def _find_stored_dtype(faiss: Any, store: Any) -> str | None:
    if isinstance(store, faiss.IndexFlat):
        return "<f4"
    if isinstance(store, faiss.IndexScalarQuantizer):
        return "<f2" if store.sq.qtype == faiss.ScalarQuantizer.QT_fp16 else None
    return None


def require_finite(chunk: Vectors, first_row: int) -> Vectors:
    """Return a chunk as contiguous float32, as FAISS requires.

    Args:
        chunk: `(m, d)` vectors.
        first_row: Row number of the first of them, for the message.

    Raises:
        VectorShapeError: If a vector holds NaN or infinity; the message names its row.
    """
    rows = np.ascontiguousarray(chunk, dtype=np.float32)
    # FAISS accepts a NaN and then never finds its row.
    if not np.isfinite(rows).all():
        bad = first_row + int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise VectorShapeError(f"the vector of row {bad} holds NaN or infinity")
    return rows


def measure_column_spread(vectors: Vectors) -> Vectors:
    """Return the standard deviation of each of d columns, `(d,) float32`, of evenly chosen rows."""
    if not len(vectors):
        return np.zeros(vectors.shape[1], np.float32)
    rows = np.unique(np.linspace(0, len(vectors) - 1, _SAMPLED_ROWS).astype(np.int64))
    spread: Vectors = vectors[rows].std(axis=0, dtype=np.float32)
    return spread
