"""The arrays that pass between packages: type aliases with their shapes, and rows to distinct rows.

n: rows of the catalogue; m: rows or vectors chosen among them; d: numbers in a vector.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]  # (m, d); of unit length only where a docstring says so
Rows: TypeAlias = NDArray[np.int64]  # (m,), row numbers in the catalogue
Mask: TypeAlias = NDArray[np.bool_]  # (n,), one flag for each row


def sort_distinct(rows: Rows) -> Rows:
    """Return the distinct ones of m rows, ascending; `np.unique` takes several times as long."""
    if len(rows) < 2:
        return rows
    ascending = np.sort(rows)
    is_new = np.empty(len(ascending), np.bool_)
    is_new[0] = True
    np.not_equal(ascending[1:], ascending[:-1], out=is_new[1:])
    distinct: Rows = ascending[is_new]
    return distinct
