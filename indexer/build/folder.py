"""An index directory to a locked working folder for one build; leftovers are removed first."""

import errno
import fcntl
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import CatalogError, SnapshotError
from indexer.snapshot import locate_snapshots, sweep_leftovers

_MIN_FREE_BYTES = 65_536
_LOCK_FILE = ".lock"


@contextmanager
def lock_directory(root: Path) -> Iterator[None]:
    """Let only one build work in a directory; the lock is released when its process ends.

    Raises:
        SnapshotError: If the directory cannot be written, or another build is running in it.
    """
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
    """Turn the errors by which SQLite, FAISS and the file system report a full disk into one.

    Raises:
        SnapshotError: If the block failed because no space is left.
    """
    try:
        yield
    except (OSError, sqlite3.Error, RuntimeError) as error:
        number = getattr(error, "errno", None)
        is_full = number in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in str(error)
        if is_full or shutil.disk_usage(root).free < _MIN_FREE_BYTES:
            raise SnapshotError(
                f"no space is left in {root}; free some, for example with zhiyin snapshots "
                f"prune, or choose another --out; the live snapshot is as it was"
            ) from error
        raise


@contextmanager
def keep_rejections(file: Path, kept: Path) -> Iterator[None]:
    """Keep the list of bad rows of a build that fails, where it outlives the working folder.

    Args:
        file: In the working folder; it may be missing or empty.
        kept: Where it is kept; one of an earlier failure goes.

    Raises:
        CatalogError: What the block raised, with the place of the list.
    """
    kept.unlink(missing_ok=True)
    try:
        yield
    except CatalogError as error:
        if not file.is_file() or not file.stat().st_size:
            raise
        shutil.move(file, kept)
        raise type(error)(f"{error}; every bad row is named in {kept}") from error


@contextmanager
def open_working_folder(root: Path) -> Iterator[Path]:
    """Make a hidden folder beside the snapshots; the folders of killed builds are removed first."""
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
