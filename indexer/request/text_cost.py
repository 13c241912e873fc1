"""The fields of a body to the texts that must be encoded to answer it, and what that costs. Pure.

Unlike `parse_request` this accepts every body: what does not fit is refused later, by name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from indexer.errors import RequestError
from indexer.language import estimate_total_tokens

MAX_REQUEST_TEXTS, MAX_REQUEST_TOKENS = 256, 4_096
MAX_BATCH_TEXTS, MAX_BATCH_TOKENS = 4_096, 65_536
_FEWER = "send fewer or shorter ones, the latest first"


@dataclass(frozen=True, slots=True)
class TextCost:
    """What texts cost to encode.

    Attributes:
        texts: Number of distinct texts.
        tokens: About how many tokens they have together.
    """

    texts: int
    tokens: int

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> "TextCost":
        """Return what some texts cost, each distinct one counted once."""
        distinct = set(texts)
        return cls(len(distinct), estimate_total_tokens(distinct))

    def check_request(self) -> None:
        """Check that one request may cost so much.

        Raises:
            RequestError: If not; by how much is said.
        """
        self._check("a request", MAX_REQUEST_TEXTS, MAX_REQUEST_TOKENS, _FEWER)

    def check_batch(self) -> None:
        """Check that a batch of requests may cost so much together.

        Raises:
            RequestError: If not; by how much is said.
        """
        self._check("a batch", MAX_BATCH_TEXTS, MAX_BATCH_TOKENS, _FEWER)

    def check_items(self) -> None:
        """Check that the new texts of items that are stored by one call may cost so much together.

        Raises:
            RequestError: If not; by how much is said.
        """
        remedy = "split it into several calls; nothing of it was kept"
        self._check("a call with items", MAX_BATCH_TEXTS, MAX_BATCH_TOKENS, remedy)

    def _check(self, what: str, max_texts: int, max_tokens: int, remedy: str) -> None:
        if self.texts > max_texts or self.tokens > max_tokens:
            raise RequestError(
                f"{what} may bring {max_texts} different texts of about {max_tokens} tokens "
                f"together (four letters or one Chinese character each), and this one brings "
                f"{self.texts} of about {self.tokens}; {remedy}"
            )


def measure_text_cost(bodies: Iterable[Mapping[str, Any]]) -> TextCost:
    """Return what the texts of some bodies cost, each distinct text counted once."""
    texts: set[str] = set()
    for body in bodies:
        texts.update(_list_texts(body))
    return TextCost.of_texts(texts)


def _list_texts(body: Mapping[str, Any]) -> Iterable[str]:
    query, interests, history = body.get("query"), body.get("interests"), body.get("history")
    context, examples = body.get("context"), body.get("texts")
    candidates = [query]
    if isinstance(interests, list | tuple):
        candidates += interests
    if isinstance(history, list | tuple):
        candidates += [entry.get("text") for entry in history if isinstance(entry, Mapping)]
    if isinstance(context, Mapping):
        candidates += context.values()
    if isinstance(examples, Mapping):
        candidates += examples
    return (text for text in candidates if isinstance(text, str))
