"""Calls by key that all who ask for one share."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from indexer.cancellation import raise_if_given_up
from service.edge import Problem, SharedQueue

DEADLINE_S = 60


class HeldCall:
    """A call that is held until its gate opens; counts how often it begins and ends."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()
        self.ended: list[str] = []

    def __call__(self) -> None:
        self.begun.release()
        assert self.gate.wait(60)
        raise_if_given_up()
        self.ended.append("done")


async def begin(queue: SharedQueue, key: str, call: HeldCall, **chosen: Any) -> Any:
    waiting = asyncio.create_task(queue.run(key, call, **{"deadline_s": DEADLINE_S, **chosen}))
    await asyncio.sleep(0)
    return waiting


def run(queue: SharedQueue, coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(coroutine)
    finally:
        assert queue.close(wait_s=60)


def test_all_who_ask_for_a_key_share_one_call() -> None:
    queue, call, other = SharedQueue("test", max_calls=4, max_waiting=9), HeldCall(), HeldCall()

    async def ask() -> None:
        waiting = [await begin(queue, "a", call) for _ in range(4)]
        waiting.append(await begin(queue, "b", other))
        other.gate.set()
        call.gate.set()
        await asyncio.gather(*waiting)
        assert (call.ended, other.ended) == (["done"], ["done"])
        await queue.run("a", call, deadline_s=DEADLINE_S)  # that was another one
        assert call.ended == ["done", "done"]

    run(queue, ask())


def test_who_waits_too_long_is_told_to_come_back_and_the_call_goes_on() -> None:
    queue, call = SharedQueue("test", max_calls=4, max_waiting=1), HeldCall()

    async def ask() -> None:
        with pytest.raises(Problem, match="it goes on") as raised:
            await queue.run("a", call, deadline_s=0.01)
        assert raised.value.headers == {"Retry-After": "2"}
        waiting = await begin(queue, "a", call)
        call.gate.set()
        await waiting
        assert call.ended == ["done"]

    run(queue, ask())


def test_a_call_whose_callers_have_all_left_ends_where_it_asks() -> None:
    queue, call, next_call = SharedQueue("test", max_calls=4, max_waiting=9), HeldCall(), HeldCall()

    async def ask() -> None:
        waiting = [await begin(queue, "a", call) for _ in range(2)]
        await asyncio.to_thread(call.begun.acquire)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        again = await begin(queue, "a", next_call)  # joins no call that is given up
        call.gate.set()
        next_call.gate.set()
        await again
        assert (call.ended, next_call.ended) == ([], ["done"])

    run(queue, ask())


def test_no_more_wait_than_there_is_room_for() -> None:
    queue, call = SharedQueue("test", max_calls=1, max_waiting=3), HeldCall()

    async def ask() -> None:
        waiting = [await begin(queue, "a", call)]
        await asyncio.to_thread(call.begun.acquire)
        waiting.append(await begin(queue, "b", call))
        with pytest.raises(Problem, match="busy"):  # the thread has one call, and one waits
            await queue.run("c", call, deadline_s=DEADLINE_S)
        waiting.append(await begin(queue, "a", call))
        with pytest.raises(Problem, match="too many requests wait") as raised:
            await queue.run("a", call, deadline_s=DEADLINE_S)
        assert raised.value.headers == {"Retry-After": "2"}
        waiting.append(await begin(queue, "a", call, is_admitted=True))
        call.gate.set()
        await asyncio.gather(*waiting)

    run(queue, ask())
