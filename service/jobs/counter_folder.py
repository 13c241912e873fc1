"""The folder in which the workers of one service share their counters.

A service that is killed cannot remove its own: the next one of the same account does.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

_PREFIX = "zhiyin-counters-"


@contextmanager
def lend_counter_folder() -> Iterator[Path]:
    """Lend an empty folder, which nobody else removes meanwhile."""
    _remove_left_folders()
    with TemporaryDirectory(prefix=_PREFIX) as name, _lock_folder(Path(name)):
        yield Path(name)


def _remove_left_folders() -> None:
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*"):
        # One that is in use cannot be locked, one of another account not even be opened.
        with suppress(OSError), _lock_folder(folder):
            is_own = folder.stat().st_uid == os.geteuid()
            # An empty one may have been made just now; its service has not locked it yet.
            if is_own and any(folder.iterdir()):
                shutil.rmtree(folder)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the system frees it when the process ends, however it does.

    Raises:
        OSError: If it is held already, or the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
