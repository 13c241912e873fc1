"""Coordinates and values to sparse matrices, by way of scipy."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = Any  # scipy.sparse.csr_matrix of float32; scipy ships no types


def build_matrix_from_coordinates(
    values: NDArray[np.float32],
    rows: NDArray[np.integer],
    columns: NDArray[np.integer],
    shape: tuple[int, int],
) -> Matrix:
    """Return the matrix with `values[i]` at `(rows[i], columns[i])`; equal places are summed."""
    from scipy import sparse  # type: ignore[import-untyped]  # scipy ships no stubs

    return sparse.coo_matrix((values, (rows, columns)), shape, dtype=np.float32).tocsr()


def build_matrix_from_rows(
    values: NDArray[np.float32],
    columns: NDArray[np.integer],
    starts: NDArray[np.integer],
    width: int,
) -> Matrix:
    """Return the matrix whose row `j` has its columns and values at `starts[j]:starts[j + 1]`."""
    from scipy import sparse

    return sparse.csr_matrix((values, columns, starts), (len(starts) - 1, width))
