"""Blocking calls to awaitable results: a few threads, a bounded queue, a deadline.

A call costs the event loop two steps: it is put into a queue, and its result comes back with one
wake-up of the loop. Calls of one queue wait in the order they came. Calls that must not wait for
dearer ones get a queue of their own, as events and items have.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from indexer.cancellation import give_up_when
from indexer.errors import GivenUpError
from service.edge.problems import Problem, shutting_down, unavailable

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Task:
    """A call, and where its result is awaited.

    Attributes:
        is_claimed: Whether a thread runs it, or it was given up; under the lock of its queue.
        is_given_up: Whether nobody awaits its result any more.
    """

    call: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    is_claimed: bool = False
    is_given_up: bool = False

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Hand the outcome to the event loop; nobody may be waiting for it any more."""
        with suppress(RuntimeError):  # the loop may have ended meanwhile
            self.loop.call_soon_threadsafe(_settle, self.future, result, error)


class WorkQueue:
    """Runs blocking calls in threads, and refuses a call when the queue is full.

    Args:
        name: Prefix of the names of its threads.
        threads: Calls that run at the same time.
        max_waiting: Calls that may wait for a thread.
    """

    def __init__(self, name: str, *, threads: int, max_waiting: int) -> None:
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._places = threads + max_waiting  # free ones; below zero after calls that had one
        self._lock = threading.Lock()  # of places, claims and `_is_closed`
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True)
            for number in range(threads)
        ]

    async def run(
        self,
        call: Callable[[], _T],
        *,
        deadline_s: float | None = None,
        is_admitted: bool = False,
    ) -> _T:
        """Return what `call` returns.

        Args:
            call: Blocking.
            deadline_s: How long to wait for it; None: as long as it takes.
            is_admitted: Whether it had a place before, and waited for something else meanwhile: it
                is not refused, however many wait.

        Raises:
            Problem: 503 if too many calls are waiting, or this one takes too long. A call that is
                too slow keeps its thread until it returns, or asks `raise_if_given_up`.
        """
        loop = asyncio.get_running_loop()
        task = _Task(call, loop, loop.create_future())
        self._submit(task, is_admitted=is_admitted)
        if deadline_s is None:
            timer = None
        else:
            timer = loop.call_later(deadline_s, _give_up, task.future, deadline_s)
        try:
            return cast(_T, await task.future)
        finally:
            task.is_given_up = True  # or it has ended
            if timer is not None:
                timer.cancel()
            if self._claim(task, places=1):  # it has not run and never will: free its place
                task.call = _do_nothing  # and what it holds, though it waits in the queue still

    def close(self, *, wait_s: float = 5) -> bool:
        """Discard waiting calls, give the running ones up, and wait for their end.

        Args:
            wait_s: How long to wait.

        Returns:
            Whether all have ended.
        """
        deadline = time.monotonic() + wait_s
        with self._lock:
            self._is_closed = True
        while True:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task is not None:
                task.settle(None, shutting_down())
        for thread in self._threads:
            if thread.ident is not None:
                self._tasks.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _submit(self, task: _Task, *, is_admitted: bool) -> None:
        with self._lock:
            if self._is_closed:
                raise shutting_down()
            if self._places <= 0 and not is_admitted:
                raise unavailable("the service is busy; try again in a moment", retry_after_s=1)
            self._places -= 1
            if self._threads[0].ident is None:
                for thread in self._threads:
                    thread.start()
            self._tasks.put(task)  # within the lock: behind no end of `close`

    def _claim(self, task: _Task, *, places: int) -> bool:
        """Return whether nobody has claimed the task before; then free so many places."""
        with self._lock:
            if task.is_claimed:
                return False
            task.is_claimed = True
            self._places += places
            return True

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if not self._claim(task, places=0):
                continue
            result, error = self._run(task)
            with self._lock:  # before the result, so that who gets it may call again
                self._places += 1
            task.settle(result, error)
            del task, result, error  # or they would live until the next call

    def _run(self, task: _Task) -> tuple[Any, BaseException | None]:
        try:
            with give_up_when(lambda: task.is_given_up or self._is_closed):
                return task.call(), None
        except GivenUpError:  # somebody may await it still
            return None, shutting_down() if self._is_closed else _given_up()
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is awaited
            return None, error


def _do_nothing() -> None:
    """Stand in for a call that was given up."""


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():  # given up, or its caller has left
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _give_up(future: asyncio.Future[Any], deadline_s: float) -> None:
    if not future.done():
        future.set_exception(
            unavailable(
                f"this took longer than {deadline_s:g} s; ask for less, or try again in a moment"
            )
        )


def _given_up() -> Problem:
    return unavailable("the call took too long and was given up; ask for less, or try again")
