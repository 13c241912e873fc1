"""Concurrent calls become batches; nobody waits alone, and an error stays with its batch."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from indexer.arrays import Vectors
from indexer.language.query_batches import BATCH_TEXTS, QueryBatches


class SlowEncoder:
    """Gives a text its length as vector, records its batches, and holds the first one open."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.started, self.proceed = threading.Event(), threading.Event()
        self.active = 0

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.active += 1
        assert self.active == 1, "two encode at the same time"
        self.batches.append(list(texts))
        self.started.set()
        assert self.proceed.wait(20)
        self.active -= 1
        if "bad" in texts:
            raise ValueError("no vector for bad")
        return np.array([[len(text)] for text in texts], np.float32)


def ask_while_one_is_encoding(
    encoder: SlowEncoder, calls: Sequence[Sequence[str]]
) -> list[Future[dict[str, Vectors]]]:
    """Ask for "first"; once that is being encoded for the others, in order; then let it end."""
    batches = QueryBatches(encoder)
    with ThreadPoolExecutor(len(calls) + 1) as pool:
        futures = [pool.submit(batches.encode, ["first"])]
        assert encoder.started.wait(20)
        for number, texts in enumerate(calls, start=1):
            futures.append(pool.submit(batches.encode, texts))
            wait_until(lambda number=number: len(batches._waiting) == number)  # type: ignore[misc]
        encoder.proceed.set()
    assert batches._leader is None
    return futures


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_calls_that_come_while_one_is_encoded_are_one_batch() -> None:
    encoder = SlowEncoder()
    calls = [["a"], ["bb", "a"], ["ccc"]]
    futures = ask_while_one_is_encoding(encoder, calls)
    assert encoder.batches == [["first"], ["a", "bb", "ccc"]]
    for texts, future in zip([["first"], *calls], futures, strict=True):
        found = future.result()
        assert {text: float(vector[0]) for text, vector in found.items()} == {
            text: len(text) for text in texts
        }


def test_an_error_reaches_its_batch_only() -> None:
    encoder = SlowEncoder()
    full = [str(number) for number in range(BATCH_TEXTS)]
    futures = ask_while_one_is_encoding(encoder, [["bad"], ["same batch"], full])
    for future in futures[1:3]:
        with pytest.raises(ValueError, match="no vector for bad"):
            future.result()
    assert len(futures[0].result()) == 1
    assert len(futures[3].result()) == BATCH_TEXTS


def test_a_long_call_takes_turns_with_short_ones() -> None:
    encoder = SlowEncoder()
    long = [f"long {number}" for number in range(3 * BATCH_TEXTS)]
    futures = ask_while_one_is_encoding(encoder, [long, ["short"]])
    assert list(futures[1].result()) == long
    assert ["short"] in (batch[:1] for batch in encoder.batches[2:3])
    assert max(len(batch) for batch in encoder.batches) <= BATCH_TEXTS


def test_one_caller_alone_waits_for_nobody() -> None:
    encoder = SlowEncoder()
    encoder.proceed.set()
    batches = QueryBatches(encoder)
    seconds = []
    for number in range(200):
        started = time.perf_counter()
        batches.encode([f"text {number}"])
        seconds.append(time.perf_counter() - started)
    assert np.median(seconds) < 0.0005
    assert len(encoder.batches) == 200


def test_an_interrupt_leaves_its_batch_to_the_others() -> None:
    """Ctrl-C reaches the thread that happens to encode for all."""
    interrupted = threading.Event()
    started, proceed = threading.Event(), threading.Event()

    def encode(texts: Sequence[str]) -> Vectors:
        started.set()
        assert proceed.wait(20)
        if "mine" in texts and not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        return np.array([[len(text)] for text in texts], np.float32)

    batches = QueryBatches(encode)
    outcomes: list[str] = []

    def ask(text: str) -> None:
        try:
            outcomes.append(f"{text} {batches.encode([text])[text][0]:.0f}")
        except KeyboardInterrupt:
            outcomes.append(f"{text} interrupted")

    threads = [threading.Thread(target=ask, args=(text,)) for text in ("first", "mine", "yours")]
    for number, thread in enumerate(threads):
        thread.start()
        assert started.wait(20)
        wait_until(lambda number=number: len(batches._waiting) == number)  # type: ignore[misc]
    proceed.set()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["first 5", "mine interrupted", "yours 5"]
    assert batches._leader is None


def test_many_threads_get_their_own_vectors() -> None:
    def encode(texts: Sequence[str]) -> Vectors:
        time.sleep(0.0005)
        return np.array([[float(text)] for text in texts], np.float32)

    batches = QueryBatches(encode)

    def ask(caller: int) -> None:
        for number in range(50):
            texts = [str(caller * 1_000 + number + more) for more in range(1 + number % 3)]
            found = batches.encode(texts)
            assert [float(found[text][0]) for text in texts] == [float(text) for text in texts]

    with ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(ask, caller) for caller in range(16)]:
            future.result(timeout=60)
    assert batches._leader is None
    assert not batches._waiting
