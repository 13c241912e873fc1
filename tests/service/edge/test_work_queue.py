"""A call is refused when the queue is full."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from indexer.cancellation import raise_if_given_up
from service.edge.problems import Problem
from service.edge.work_queue import WorkQueue
from tests.service.conftest import Serve, Shop, problem, wait_until


def test_what_has_no_room_is_refused_at_once() -> None:
    queue = WorkQueue("test", threads=1, max_waiting=2)
    go = threading.Event()

    async def crowd() -> list[object]:
        calls: list[Callable[[], object]] = [lambda: go.wait(5), *[lambda: 7] * 5]
        tasks = [asyncio.ensure_future(queue.run(call)) for call in calls]
        await asyncio.sleep(0.05)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(crowd())
    assert results[:3] == [True, 7, 7]
    for refused in results[3:]:
        assert isinstance(refused, Problem)
        assert refused.status_code == 503
        assert refused.headers == {"Retry-After": "1"}
    assert asyncio.run(queue.run(lambda: 8)) == 8
    queue.close()


def test_a_call_that_had_a_place_comes_back_though_others_take_every_one() -> None:
    queue = WorkQueue("test", threads=1, max_waiting=0)
    go = threading.Event()

    async def crowd() -> None:
        first = asyncio.ensure_future(queue.run(lambda: go.wait(20)))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="busy"):
            await queue.run(lambda: 1)
        returned = [asyncio.ensure_future(queue.run(lambda: 2, is_admitted=True)) for _ in "ab"]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="busy"):  # the places that were lent are not free
            await queue.run(lambda: 1)
        go.set()
        assert await asyncio.gather(first, *returned) == [True, 2, 2]
        assert await queue.run(lambda: 3) == 3

    asyncio.run(crowd())
    assert queue._places == 1
    queue.close()


def test_what_takes_too_long_is_given_up_and_its_place_is_free_when_it_ends() -> None:
    queue = WorkQueue("test", threads=1, max_waiting=0)
    go = threading.Event()
    with pytest.raises(Problem, match=r"longer than 0\.05 s"):
        asyncio.run(queue.run(lambda: go.wait(5), deadline_s=0.05))
    with pytest.raises(Problem, match="busy"):
        asyncio.run(queue.run(lambda: 1))
    go.set()
    time.sleep(0.1)
    assert asyncio.run(queue.run(lambda: 1)) == 1
    queue.close()
    with pytest.raises(Problem, match="shutting down"):
        asyncio.run(queue.run(lambda: 1))


def test_work_whose_caller_got_his_answer_ends_at_its_next_step() -> None:
    queue = WorkQueue("test", threads=1, max_waiting=0)
    ended = threading.Event()

    def work_in_steps() -> None:
        try:
            while True:
                time.sleep(0.005)
                raise_if_given_up()
        finally:
            ended.set()

    with pytest.raises(Problem, match=r"longer than 0\.05 s"):
        asyncio.run(queue.run(work_in_steps, deadline_s=0.05))
    assert ended.wait(5)
    wait_until(lambda: queue._places == 1)
    asyncio.run(queue.run(raise_if_given_up))
    queue.close()


def test_closing_gives_up_what_runs_and_waits_no_longer_than_it_is_told() -> None:
    queue, stuck = (WorkQueue("test", threads=1, max_waiting=0) for _ in range(2))
    started, go = threading.Event(), threading.Event()

    def work_in_steps() -> None:
        started.set()
        while True:
            time.sleep(0.005)
            raise_if_given_up()

    async def close_while_running() -> None:
        running = asyncio.ensure_future(queue.run(work_in_steps))
        await asyncio.get_running_loop().run_in_executor(None, started.wait)
        assert await asyncio.get_running_loop().run_in_executor(None, queue.close)
        with pytest.raises(Problem, match="shutting down"):
            await running

    asyncio.run(close_while_running())
    with pytest.raises(Problem, match="longer"):
        asyncio.run(stuck.run(lambda: go.wait(20), deadline_s=0.05))
    assert not stuck.close(wait_s=0.05)
    go.set()


def test_errors_come_through() -> None:
    queue = WorkQueue("test", threads=1, max_waiting=0)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(queue.run(lambda: 1 // 0))
    queue.close()


def test_an_overloaded_service_answers_503_and_stays_alive(own_shop: Shop, serve: Serve) -> None:
    go, encode = threading.Event(), own_shop.encoder.encode_queries
    statuses: list[int] = []
    with serve(own_shop, threads=2, queue=2) as client:
        own_shop.encoder.encode_queries = lambda texts: (go.wait(10), encode(texts))[1]  # type: ignore[method-assign]  # a slow model

        def ask() -> None:
            response = client.post("/v1/recommend", json={"query": "sea"})
            statuses.append(response.status_code)
            if response.status_code == 503:
                assert int(response.headers["retry-after"]) > 0
                assert "busy" in problem(response, 503)

        callers = [threading.Thread(target=ask) for _ in range(8)]
        for caller in callers:
            caller.start()
        try:
            wait_until(lambda: len(statuses) == 4)
            assert client.get("/health/live").status_code == 200
            assert client.get("/health/ready").status_code == 200
        finally:
            go.set()
            own_shop.encoder.encode_queries = encode  # type: ignore[method-assign]  # as before
            for caller in callers:
                caller.join()
        assert client.post("/v1/recommend", json={"query": "sea"}).status_code == 200
    assert sorted(statuses) == [200] * 4 + [503] * 4


def test_a_slow_answer_is_given_up(own_shop: Shop, serve: Serve) -> None:
    go, encode = threading.Event(), own_shop.encoder.encode_queries
    with serve(own_shop, deadline_s=0.1) as client:
        own_shop.encoder.encode_queries = lambda texts: (go.wait(10), encode(texts))[1]  # type: ignore[method-assign]  # a slow model
        try:
            response = client.post("/v1/recommend", json={"query": "sea"})
        finally:
            go.set()
            own_shop.encoder.encode_queries = encode  # type: ignore[method-assign]  # as before
    assert "took longer" in problem(response, 503)
