"""Prompt to the completion it had: by model, candidates and profile, since a prompt holds all."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from service.llm.endpoint import Completion, Prompt


class CompletionCache:
    """The latest completions, for a while; used from one event loop.

    Keys are hashes, so that no prompt stays in memory; `forget` empties it when somebody is erased.
    """

    def __init__(
        self,
        *,
        max_entries: int = 2_048,
        lifetime_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[float, Completion]] = OrderedDict()

    def get(self, model: str, prompt: Prompt) -> Completion | None:
        """Return a completion that is young enough."""
        key = _compute_key(model, prompt)
        stored_at, completion = self._entries.get(key, (float("-inf"), None))
        if completion is None or stored_at + self._lifetime_s < self._clock():
            self._entries.pop(key, None)
            return None
        self._entries.move_to_end(key)
        return completion

    def put(self, model: str, prompt: Prompt, completion: Completion) -> None:
        """Remember a completion that could be used."""
        key = _compute_key(model, prompt)
        self._entries[key] = (self._clock(), completion)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


def _compute_key(model: str, prompt: Prompt) -> bytes:
    digest = hashlib.sha256(repr((model, prompt)).encode("utf-8", "surrogatepass"))
    return digest.digest()
