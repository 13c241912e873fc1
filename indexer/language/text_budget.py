"""How much new text this thread may encode, which says where a call that needs more has to run.

What a call must encode is known only in its midst: the texts of a user are stored, and vectors of
texts that were encoded lately are kept. Who encodes asks `spend_tokens` for what is left.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from indexer.errors import TextBudgetError
from indexer.language.text_cost import estimate_total_tokens


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


def spend_tokens(texts: Sequence[str], encode: Callable[[Sequence[str]], object]) -> None:
    """Take texts that must be encoded now off what this thread may encode.

    Args:
        texts: Distinct ones.
        encode: Encodes such texts, and remembers their vectors; for whoever catches the error.

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
            encode,
        )
    budget.tokens_left -= tokens
