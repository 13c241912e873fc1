"""Work that nobody waits for any more to its end, at the next place where it asks.

A service cannot stop a thread. What takes long calls `raise_if_given_up` between its steps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from indexer.errors import GivenUpError

_is_given_up: ContextVar[Callable[[], bool] | None] = ContextVar("is_given_up", default=None)


@contextmanager
def give_up_when(is_given_up: Callable[[], bool]) -> Iterator[None]:
    """Let this function say, for what this thread does in the block, whether to go on."""
    token = _is_given_up.set(is_given_up)
    try:
        yield
    finally:
        _is_given_up.reset(token)


def raise_if_given_up() -> None:
    """Go on only if somebody waits for it.

    Raises:
        GivenUpError: If nobody does.
    """
    is_given_up = _is_given_up.get()
    if is_given_up is not None and is_given_up():
        raise GivenUpError("nobody waits for this any more; ask again")
