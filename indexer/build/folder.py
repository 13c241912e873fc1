"""An index directory to a place to build in: one builder at a time, leftovers swept."""

import errno
import fcntl
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import SnapshotError
from indexer.snapshot import locate_snapshots, sweep_leftovers

_MIN_FREE_BYTES = 65_536
_LOCK_FILE = ".lock"


@contextmanager
def lock_directory(root: Path) -> Iterator[None]:
    """Let one build at a time into a directory; the lock dies with its process."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / _LOCK_FILE).open("w")
    except OSError as error:
        raise SnapshotError(
            f"{root} cannot be written ({error.strerror}); choose another --out"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SnapshotError(
                f"another build is running in {root}; wait for it or choose another --out"
            ) from error
        yield


@contextmanager
def explain_full_disk(root: Path) -> Iterator[None]:
    """SQLite, FAISS and the file system each say it in their own way."""
    try:
        yield
    except (OSError, sqlite3.Error, RuntimeError) as error:
        number = getattr(error, "errno", None)
        is_full = number in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in str(error)
        if is_full or shutil.disk_usage(root).free < _MIN_FREE_BYTES:
            raise SnapshotError(
                f"no space is left in {root}; free some, for example with scripts/snapshots.py "
                f"prune, or choose another --out; the live snapshot is as it was"
            ) from error
        raise


@contextmanager
def open_working_folder(root: Path) -> Iterator[Path]:
    """A hidden sibling of the snapshots; what a killed build left there is swept first."""
    folder = locate_snapshots(root)
    folder.mkdir(exist_ok=True)
    sweep_leftovers(root)
    for leftover in folder.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    work = folder / f".building-{uuid.uuid4().hex[:8]}"
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
