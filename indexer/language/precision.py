"""This CPU and a model's rounding errors to the precision that items are encoded in.

Nothing is timed: a clock would choose otherwise on a busy machine, and the same text would have
another vector in each process.
"""

import os
from collections.abc import Callable
from pathlib import Path

_BF16_MIN_COSINE = 0.9999


def choose_precision(measure_rounding: Callable[[], float]) -> str:
    """Return "bfloat16" if the CPU has instructions for it and rounding hardly turns a vector.

    The environment variable `ZHIYIN_PRECISION` (float32 or bfloat16) decides without a test.

    Args:
        measure_rounding: Returns the least cosine between vectors in both precisions; it is called
            only on a CPU that has the instructions. bfloat16 needs at least 0.9999.
    """
    if not is_precision_free():
        return os.environ["ZHIYIN_PRECISION"]
    is_taken = _has_bf16_instructions() and measure_rounding() >= _BF16_MIN_COSINE
    return "bfloat16" if is_taken else "float32"


def is_precision_free() -> bool:
    """Whether `ZHIYIN_PRECISION` leaves the choice to us."""
    return os.environ.get("ZHIYIN_PRECISION", "") not in ("float32", "bfloat16")


def _has_bf16_instructions() -> bool:
    """Whether the CPU has them; without, torch emulates bfloat16 many times slower."""
    import torch

    capabilities = torch.backends.cpu.get_cpu_capability().lower()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", "bf16")) or (
        "bf16" in capabilities
    )
