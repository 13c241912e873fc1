"""The arrays that pass between packages: type aliases with their shapes, and what converts them.

n: rows of the catalogue; m: rows or vectors chosen among them; d: numbers in a vector.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]  # (m, d); of unit length only where a docstring says so
Rows: TypeAlias = NDArray[np.int64]  # (m,), row numbers in the catalogue
Mask: TypeAlias = NDArray[np.bool_]  # (n,), one flag for each row

_FRACTION_SHIFT = 13  # bits that the fraction of a float32 has more than that of a float16
_FLOAT16_BITS = np.uint32(0x8FFFE000).view(np.int32)  # of a float32 that hold those of a float16
_BIAS_FACTOR = np.float32(2.0**112)  # the exponents are biased by 127 and 15


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


def widen(halves: NDArray[np.float16]) -> Vectors:
    """Return finite float16 numbers as float32, exactly.

    Sign, exponent and fraction are moved to their places in a float32, all numbers at once, and
    the factor 2**112 makes up for the different bias of the exponent. NumPy converts one number
    after the other, which takes ten times as long.
    """
    bits = halves.view(np.int16).astype(np.int32)
    np.left_shift(bits, _FRACTION_SHIFT, out=bits)
    np.bitwise_and(bits, _FLOAT16_BITS, out=bits)  # the sign was repeated in the bits above
    wide: Vectors = bits.view(np.float32)
    np.multiply(wide, _BIAS_FACTOR, out=wide)
    return wide
