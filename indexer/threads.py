"""A function over many arguments on all cores: for work that numpy does outside Python's lock."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from indexer.cores import count_threads

A = TypeVar("A")
R = TypeVar("R")


def map_in_threads(function: Callable[[A], R], arguments: Iterable[A]) -> list[R]:
    """Return the results in the order of the arguments."""
    with ThreadPoolExecutor(count_threads()) as threads:
        return list(threads.map(function, arguments))
