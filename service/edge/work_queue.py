"""Blocking calls to awaitable results: a few threads, a bounded queue, a deadline."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.edge.problems import unavailable

_T = TypeVar("_T")


class WorkQueue:
    """Runs blocking calls in threads, and refuses a call when the queue is full.

    Args:
        name: Prefix of the names of its threads.
        threads: Calls that run at the same time.
        max_waiting: Calls that may wait for a thread.
    """

    def __init__(self, name: str, *, threads: int, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._capacity = threading.BoundedSemaphore(threads + max_waiting)

    async def run(self, call: Callable[[], _T], *, deadline_s: float | None = None) -> _T:
        """Return what `call` returns.

        Raises:
            Problem: 503 if too many calls are waiting, or this one takes too long. A call that is
                too slow keeps its thread until it returns.
        """
        if not self._capacity.acquire(blocking=False):
            raise unavailable("the service is busy; try again in a moment", retry_after_s=1)
        try:
            future = self._executor.submit(call)
        except RuntimeError as error:
            self._capacity.release()
            raise unavailable("the service is shutting down; try again in a moment") from error
        future.add_done_callback(lambda _: self._capacity.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), deadline_s)
        except TimeoutError as error:
            raise unavailable(
                f"this took longer than {deadline_s:g} s; ask for less, or try again in a moment"
            ) from error

    def close(self) -> None:
        """Discard waiting calls; return when the running ones have ended."""
        self._executor.shutdown(wait=True, cancel_futures=True)
