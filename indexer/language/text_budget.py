"""How much new text this thread may encode, which says where a call that needs more has to wait.

What a call must encode is known only in its midst: the texts of a user are stored, and vectors of
texts that were encoded lately are kept. Who encodes asks `spend_tokens` for what is left.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from indexer.arrays import Vectors
from indexer.errors import TextBudgetError
from indexer.language.text_cost import estimate_total_tokens


class QueryEncoder(Protocol):
    """An encoder that remembers the vectors of queries."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return `(n, d) float32`, unit length; new texts are remembered."""
        ...


class QueryStore(Protocol):
    """Vectors of queries that outlive the process."""

    def find(self, query_key: str, texts: Iterable[str]) -> dict[str, Vectors]:
        """Return the vectors `(d,) float32` of the texts that are held, of this key alone."""
        ...

    def add(self, query_key: str, vectors: Mapping[str, Vectors]) -> None:
        """Hold the vectors `(d,) float32` of texts."""
        ...


@dataclass(slots=True)
class _Budget:
    tokens_left: int


_budget: ContextVar[_Budget | None] = ContextVar("text_budget", default=None)
_store: ContextVar[QueryStore | None] = ContextVar("query_store", default=None)


@contextmanager
def limit_new_tokens(max_tokens: int) -> Iterator[None]:
    """Let this thread encode so many tokens of new text in the block, about."""
    token = _budget.set(_Budget(max_tokens))
    try:
        yield
    finally:
        _budget.reset(token)


@contextmanager
def use_query_store(store: QueryStore | None) -> Iterator[None]:
    """Look there, in the block, for vectors of texts that cost more than this thread may encode.

    What a thread without such a limit encodes is kept there.
    """
    token = _store.set(store)
    try:
        yield
    finally:
        _store.reset(token)


def find_query_store(texts: Sequence[str]) -> QueryStore | None:
    """Return where to look for texts before they are encoded; None if they are cheap."""
    budget = _budget.get()
    is_cheap = budget is not None and estimate_total_tokens(texts) <= budget.tokens_left
    return None if is_cheap else _store.get()


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
