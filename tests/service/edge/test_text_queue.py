"""Texts of dear calls are encoded once, in turn, and go on when their caller gives up."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from indexer.errors import EncoderUnavailableError
from indexer.language import estimate_total_tokens
from service.edge.problems import Problem
from service.edge.text_queue import TextQueue
from service.edge.text_turns import TURN_TOKENS
from tests.service.conftest import wait_until

T = TypeVar("T")
FOR_EVER = 60.0
SOON = 0.02
MANY = 1_000


class GatedEncoder:
    """Records the texts it is given, and holds each part until the gate is open."""

    def __init__(self) -> None:
        self.parts: list[Sequence[str]] = []
        self.started, self.gate = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str]) -> None:
        self.parts.append(texts)
        self.started.set()
        assert self.gate.wait(60)
        if "bad" in texts:
            raise EncoderUnavailableError("no vector for bad")

    @property
    def texts(self) -> list[str]:
        return [text for part in self.parts for text in part]

    async def wait_for_start(self) -> None:
        assert await asyncio.to_thread(self.started.wait, 60)


def name_texts(name: str, count: int) -> list[str]:
    return [f"{name} {number}" for number in range(count)]


def run(queue: TextQueue, coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(coroutine)
    finally:
        assert queue.close(wait_s=60)


def test_calls_are_done_in_order_of_what_they_cost() -> None:
    queue, encoder = TextQueue(max_waiting=MANY), GatedEncoder()
    done: list[str] = []

    async def ask(name: str, count: int) -> None:
        await queue.encode(encoder.encode, name_texts(name, count), deadline_s=FOR_EVER)
        done.append(name)

    async def crowd() -> None:
        first = asyncio.create_task(ask("first", 1))
        await encoder.wait_for_start()
        others = [asyncio.create_task(ask(*call)) for call in (("c", 90), ("b", 40), ("a", 2))]
        await asyncio.sleep(0)
        encoder.gate.set()
        await asyncio.gather(first, *others)

    run(queue, crowd())
    assert done == ["first", "a", "b", "c"]
    assert max(map(estimate_total_tokens, encoder.parts)) <= TURN_TOKENS


def test_who_waits_too_long_is_told_when_to_come_back_and_the_texts_go_on() -> None:
    queue, encoder = TextQueue(max_waiting=MANY), GatedEncoder()
    texts = name_texts("wish", 90)

    async def ask_twice() -> None:
        with pytest.raises(Problem, match="90 new texts") as raised:
            await queue.encode(encoder.encode, texts, deadline_s=SOON)
        assert raised.value.status_code == 503
        assert raised.value.headers is not None
        assert int(raised.value.headers["Retry-After"]) >= 1
        again = asyncio.create_task(queue.encode(encoder.encode, texts, deadline_s=FOR_EVER))
        await asyncio.sleep(0)
        encoder.gate.set()
        await again

    run(queue, ask_twice())
    assert encoder.texts == texts  # each once, though they were asked for twice


def test_texts_that_were_promised_are_encoded_though_nobody_waits() -> None:
    queue, encoder = TextQueue(max_waiting=MANY), GatedEncoder()
    texts = name_texts("wish", 90)

    async def ask() -> None:
        with pytest.raises(Problem):
            await queue.encode(encoder.encode, texts, deadline_s=0)
        encoder.gate.set()
        await asyncio.to_thread(wait_until, lambda: encoder.texts == texts)

    run(queue, ask())


def test_many_callers_who_need_the_same_texts_wait_for_one_encoding() -> None:
    queue, encoder = TextQueue(max_waiting=MANY), GatedEncoder()
    texts = name_texts("wish", 70)

    async def crowd() -> None:
        waits = (queue.encode(encoder.encode, texts, deadline_s=FOR_EVER) for _ in range(8))
        tasks = [asyncio.create_task(wait) for wait in waits]
        await encoder.wait_for_start()
        encoder.gate.set()
        await asyncio.gather(*tasks)

    run(queue, crowd())
    assert encoder.texts == texts


def test_a_thousand_callers_who_need_the_same_texts_are_refused_beyond_those_who_may_wait() -> None:
    queue, encoder = TextQueue(max_waiting=64), GatedEncoder()
    texts = name_texts("wish", 70)

    async def crowd() -> None:
        waits = (queue.encode(encoder.encode, texts, deadline_s=FOR_EVER) for _ in range(1_000))
        tasks = [asyncio.create_task(wait) for wait in waits]
        await encoder.wait_for_start()
        refused = [task.exception() for task in tasks if task.done()]
        assert len(refused) == 1_000 - 64
        for problem in refused:
            assert isinstance(problem, Problem)
            assert problem.status_code == 503
            assert problem.headers is not None
            assert int(problem.headers["Retry-After"]) >= 1
            assert "too many requests wait for new texts" in problem.detail
        # Who waited before, such as for other texts of the same request, is not refused.
        again = asyncio.create_task(
            queue.encode(encoder.encode, texts, deadline_s=FOR_EVER, is_admitted=True)
        )
        await asyncio.sleep(0)
        encoder.gate.set()
        await asyncio.gather(again, *(task for task in tasks if not task.done()))
        await queue.encode(encoder.encode, ["more"], deadline_s=FOR_EVER)

    run(queue, crowd())
    assert encoder.texts == [*texts, "more"]


def test_places_are_free_again_after_callers_who_left_or_waited_too_long() -> None:
    queue, encoder = TextQueue(max_waiting=2), GatedEncoder()

    async def come_and_go() -> None:
        for number in range(3):
            texts = name_texts(f"wish {number}", 9)
            slow = queue.encode(encoder.encode, texts, deadline_s=SOON)
            leaves = asyncio.create_task(queue.encode(encoder.encode, texts, deadline_s=FOR_EVER))
            with pytest.raises(Problem, match="takes longer than"):
                await slow
            leaves.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaves
        encoder.gate.set()

    run(queue, come_and_go())


def test_what_a_caller_who_has_left_wanted_is_dropped() -> None:
    queue, encoder = TextQueue(max_waiting=MANY), GatedEncoder()

    async def leave() -> None:
        stays = asyncio.create_task(queue.encode(encoder.encode, ["stay"], deadline_s=FOR_EVER))
        await encoder.wait_for_start()
        leaves = asyncio.create_task(
            queue.encode(encoder.encode, name_texts("left", 90), deadline_s=FOR_EVER)
        )
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.sleep(0)
        last = asyncio.create_task(
            queue.encode(encoder.encode, name_texts("last", 99), deadline_s=FOR_EVER)
        )
        await asyncio.sleep(0)
        encoder.gate.set()
        await asyncio.gather(stays, last)

    run(queue, leave())
    assert encoder.texts == ["stay", *name_texts("last", 99)]


def test_when_too_many_tokens_wait_one_more_call_is_refused_until_there_is_room() -> None:
    queue, encoder = TextQueue(max_waiting=MANY, max_tokens=100), GatedEncoder()

    async def crowd() -> None:
        first = asyncio.create_task(
            queue.encode(encoder.encode, name_texts("large", 90), deadline_s=FOR_EVER)
        )
        await encoder.wait_for_start()
        with pytest.raises(Problem, match="too many new texts") as raised:
            await queue.encode(encoder.encode, ["more"], deadline_s=FOR_EVER)
        assert raised.value.headers is not None
        assert int(raised.value.headers["Retry-After"]) >= 1
        encoder.gate.set()
        await first
        await queue.encode(encoder.encode, ["more"], deadline_s=FOR_EVER)

    run(queue, crowd())


def test_an_error_reaches_those_who_wait_for_it_and_others_go_on() -> None:
    queue, encoder = TextQueue(max_waiting=MANY), GatedEncoder()
    encoder.gate.set()

    async def crowd() -> None:
        bad = queue.encode(encoder.encode, ["bad", *name_texts("b", 90)], deadline_s=FOR_EVER)
        good = queue.encode(encoder.encode, name_texts("g", 90), deadline_s=FOR_EVER)
        outcomes = await asyncio.gather(bad, good, return_exceptions=True)
        assert isinstance(outcomes[0], EncoderUnavailableError)
        assert outcomes[1] is None

    run(queue, crowd())
    assert sum(text.startswith("g") for text in encoder.texts) == 90


def test_closing_refuses_what_waits_and_what_comes() -> None:
    queue, encoder = TextQueue(max_waiting=MANY), GatedEncoder()

    async def close() -> None:
        waits = asyncio.create_task(
            queue.encode(encoder.encode, name_texts("w", 90), deadline_s=FOR_EVER)
        )
        await encoder.wait_for_start()
        assert not queue.close(wait_s=SOON)  # a part is still being encoded
        with pytest.raises(Problem, match="shutting down"):
            await waits
        with pytest.raises(Problem, match="shutting down"):
            await queue.encode(encoder.encode, ["more"], deadline_s=FOR_EVER)
        encoder.gate.set()

    run(queue, close())
    assert len(encoder.parts) == 1
