"""The arrays that pass between rooms.

n rows of a catalogue, q query vectors, m chosen rows, d numbers in an item vector.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]  # (m, d); unit length where it is said
Rows: TypeAlias = NDArray[np.int64]  # (m,), row numbers of a catalogue
Mask: TypeAlias = NDArray[np.bool_]  # (n,), one flag a row
