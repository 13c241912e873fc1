"""float16 to float32 against NumPy's own conversion, for every finite number."""

import numpy as np
import pytest

from indexer.arrays import multiply_with_rows, widen


def test_every_finite_half_is_widened_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    wide = widen(halves.reshape(-1, 8))
    assert wide.dtype == np.float32
    assert wide.shape == (len(halves) // 8, 8)
    np.testing.assert_array_equal(wide.ravel().view(np.uint32), halves.astype("f4").view(np.uint32))


def test_no_numbers_are_widened_to_none() -> None:
    assert widen(np.empty((0, 5), np.float16)).shape == (0, 5)


@pytest.mark.parametrize(("queries", "rows"), [(1, 1), (9, 960), (16, 2_500), (300, 40), (3, 0)])
def test_products_in_blocks_are_those_of_one_product(queries: int, rows: int) -> None:
    rng = np.random.default_rng(queries)
    left = rng.standard_normal((queries, 392)).astype(np.float32)
    right = rng.standard_normal((rows, 392)).astype(np.float32)

    products = multiply_with_rows(left, right)

    truth = left.astype(np.float64) @ right.T.astype(np.float64)
    assert products.shape == (queries, rows)
    assert products.dtype == np.float32
    np.testing.assert_allclose(products, truth, atol=2e-4)
