"""Calls that need many new texts to the order in which these are encoded. Pure.

The cheapest call comes first, and it is encoded to its end: were all of them encoded in turn, each
would end as late as the last. A cheaper call that comes meanwhile goes ahead of a dearer one, but
only so many do: then the one that waits longest comes first, whatever it costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from indexer.language import estimate_total_tokens, split_by_cost

MAX_OVERTAKERS = 8  # later calls that are done before an earlier one
TURN_TEXTS, TURN_TOKENS = 32, 128  # encoded before the order is looked at again; more is no faster

EncodeTexts: TypeAlias = Callable[[Sequence[str]], object]


@dataclass(slots=True, eq=False)
class TextCall:
    """Texts that are encoded for one call, or for several that need the same.

    Attributes:
        encode: Encodes them, and remembers their vectors.
        texts: All of them.
        parts: What is left, the next last.
        tokens: About how many are left.
        overtakers: Later calls that were done before this one.
    """

    encode: EncodeTexts
    texts: frozenset[str]
    parts: list[Sequence[str]]
    tokens: int
    overtakers: int = field(default=0, init=False)


class TextTurns:
    """The calls whose texts wait to be encoded, in the order they came."""

    def __init__(self) -> None:
        self._calls: list[TextCall] = []

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def tokens(self) -> int:
        """About how many tokens wait."""
        return sum(call.tokens for call in self._calls)

    def find(self, encode: EncodeTexts, texts: Sequence[str]) -> TextCall | None:
        """Return a call that waits for all of some texts, such as the same one made before."""
        wanted = frozenset(texts)
        return next((c for c in self._calls if c.encode == encode and wanted <= c.texts), None)

    def add(self, encode: EncodeTexts, texts: Sequence[str]) -> TextCall:
        """Let a call wait for distinct texts, of which there is at least one."""
        parts = list(split_by_cost(texts, max_texts=TURN_TEXTS, max_tokens=TURN_TOKENS))
        call = TextCall(encode, frozenset(texts), parts[::-1], estimate_total_tokens(texts))
        self._calls.append(call)
        return call

    def remove(self, call: TextCall) -> None:
        """Take out a call that nobody waits for any more."""
        if call in self._calls:
            self._calls.remove(call)

    def choose(self) -> TextCall | None:
        """Return the call whose next part is to be encoded; None: none waits."""
        if not self._calls:
            return None
        # Who overtakes a call overtakes all that came before it: the first one has the most.
        first = self._calls[0]
        if first.overtakers >= MAX_OVERTAKERS:
            return first
        return min(self._calls, key=lambda call: call.tokens)

    def finish_part(self, call: TextCall) -> bool:
        """Take the next part off a call, since it is encoded; return whether it was the last."""
        call.tokens -= estimate_total_tokens(call.parts.pop())
        if call.parts:
            return False
        if call in self._calls:
            place = self._calls.index(call)
            for earlier in self._calls[:place]:
                earlier.overtakers += 1
            del self._calls[place]
        return True

    def count_tokens_until(self, call: TextCall) -> int:
        """Return how many tokens are encoded until a call is done, if no other comes.

        Dearer calls that came earlier are counted, since age may put them first.
        """
        place = self._calls.index(call)
        cheaper = [later.tokens for later in self._calls[place + 1 :] if later.tokens < call.tokens]
        return sum(earlier.tokens for earlier in self._calls[: place + 1]) + sum(cheaper)
