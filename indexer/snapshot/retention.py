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

_DOOMED = ".pruning-"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a pruning did, by snapshot id.

    Attributes:
        deleted: Gone.
        held: Would be gone, if no reader had them open.
        kept: Still there, those held among them.
    """

    deleted: tuple[str, ...]
    held: tuple[str, ...]
    kept: tuple[str, ...]


class Hold:
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


def hold(folder: Path) -> Hold:
    """Hold a snapshot.

    Raises:
        SnapshotError: If it is being deleted at this moment, or has no manifest.
    """
    file = folder / snapshot.MANIFEST
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise SnapshotError(
            f"{folder} has no {snapshot.MANIFEST}; build one with scripts/rebuild_index.py"
        ) from error
    held = Hold(descriptor)
    if not _locked(descriptor, fcntl.LOCK_SH) or not file.exists():
        held.close()
        raise SnapshotError(f"{folder} is being deleted; open a newer snapshot")
    return held


def prune(root: Path, keep: int) -> Pruned:
    """Delete all but the newest `keep` snapshots, the live one and those that readers hold."""
    sweep(root)
    live = snapshot.current_id(root)
    deleted: list[str] = []
    held: list[str] = []
    for name in snapshot.list_ids(root)[:-keep]:
        if name == live:
            continue
        (deleted if _deleted(snapshot.snapshots_dir(root) / name) else held).append(name)
    return Pruned(tuple(deleted), tuple(held), tuple(snapshot.list_ids(root)))


def sweep(root: Path) -> None:
    """Remove what a killed pruning left behind."""
    for leftover in snapshot.snapshots_dir(root).glob(f"{_DOOMED}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _deleted(folder: Path) -> bool:
    with (folder / snapshot.MANIFEST).open("rb") as manifest:
        if not _locked(manifest.fileno(), fcntl.LOCK_EX):
            return False
        # Renamed first: a reader that lists or opens in between sees a whole snapshot or none.
        hidden = folder.with_name(f"{_DOOMED}{folder.name}")
        folder.rename(hidden)
        shutil.rmtree(hidden)
    return True


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: a reader keeps what it has mapped
        return kind == fcntl.LOCK_SH
    return True
