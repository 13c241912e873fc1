"""Texts that several threads want encoded at the same time to one batch.

No thread of its own: a caller who finds nobody encoding does it at once, for all who wait. So one
caller alone waits for nothing, and there is nothing to close.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain

from indexer.arrays import Vectors

BATCH_TEXTS = 32  # the texts of longer calls take turns with those of others
_GATHER_S = 0.001  # longest wait for callers who were there a moment ago


class _Call:
    """Up to `BATCH_TEXTS` texts of one caller, and what became of them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.woken = threading.Event()  # it has an outcome, or it is its turn to encode
        self.vectors: dict[str, Vectors] | None = None
        self.error: Exception | None = None

    def has_outcome(self) -> bool:
        return self.vectors is not None or self.error is not None


class QueryBatches:
    """Gathers concurrent calls of `encode`; first come, first served.

    Args:
        encode: Distinct texts to `(n, d) float32`; one call at a time.
    """

    def __init__(self, encode: Callable[[Sequence[str]], Vectors]) -> None:
        self._encode = encode
        self._arrived = threading.Condition()
        self._waiting: deque[_Call] = deque()
        self._leader: _Call | None = None  # whose thread encodes; None: no call waits either
        self._expected = 1  # callers who were there a moment ago

    def encode(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """Return the vector `(d,) float32` of each text.

        Raises:
            Exception: Whatever encoding this batch raised; other batches go on.
        """
        found: dict[str, Vectors] = {}
        for start in range(0, len(texts), BATCH_TEXTS):
            found |= self._encode_call(_Call(texts[start : start + BATCH_TEXTS]))
        return found

    def _encode_call(self, call: _Call) -> dict[str, Vectors]:
        with self._arrived:
            self._waiting.append(call)
            self._leader = self._leader or call
            is_leader = self._leader is call
            self._arrived.notify()
        try:
            if not is_leader:
                call.woken.wait()
            if not call.has_outcome():
                self._encode_batch(call)
        except BaseException:  # such as an interrupt: the others' turn must come
            self._withdraw(call)
            raise
        if call.error is not None:
            raise call.error
        return {text: (call.vectors or {})[text] for text in call.texts}

    def _encode_batch(self, own: _Call) -> None:
        """Encode for the calls that wait longest, `own` the first of them, and end their wait."""
        batch = self._take_batch()
        try:
            texts = list(dict.fromkeys(chain.from_iterable(call.texts for call in batch)))
            vectors = dict(zip(texts, self._encode(texts), strict=True))
            for call in batch:
                call.vectors = vectors
        except Exception as error:  # noqa: BLE001  # each caller raises it
            for call in batch:
                call.error = error
        except BaseException:  # meant for this thread only
            with self._arrived:
                self._waiting.extendleft(reversed([call for call in batch if call is not own]))
            raise
        self._pass_turn()
        for call in batch:
            call.woken.set()

    def _take_batch(self) -> list[_Call]:
        with self._arrived:
            expected = min(self._expected, BATCH_TEXTS)
            self._arrived.wait_for(lambda: len(self._waiting) >= expected, _GATHER_S)
            batch = [self._waiting.popleft()]
            count = len(batch[0].texts)
            while self._waiting and count + len(self._waiting[0].texts) <= BATCH_TEXTS:
                batch.append(self._waiting.popleft())
                count += len(batch[-1].texts)
            self._expected = len(batch)
            return batch

    def _pass_turn(self) -> None:
        """Let the call that waits longest encode next."""
        with self._arrived:
            self._expected += len(self._waiting)
            self._leader = self._waiting[0] if self._waiting else None
            if self._leader is not None:
                self._leader.woken.set()

    def _withdraw(self, call: _Call) -> None:
        """Take back a call whose caller leaves, and pass the turn if it had it."""
        with self._arrived:
            if call in self._waiting:
                self._waiting.remove(call)
            had_turn = self._leader is call
        if had_turn:
            self._pass_turn()
