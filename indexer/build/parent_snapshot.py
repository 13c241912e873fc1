"""The live snapshot of an index directory to the work that it saves a build that replaces it."""

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import SnapshotError
from indexer.snapshot import Manifest, check_files, find_snapshot, find_tuned_layer, read_manifest

_CHUNK_ROWS = 16_384
_SEED = 20_240_501


class ParentSnapshot:
    """The snapshot that is live when a build begins; a damaged or missing one spares nothing.

    Attributes:
        id: Its id; None if there is none.
    """

    def __init__(self, root: Path) -> None:
        """Look for the live snapshot of an index directory."""
        self._root = root
        try:
            self.id: str | None = find_snapshot(root).name
        except SnapshotError:
            self.id = None

    @cached_property
    def manifest(self) -> Manifest | None:
        """Its manifest; None if there is no snapshot or the manifest cannot be read."""
        try:
            return read_manifest(self.folder) if self.id else None
        except SnapshotError:
            return None

    @property
    def folder(self) -> Path:
        """Its folder.

        Raises:
            SnapshotError: If there is no live snapshot.
        """
        return find_snapshot(self._root, self.id)

    @cached_property
    def tuned_layer_file(self) -> Path | None:
        """The tuned last layer of its encoder; None if it has none or the file is damaged."""
        try:
            return find_tuned_layer(self.folder, self.manifest) if self.manifest else None
        except SnapshotError:
            return None

    def matches(self, *, inputs: Collection[str] = (), content: Collection[str] = ()) -> bool:
        """Whether its files are whole and one of the hashes is its own; "" equals nothing."""
        if self.manifest is None:
            return False
        is_same_input = bool(self.manifest.inputs) and self.manifest.inputs in inputs
        is_same_content = bool(self.manifest.content) and self.manifest.content in content
        if not (is_same_input or is_same_content):
            return False
        try:
            check_files(self.folder, self.manifest)
        except SnapshotError:
            return False
        return True

    def compute_changed_share(self, raw: NDArray[np.float16]) -> float:
        """Return the share of raw vectors `(n, r)` that was added or removed since.

        The larger of the two shares, in [0, 1]; 1 if the vectors cannot be compared.
        """
        if self.manifest is None:
            return 1.0
        try:
            before = np.load(self.folder / "raw.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            return 1.0
        if before.shape[1:] != raw.shape[1:] or not len(before):
            return 1.0
        old, new = _hash_rows(before), _hash_rows(raw)
        added, removed = ~np.isin(new, old), ~np.isin(old, new)
        return float(max(added.mean(), removed.mean()))


def _hash_rows(raw: NDArray[np.float16]) -> NDArray[np.uint64]:
    """Return `(n,) uint64`, a hash of each row's bits: a product with fixed random numbers."""
    multipliers = np.random.default_rng(_SEED).integers(2**63, size=raw.shape[1], dtype=np.uint64)
    sums = np.empty(len(raw), np.uint64)
    for start in range(0, len(raw), _CHUNK_ROWS):
        bits = np.ascontiguousarray(raw[start : start + _CHUNK_ROWS]).view(np.uint16)
        sums[start : start + len(bits)] = bits.astype(np.uint64) @ multipliers
    return sums
