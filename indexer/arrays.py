"""Type aliases of the arrays that pass between packages, with their shapes.

n: rows of the catalogue; m: rows or vectors chosen among them; d: numbers in a vector.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]  # (m, d); of unit length only where a docstring says so
Rows: TypeAlias = NDArray[np.int64]  # (m,), row numbers in the catalogue
Mask: TypeAlias = NDArray[np.bool_]  # (n,), one flag for each row
