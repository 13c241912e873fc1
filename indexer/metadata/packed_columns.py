"""Pairs of a row and a value to a column by row, if that takes no more memory. Pure."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.metadata.postings import Rows

Floats: TypeAlias = NDArray[np.float64]

_SPARSE_FACTOR = 4  # a field that fewer than 1 in 4 rows have is stored as pairs, not as a column


def pack_column(n: int, rows: Rows, values: Floats) -> tuple[Floats, Rows | None]:
    """Return values by row and None, or as they are with their rows if that takes less memory.

    Args:
        n: Number of rows of the catalogue.
        rows: `(p,)`, ascending.
        values: `(…, p)`.

    Returns:
        `(…, n)` with NaN where there is no value, and None; or `(…, p)` and `rows` if a row occurs
        more than once or few rows occur.
    """
    is_single = bool(np.all(rows[1:] > rows[:-1]))
    if not is_single or len(rows) * _SPARSE_FACTOR < n:
        return values, rows
    column = np.full((*values.shape[:-1], n), np.nan)
    column[..., rows] = values
    return column, None
