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
        most: int = 2_048,
        lifetime_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._held: OrderedDict[bytes, tuple[float, Completion]] = OrderedDict()

    def get(self, model: str, prompt: Prompt) -> Completion | None:
        """Return a completion that is young enough."""
        key = _key(model, prompt)
        made, completion = self._held.get(key, (float("-inf"), None))
        if completion is None or made + self._lifetime_s < self._clock():
            self._held.pop(key, None)
            return None
        self._held.move_to_end(key)
        return completion

    def keep(self, model: str, prompt: Prompt, completion: Completion) -> None:
        """Remember a completion that could be used."""
        key = _key(model, prompt)
        self._held[key] = (self._clock(), completion)
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    def forget(self) -> None:
        """Forget everything."""
        self._held.clear()


def _key(model: str, prompt: Prompt) -> bytes:
    digest = hashlib.sha256(repr((model, prompt)).encode("utf-8", "surrogatepass"))
    return digest.digest()
