"""A prompt to the completion that the same prompt got a short time ago, kept in memory.

When the cache is full, the least recently used entry is removed. The prompt itself is a sufficient
key, because it contains the candidates and the profile in full.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from service.llm.chat_format import Completion, Prompt


class CompletionCache:
    """The latest completions; used from one event loop.

    Keys are SHA-256 hashes, so that no prompt stays in memory. `clear` empties the cache when a
    user is erased.

    Attributes:
        clear_count: How often it was emptied; what was asked before then is not to be kept after.
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
        self.clear_count = 0
        self._entries: OrderedDict[bytes, tuple[float, Completion]] = OrderedDict()

    def get(self, model: str, prompt: Prompt) -> Completion | None:
        """Return the completion, or None if there is none or it is older than `lifetime_s`."""
        key = _compute_key(model, prompt)
        stored_at, completion = self._entries.get(key, (float("-inf"), None))
        if completion is None or stored_at + self._lifetime_s < self._clock():
            self._entries.pop(key, None)
            return None
        self._entries.move_to_end(key)
        return completion

    def put(self, model: str, prompt: Prompt, completion: Completion) -> None:
        """Remember a completion that could be parsed."""
        key = _compute_key(model, prompt)
        self._entries[key] = (self._clock(), completion)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget every completion."""
        self.clear_count += 1
        self._entries.clear()


def _compute_key(model: str, prompt: Prompt) -> bytes:
    digest = hashlib.sha256(repr((model, prompt)).encode("utf-8", "surrogatepass"))
    return digest.digest()
