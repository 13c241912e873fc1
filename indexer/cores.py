"""Environment and CPU affinity to the number of threads this process may use, and work on them."""

import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


def count_threads() -> int:
    """Return the number in `OMP_NUM_THREADS`, or else the number of usable cores; at least 1.

    The variable may hold a list such as "4,2", one number for each level of nested parallelism
    (OpenMP 5.2, section 21.1.2); the first one, for the outermost level, is taken.
    """
    match = re.match(r"\s*(\d+)", os.environ.get("OMP_NUM_THREADS", ""))
    return max(1, int(match[1])) if match else _count_cores()


def map_in_threads(function: Callable[[A], R], arguments: Iterable[A]) -> list[R]:
    """Return the results for all arguments, in order; for work that numpy does outside the GIL."""
    listed = list(arguments)
    if len(listed) < 2 or count_threads() == 1:
        return [function(argument) for argument in listed]
    with ThreadPoolExecutor(count_threads()) as threads:
        return list(threads.map(function, listed))


def _count_cores() -> int:
    """The cores this process may run on, where the system can tell; else all of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
