"""How many threads this process may use."""

import os
import re


def count_threads() -> int:
    """Return what `OMP_NUM_THREADS` says, for the outermost level, else how many cores it has.

    OpenMP also takes a list, "4,2": a number for each level of nesting (OpenMP 5.2, 21.1.2).
    """
    match = re.match(r"\s*(\d+)", os.environ.get("OMP_NUM_THREADS", ""))
    return max(1, int(match[1])) if match else _count_cores()


def _count_cores() -> int:
    """Those that this process is bound to, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
