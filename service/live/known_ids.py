"""Very many ids to those that a catalogue has, without looking each of them up.

An id is looked for by its hash among those of the snapshot, 8 bytes an item, which are made when
they are first needed. One that the catalogue lacks may pass, with a probability of some 1e-13.
"""

import threading
import weakref
from collections.abc import Collection, Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer import Index
from indexer.live import LiveCatalogue

_Hashes: TypeAlias = NDArray[np.int64]
_IDS_PER_READ = 50_000


class KnownIds:
    """Knows the ids of one snapshot at a time; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._base: weakref.ref[Index] | None = None
        self._hashes: _Hashes = np.empty(0, np.int64)  # ascending

    def keep_known(self, catalogue: LiveCatalogue, item_ids: Collection[str]) -> list[str]:
        """Return those of some ids that a catalogue has."""
        hashes = self._load_hashes(catalogue.base)
        new_ids = set(catalogue.ids(range(catalogue.base.count, catalogue.count)))
        ids = list(item_ids)
        wanted = _hash_ids(ids)
        places = np.searchsorted(hashes, wanted)
        found = np.zeros(len(ids), np.bool_)
        if len(hashes):  # nothing can be taken from an empty array
            found = np.take(hashes, places, mode="clip") == wanted
        return [i for i, known in zip(ids, found.tolist(), strict=True) if known or i in new_ids]

    def _load_hashes(self, base: Index) -> _Hashes:
        with self._lock:
            if self._base is None or self._base() is not base:
                parts = [
                    _hash_ids(base.ids(range(first, min(first + _IDS_PER_READ, base.count))))
                    for first in range(0, base.count, _IDS_PER_READ)
                ]
                self._hashes = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
                self._base = weakref.ref(base)
            return self._hashes


def _hash_ids(ids: Iterable[str]) -> _Hashes:
    return np.fromiter(map(hash, ids), np.int64)
