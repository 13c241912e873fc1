"""Snapshots nobody needs to free space, never one that a reader has open.

A reader holds a shared lock on the manifest it opened. It needs no right to write, so it works on
read-only storage, and it dies with its process.
"""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import SnapshotError
from indexer.snapshot import directory as snapshot

_PRUNING_PREFIX = ".pruning-"


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What a pruning did, by snapshot id.

    Attributes:
        deleted: Gone.
        in_use: Would be gone, if no reader had them open.
        remaining: Still there, those held among them.
    """

    deleted: tuple[str, ...]
    in_use: tuple[str, ...]
    remaining: tuple[str, ...]


class SnapshotLock:
    """Keeps a snapshot from being pruned until it is closed or forgotten."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        """Let go; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def lock_snapshot(folder: Path) -> SnapshotLock:
    """Hold a snapshot.

    Raises:
        SnapshotError: If it is being deleted at this moment, or has no manifest.
    """
    file = folder / snapshot.MANIFEST_FILE
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise SnapshotError(
            f"{folder} has no {snapshot.MANIFEST_FILE}; build one with scripts/rebuild_index.py"
        ) from error
    held = SnapshotLock(descriptor)
    if not _try_lock(descriptor, fcntl.LOCK_SH) or not file.exists():
        held.close()
        raise SnapshotError(f"{folder} is being deleted; open a newer snapshot")
    return held


def prune(root: Path, keep: int) -> PruneResult:
    """Delete all but the newest `keep` snapshots, the live one and those that readers hold."""
    sweep_leftovers(root)
    live = snapshot.read_current_id(root)
    deleted: list[str] = []
    held: list[str] = []
    for name in snapshot.list_ids(root)[:-keep]:
        if name == live:
            continue
        (deleted if _try_delete(snapshot.locate_snapshots(root) / name) else held).append(name)
    return PruneResult(tuple(deleted), tuple(held), tuple(snapshot.list_ids(root)))


def sweep_leftovers(root: Path) -> None:
    """Remove what a killed pruning left behind."""
    for leftover in snapshot.locate_snapshots(root).glob(f"{_PRUNING_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _try_delete(folder: Path) -> bool:
    with (folder / snapshot.MANIFEST_FILE).open("rb") as manifest:
        if not _try_lock(manifest.fileno(), fcntl.LOCK_EX):
            return False
        # Renamed first: a reader that lists or opens in between sees a whole snapshot or none.
        hidden = folder.with_name(f"{_PRUNING_PREFIX}{folder.name}")
        folder.rename(hidden)
        shutil.rmtree(hidden)
    return True


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: a reader keeps what it has mapped
        return kind == fcntl.LOCK_SH
    return True
