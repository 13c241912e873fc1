"""The arrays that pass between packages: type aliases with their shapes, and what converts them.

n: rows of the catalogue; m: rows or vectors chosen among them; d: numbers in a vector.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]  # (m, d); of unit length only where a docstring says so
Rows: TypeAlias = NDArray[np.int64]  # (m,), row numbers in the catalogue
Mask: TypeAlias = NDArray[np.bool_]  # (n,), one flag for each row

_SMALL_PRODUCT = 400_000  # multiplications; larger matrices BLAS first copies into its own order
_MIN_BLOCK = 16  # rows; for more queries than leave room for so many, one product is faster
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


def multiply_with_rows(queries: Vectors, vectors: Vectors) -> Vectors:
    """Return the inner products of q queries with m vectors, `(q, m) float32`.

    Of few queries most of the time of one large matrix product would go into copying the vectors,
    which are used only once each; blocks of them are small enough to be multiplied as they are.
    """
    size = max(1, _SMALL_PRODUCT // max(1, queries.size))
    count = len(vectors)
    if count <= size or size < _MIN_BLOCK:
        whole: Vectors = queries @ vectors.T
        return whole
    products = np.empty((len(queries), count), np.float32)
    for start in range(0, count, size):
        block = slice(start, start + size)
        np.matmul(queries, vectors[block].T, out=products[:, block])
    return products
