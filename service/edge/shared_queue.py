"""Blocking calls by key to results that all who ask for one meanwhile share, one call at a time.

Who waits holds no thread. Whoever has waited too long is told when to come back: the call goes on,
and what it leaves behind makes the next one cheap. A call that nobody waits for any more ends where
it asks `raise_if_given_up`.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from service.edge.problems import unavailable
from service.edge.work_queue import WorkQueue

_RETRY_AFTER_S = 2


@dataclass(slots=True, eq=False)
class _Run:
    """A call that waits or runs.

    Attributes:
        waiters: How many wait for it.
        is_promised: Whether somebody was told to come back.
    """

    task: "asyncio.Task[Any]"
    waiters: int = 0
    is_promised: bool = False


class SharedQueue:
    """Runs each call for all who ask for it, in one thread; used by one event loop.

    Args:
        name: Of the thread.
        max_calls: Calls that may wait for the thread.
        max_waiting: Callers who may wait.
    """

    def __init__(self, name: str, *, max_calls: int, max_waiting: int) -> None:
        self._queue = WorkQueue(name, threads=1, max_waiting=max_calls)
        self._places = max_waiting
        self._runs: dict[Hashable, _Run] = {}

    async def run(
        self,
        key: Hashable,
        call: Callable[[], object],
        *,
        deadline_s: float,
        is_admitted: bool = False,
    ) -> None:
        """Wait until `call`, or the one of the same key that runs already, has ended.

        Args:
            key: Whose call it is.
            call: Blocking.
            deadline_s: How long to wait.
            is_admitted: Whether the caller waited before: it is not refused, however many wait.

        Raises:
            Problem: 503 with the time to come back, if it takes longer, or too many wait.
            Exception: Whatever `call` raised.
        """
        if self._places <= 0 and not is_admitted:
            raise unavailable("too many requests wait for long logs; try again", _RETRY_AFTER_S)
        run = self._join(key, call)
        self._places -= 1
        run.waiters += 1
        try:
            await asyncio.wait((run.task,), timeout=deadline_s)
            if not run.task.done():
                run.is_promised = True
                raise unavailable(
                    f"reading a long log takes longer than {deadline_s:.3g} s; it goes on, so ask "
                    f"again in {_RETRY_AFTER_S} s",
                    _RETRY_AFTER_S,
                )
            run.task.result()
        finally:
            self._places += 1
            run.waiters -= 1
            if not run.waiters and not run.is_promised:
                run.task.cancel()

    def close(self, *, wait_s: float = 5) -> bool:
        """Refuse what waits, give up what runs, and wait for its end; see `WorkQueue.close`."""
        return self._queue.close(wait_s=wait_s)

    def _join(self, key: Hashable, call: Callable[[], object]) -> _Run:
        run = self._runs.get(key)
        if run is not None and not run.task.cancelling():
            return run
        run = _Run(asyncio.create_task(self._queue.run(call)))
        self._runs[key] = run

        def forget(task: "asyncio.Task[Any]") -> None:
            if self._runs.get(key) is run:
                del self._runs[key]
            if not task.cancelled():
                task.exception()  # nobody may have awaited it

        run.task.add_done_callback(forget)
        return run
