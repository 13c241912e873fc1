"""New texts of dear calls to remembered vectors, by one thread, while cheap calls go on.

A call whose texts take long to encode holds no thread while it waits for them: they are encoded in
the turns of `service.edge.text_turns`, each between two batches of cheap calls. A caller who has
waited too long is told when to come back: the texts go on being encoded, and then it is cheap.
"""

import asyncio
import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from indexer.cancellation import give_up_when
from service.edge.problems import Problem, shutting_down, unavailable
from service.edge.text_turns import EncodeTexts, TextCall, TextTurns

_MAX_TOKENS = 48 * 4_096  # of 48 of the largest requests: an encoder remembers no more vectors
_FIRST_SECONDS_PER_TOKEN = 0.001
_RATE_SHARE = 0.2  # of the last turn in the rate that is expected
_MARGIN = 1.2  # of a time to come back: cheaper calls may come
_MAX_RETRY_AFTER_S = 600

_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class TextQueue:
    """Encodes texts of many calls in turn.

    Args:
        max_waiting: Callers who may wait, each of whom holds its request.
        max_tokens: About how many tokens may wait.
    """

    def __init__(self, *, max_waiting: int, max_tokens: int = _MAX_TOKENS) -> None:
        self._places = max_waiting  # free ones; below zero after callers who had waited before
        self._max_tokens = max_tokens
        self._changed = threading.Condition()  # its lock is of all that follows
        self._turns = TextTurns()
        self._waiters: dict[TextCall, list[_Waiter]] = {}
        self._promised: set[TextCall] = set()  # somebody was told to come back
        self._seconds_per_token = _FIRST_SECONDS_PER_TOKEN
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="texts", daemon=True)

    async def encode(
        self,
        encode: EncodeTexts,
        texts: Sequence[str],
        *,
        deadline_s: float,
        is_admitted: bool = False,
    ) -> None:
        """Wait until texts are encoded.

        Args:
            encode: Encodes texts, and remembers their vectors; calls with the same one share texts.
            texts: Distinct ones.
            deadline_s: How long to wait.
            is_admitted: Whether the caller waited for other texts before: it is not refused,
                however many callers wait.

        Raises:
            Problem: 503 with the time to come back, if it takes longer, or too many callers or
                texts wait.
            Exception: Whatever `encode` raised.
        """
        loop = asyncio.get_running_loop()
        waiter = (loop, loop.create_future())
        call = self._join(encode, texts, waiter, is_admitted=is_admitted)
        try:
            async with asyncio.timeout(deadline_s):
                await waiter[1]
        except TimeoutError:
            raise self._promise(call, deadline_s) from None
        finally:
            self._leave(call, waiter)

    def close(self, *, wait_s: float = 5) -> bool:
        """Refuse what waits, and wait for the part that is being encoded.

        Args:
            wait_s: How long to wait.

        Returns:
            Whether it has ended.
        """
        with self._changed:
            self._is_closed = True
            for call in list(self._waiters):
                self._settle(call, shutting_down())
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(max(0, wait_s))
        return not self._thread.is_alive()

    def _join(
        self, encode: EncodeTexts, texts: Sequence[str], waiter: _Waiter, *, is_admitted: bool
    ) -> TextCall:
        with self._changed:
            if self._is_closed:
                raise shutting_down()
            if self._places <= 0 and not is_admitted:
                raise unavailable(
                    "too many requests wait for new texts to be encoded; try again later",
                    self._estimate_s(self._turns.tokens // 2),
                )
            call = self._turns.find(encode, texts)
            if call is None:
                if len(self._turns) and self._turns.tokens >= self._max_tokens:
                    raise unavailable(
                        "too many new texts wait to be encoded; try again later",
                        self._estimate_s(self._turns.tokens - self._max_tokens // 2),
                    )
                call = self._turns.add(encode, texts)
            self._waiters.setdefault(call, []).append(waiter)
            self._places -= 1
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify_all()
            return call

    def _promise(self, call: TextCall, deadline_s: float) -> Problem:
        """Return what tells a caller when to come back."""
        with self._changed:
            retry_after_s = 1
            if call in self._waiters:
                self._promised.add(call)
                retry_after_s = self._estimate_s(self._turns.count_tokens_until(call))
        return unavailable(
            f"encoding {len(call.texts)} new texts takes longer than {deadline_s:.3g} s; it goes "
            f"on, so ask again in {retry_after_s} s, or send fewer texts",
            retry_after_s,
        )

    def _estimate_s(self, tokens: int) -> int:
        return min(_MAX_RETRY_AFTER_S, 1 + math.ceil(_MARGIN * tokens * self._seconds_per_token))

    def _leave(self, call: TextCall, waiter: _Waiter) -> None:
        """Forget a waiter, and a call whose callers have all left without a promise."""
        with self._changed:
            self._places += 1
            waiters = self._waiters.get(call)
            if waiters is None:
                return
            waiters.remove(waiter)
            if not waiters and call not in self._promised:
                self._turns.remove(call)
                del self._waiters[call]

    def _work(self) -> None:
        while (call := self._wait_for_turn()) is not None:
            started = time.perf_counter()
            part = call.parts[-1]
            error = self._encode(call.encode, part)
            seconds = time.perf_counter() - started
            with self._changed:
                tokens = call.tokens
                is_done = self._turns.finish_part(call)
                rate = seconds / max(1, tokens - call.tokens)
                self._seconds_per_token += _RATE_SHARE * (rate - self._seconds_per_token)
                if is_done or error is not None:
                    self._turns.remove(call)
                    self._settle(call, error)
            del call

    def _wait_for_turn(self) -> TextCall | None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._turns))
            return None if self._is_closed else self._turns.choose()

    def _encode(self, encode: EncodeTexts, texts: Sequence[str]) -> Exception | None:
        try:
            with give_up_when(lambda: self._is_closed):
                encode(texts)
        except Exception as error:  # noqa: BLE001  # it is raised again where it is awaited
            return error
        return None

    def _settle(self, call: TextCall, error: Exception | None) -> None:
        """Tell those who wait for a call that it is done. The lock is held."""
        self._promised.discard(call)
        for loop, future in self._waiters.pop(call, ()):
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(_set_outcome, future, error)


def _set_outcome(future: "asyncio.Future[None]", error: Exception | None) -> None:
    if future.done():  # its caller has left
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
