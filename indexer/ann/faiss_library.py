"""FAISS, imported when first needed, and the number of threads it uses."""

import threading
from typing import Any

from indexer.cores import count_threads

_thread_local = threading.local()


def load_faiss() -> Any:
    """Import FAISS; untyped, since its stubs lack the names that SWIG adds at run time."""
    import faiss

    return faiss


def use_all_threads() -> None:
    """Let FAISS use every thread that `count_threads` allows, for calls of this thread."""
    threads = count_threads()
    load_faiss().omp_set_num_threads(threads)
    _thread_local.threads = threads


def limit_threads(faiss: Any, batch: int) -> None:
    """Use one thread for small batches, since many calls may run at once, and all for large ones.

    OpenMP keeps its thread count for each calling thread.
    """
    threads = 1 if batch < 32 else count_threads()
    if getattr(_thread_local, "threads", None) != threads:
        faiss.omp_set_num_threads(threads)
        _thread_local.threads = threads
