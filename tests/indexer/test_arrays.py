"""float16 to float32 against NumPy's own conversion, for every finite number."""

import numpy as np

from indexer.arrays import widen


def test_every_finite_half_is_widened_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    wide = widen(halves.reshape(-1, 8))
    assert wide.dtype == np.float32
    assert wide.shape == (len(halves) // 8, 8)
    np.testing.assert_array_equal(wide.ravel().view(np.uint32), halves.astype("f4").view(np.uint32))


def test_no_numbers_are_widened_to_none() -> None:
    assert widen(np.empty((0, 5), np.float16)).shape == (0, 5)
