"""Ordered work on several processes, with a bounded number of pieces under way."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from indexer.errors import IndexerError

_AHEAD = 2  # pieces that wait for each process, so that none is idle
_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


def cores() -> int:
    """Return how many cores this machine has."""
    return os.cpu_count() or 1


def ordered(
    work: Callable[[_Piece], _Result], pieces: Iterable[_Piece], *, workers: int
) -> Iterator[_Result]:
    """Do each piece in one of several new processes; results come in the order of the pieces.

    Pieces are read only as fast as results are taken.

    Args:
        work: Of a module, for a process gets it by name.
        pieces: Plain data.
        workers: How many processes; they share the cores.

    Raises:
        IndexerError: If a process ends, as for want of memory.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // workers)))
    context = multiprocessing.get_context("spawn")  # a fork of one with threads may hang
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow)
    waiting: deque[Future[_Result]] = deque()
    try:
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise IndexerError(
            "a process that answered ended, perhaps for want of memory; give fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _follow() -> None:
    """Leave the interrupt to the parent, and end when it ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=[parent.join], daemon=True).start()


def _end_with(join: Callable[[], None]) -> None:
    join()
    os._exit(1)
