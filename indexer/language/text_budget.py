"""How much new text this thread may encode, which says where a call that needs more has to run.

What a call must encode is known only in its midst: the texts of a user are stored, and vectors of
texts that were encoded lately are kept. Who encodes asks `spend_tokens` for what is left.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from indexer.arrays import Vectors
from indexer.errors import TextBudgetError
from indexer.language.text_cost import estimate_total_tokens


class QueryEncoder(Protocol):
    """An encoder that remembers the vectors of queries."""

    @property
    def query_key(self) -> str:
        """Whatever decides about the vector of a query besides its text."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return `(n, d) float32`, unit length; new texts are remembered."""
        ...

    def remember_queries(self, vectors: Mapping[str, Vectors]) -> None:
        """Take vectors `(d,)` that an encoder of the same `query_key` has returned."""
        ...


@dataclass(slots=True)
class _Budget:
    tokens_left: int


_budget: ContextVar[_Budget | None] = ContextVar("text_budget", default=None)


@contextmanager
def limit_new_tokens(max_tokens: int) -> Iterator[None]:
    """Let this thread encode so many tokens of new text in the block, about."""
    token = _budget.set(_Budget(max_tokens))
    try:
        yield
    finally:
        _budget.reset(token)


def spend_tokens(texts: Sequence[str], encoder: QueryEncoder) -> None:
    """Take texts that must be encoded now off what this thread may encode.

    Args:
        texts: Distinct ones.
        encoder: What would encode them; for whoever catches the error.

    Raises:
        TextBudgetError: If they are more than that.
    """
    budget = _budget.get()
    if budget is None or not texts:
        return
    tokens = estimate_total_tokens(texts)
    if tokens > budget.tokens_left:
        raise TextBudgetError(
            f"{len(texts)} new texts of about {tokens} tokens must be encoded, and this thread may "
            f"encode {budget.tokens_left} more; call it where long texts are encoded",
            texts,
            encoder,
        )
    budget.tokens_left -= tokens
