"""Query texts to their vectors, for as many recent ones as a number of bytes holds."""

import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from indexer.arrays import Vectors

_ENTRY_BYTES = 250  # of the dictionary and the array's header


class QueryCache:
    """Forgets the text used longest ago; safe to use from many threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, texts: Iterable[str]) -> dict[str, Vectors]:
        """Return the vectors `(d,)` of the texts that are held."""
        found = {}
        with self._lock:
            for text in texts:
                vector = self._vectors.get(text)
                if vector is not None:
                    self._vectors.move_to_end(text)
                    found[text] = vector
        return found

    def add(self, vectors: Mapping[str, Vectors]) -> None:
        """Hold a copy of each vector, so that one row does not keep its whole batch alive."""
        with self._lock:
            for text, vector in vectors.items():
                if text not in self._vectors:
                    self._vectors[text] = vector.copy()
                    self._bytes += _count_bytes(text, vector)
            while self._bytes > self._max_bytes:
                self._bytes -= _count_bytes(*self._vectors.popitem(last=False))


def _count_bytes(text: str, vector: Vectors) -> int:
    return sys.getsizeof(text) + vector.nbytes + _ENTRY_BYTES
