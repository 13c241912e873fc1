"""Old snapshots to free disk space; a snapshot that a reader has open is never deleted.

A reader holds a shared `flock` on the manifest of its snapshot. The lock needs no right to write,
so it works on read-only storage, and the system releases it when the process ends.
"""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import SnapshotError
from indexer.snapshot.directory import list_ids, locate_snapshots, read_current_id
from indexer.snapshot.manifest import MANIFEST_FILE, REBUILD_HINT

_PRUNING_PREFIX = ".pruning-"


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What `prune` did, by snapshot id.

    Attributes:
        deleted: Snapshots that were deleted.
        in_use: Snapshots that would have been deleted if no reader had them open.
        remaining: Snapshots that still exist, those in use among them.
    """

    deleted: tuple[str, ...]
    in_use: tuple[str, ...]
    remaining: tuple[str, ...]


class SnapshotLock:
    """Keeps a snapshot from being deleted until the lock is closed or garbage-collected."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        """Release the lock; closing twice is allowed."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def lock_snapshot(folder: Path) -> SnapshotLock:
    """Lock a snapshot against deletion.

    Raises:
        SnapshotError: If it is just being deleted, or has no manifest.
    """
    file = folder / MANIFEST_FILE
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise SnapshotError(f"{folder} has no {MANIFEST_FILE}; {REBUILD_HINT}") from error
    lock = SnapshotLock(descriptor)
    if not _try_lock(descriptor, fcntl.LOCK_SH) or not file.exists():
        lock.close()
        raise SnapshotError(f"{folder} is being deleted; open a newer snapshot")
    return lock


def prune(root: Path, keep: int) -> PruneResult:
    """Delete all but the newest `keep` snapshots, the live one and those that readers have open."""
    sweep_leftovers(root)
    live = read_current_id(root)
    deleted: list[str] = []
    in_use: list[str] = []
    for name in list_ids(root)[:-keep]:
        if name == live:
            continue
        (deleted if _try_delete(locate_snapshots(root) / name) else in_use).append(name)
    return PruneResult(tuple(deleted), tuple(in_use), tuple(list_ids(root)))


def sweep_leftovers(root: Path) -> None:
    """Remove the folders that a killed `prune` left behind."""
    for leftover in locate_snapshots(root).glob(f"{_PRUNING_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _try_delete(folder: Path) -> bool:
    with (folder / MANIFEST_FILE).open("rb") as manifest:
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
    except OSError:  # the file system has no locks: a reader keeps the files that it has mapped
        return kind == fcntl.LOCK_SH
    return True
