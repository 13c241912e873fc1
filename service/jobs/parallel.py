"""Pieces of work to their results in the same order, by several processes at the same time."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from indexer.cores import count_threads
from indexer.errors import WorkerError
from service.process import end_with_parent

_AHEAD = 2  # pieces queued for each process, so that none is idle
_THREADS = "OMP_NUM_THREADS"
_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


def run_ordered(
    work: Callable[[_Piece], _Result], pieces: Iterable[_Piece], *, workers: int
) -> Generator[_Result, None, None]:
    """Yield the result of each piece, in the order of the pieces.

    Pieces are read only as fast as results are taken, so that few are in memory. A caller who stops
    early closes the generator, which ends the processes and drops unfinished pieces.

    Args:
        work: A function of a module, or a `partial` of one: it is pickled by its name.
        pieces: Values that can be pickled.
        workers: How many processes; the threads of `count_threads` are divided among them.

    Raises:
        WorkerError: If a process ends before its work is done, for example out of memory.
    """
    context = multiprocessing.get_context(
        "spawn"
    )  # a forked process may hang if its parent has threads
    pool = ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=end_with_parent,
        initargs=(os.getpid(), signal.SIGKILL),
    )
    waiting: deque[Future[_Result]] = deque()
    threads = max(1, count_threads() // workers)
    try:
        for piece in pieces:
            with _prepare_children(threads=threads):
                waiting.append(pool.submit(work, piece))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "a process that answers ended before it was done (killed, or out of memory); try "
            "--workers 1"
        ) from error
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _prepare_children(*, threads: int) -> Iterator[None]:
    """Set what a process that starts in this block inherits: its threads, and SIGINT blocked.

    SIGINT (Ctrl-C) reaches every process of a terminal. Only the parent handles it, and ends the
    others. It does so after this block: an exception while a process starts would leave it half
    started, and the parent would wait for it forever. Blocking SIGINT in this thread is not enough,
    because another thread of the parent may receive it; so a handler keeps it until the end.
    """
    previous = os.environ.get(_THREADS)
    os.environ[_THREADS] = str(threads)
    interrupts: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        if previous is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = previous
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if interrupts and handler is not signal.SIG_IGN:  # a shell's background job ignores SIGINT
        raise KeyboardInterrupt
