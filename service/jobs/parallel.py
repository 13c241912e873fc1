"""Ordered work on several processes, with a bounded number of pieces under way."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from indexer.cores import count_threads
from indexer.errors import WorkerError

_AHEAD = 2  # pieces that wait for each process, so that none is idle
_THREADS = "OMP_NUM_THREADS"
_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


def run_ordered(
    work: Callable[[_Piece], _Result], pieces: Iterable[_Piece], *, workers: int
) -> Generator[_Result, None, None]:
    """Do each piece in one of several new processes; results come in the order of the pieces.

    Pieces are read only as fast as results are taken. A caller who stops early closes the
    generator: what is under way is then given up.

    Args:
        work: Of a module, for a process gets it by name.
        pieces: Plain data.
        workers: How many processes; they share the threads that are allowed.

    Raises:
        WorkerError: If a process ends, as for want of memory.
    """
    context = multiprocessing.get_context("spawn")  # a fork of one with threads may hang
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
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
    """What a process inherits that starts here: so many threads, and no interrupt from a terminal.

    The parent gets the interrupt, and ends them; but not in here, where a process half started
    would be waited for without end. The mask alone does not do, for other threads have none.
    """
    told = os.environ.get(_THREADS)
    os.environ[_THREADS] = str(threads)
    interrupts: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        if told is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = told
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if interrupts and handler is not signal.SIG_IGN:  # as a shell's background job ignores it
        raise KeyboardInterrupt


def _end_with_parent() -> None:
    """End when the parent ends, however it does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=[parent.join], daemon=True).start()


def _exit_after(join: Callable[[], None]) -> None:
    join()
    os._exit(1)
