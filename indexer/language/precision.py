"""A loaded model and this CPU to the precision its transformer runs in: float32 or bfloat16."""

import copy
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from indexer.arrays import Vectors

if TYPE_CHECKING:  # torch takes seconds to import: only when a model is loaded
    from sentence_transformers import SentenceTransformer

Forward: TypeAlias = Callable[[list[str]], Vectors]

_BF16_MIN_SPEEDUP, _BF16_MIN_COSINE = 1.3, 0.9999
_TEST_TEXTS = (
    "A quiet film about friendship and the sea, told over one summer.",
    "雨天在家看的悬疑片",
) * 8


def choose_precision(model: "SentenceTransformer", forward: Forward) -> str:
    """Convert the transformer to bfloat16 if this CPU is clearly faster at it and as exact.

    Both precisions encode the same few texts. bfloat16 is taken if it is at least 1.3 times as
    fast and every vector has a cosine of at least 0.9999 with its float32 vector. The environment
    variable `ZHIYIN_PRECISION` (float32 or bfloat16) decides without a test.

    Args:
        model: Its first module is the transformer, which is replaced if bfloat16 is taken.
        forward: Texts to `(n, d) float32` unit vectors of `model` as it is when called.

    Returns:
        "float32" or "bfloat16".
    """
    import torch

    modules: Any = model
    requested = os.environ.get("ZHIYIN_PRECISION", "")
    if requested == "float32" or not (requested == "bfloat16" or _has_bf16_instructions()):
        return "float32"
    exact, float32_s = _time_forward(forward)
    transformer = modules[0]
    # A copy, since rounding in place could not be undone.
    modules[0] = copy.deepcopy(transformer).to(torch.bfloat16)
    rounded, bfloat16_s = _time_forward(forward)
    cosine = float((exact * rounded).sum(axis=1).min())
    if requested == "bfloat16" or (
        float32_s >= _BF16_MIN_SPEEDUP * bfloat16_s and cosine >= _BF16_MIN_COSINE
    ):
        return "bfloat16"
    modules[0] = transformer
    return "float32"


def _has_bf16_instructions() -> bool:
    """Whether the CPU has them; without, torch emulates bfloat16 many times slower."""
    import torch

    capabilities = torch.backends.cpu.get_cpu_capability().lower()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", "bf16")) or (
        "bf16" in capabilities
    )


def _time_forward(forward: Forward) -> tuple[Vectors, float]:
    """Return the vectors of the test texts and the seconds that the second of two runs took."""
    texts = list(_TEST_TEXTS)
    forward(texts)  # warm-up
    started = time.perf_counter()
    vectors = forward(texts)
    return vectors, time.perf_counter() - started
