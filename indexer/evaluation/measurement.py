"""One method's answers to the cases, and what fitting and asking it cost."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

TopItems: TypeAlias = Sequence[Collection[str | int]]  # the first ten of each list


@dataclass(frozen=True, slots=True)
class Measurement:
    """One method's answers to `c` cases, and their cost.

    Attributes:
        name: Of the method.
        ranks: `(c,)` ranks of the picked items, from 1; infinite if not found.
        top10: The first ten items of each list.
        fit_cpu_s: Processor seconds of the last fit; for our method, of the whole build.
        ms_per_request: Processor milliseconds of one answer, on average.
        params: What the method was tuned to.
    """

    name: str
    ranks: NDArray[np.float64]
    top10: TopItems
    fit_cpu_s: float
    ms_per_request: float
    params: Mapping[str, Any]


class CpuTimer:
    """Processor seconds of this process since the timer was created."""

    def __init__(self) -> None:
        self._started = time.process_time()

    def read_s(self) -> float:
        """Return the processor seconds so far."""
        return time.process_time() - self._started

    def read_ms_per(self, count: int) -> float:
        """Return the processor milliseconds so far, for each of `count` units."""
        return 1_000 * self.read_s() / max(count, 1)
