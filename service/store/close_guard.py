"""The file of a SQLite store to connections that close without touching the files beside it.

The last connection to close moves the write-ahead log into the file and deletes it. One whose log
or shared memory is not what the path leads to any more would write old pages over newer ones, and
delete a log that another process has written. Nobody is the last while another process holds
SQLite's shared lock, so a process of its own holds it; in this one, closing the file would drop all
locks that SQLite holds ("How To Corrupt An SQLite Database File", 2.2).
"""

import contextlib
import logging
import select
import subprocess
import sys
from pathlib import Path

_STARTING_S = 20.0
# SQLite's shared lock: any byte of a range that never holds content.
_PROGRAM = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 510, 0x40000002)
os.write(1, b"locked")
sys.stdin.read()
"""

_log = logging.getLogger(__name__)


class CloseGuard:
    """Holds SQLite's shared lock on a file until it is released; released twice is released.

    Args:
        path: The file; nothing is held if it is gone, nor if no process can be started.
    """

    def __init__(self, path: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(path)]
        pipe, ignored = subprocess.PIPE, subprocess.DEVNULL
        try:
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=ignored)
        except OSError as error:
            _log.warning("the live store's files are closed without a guard: %s", error)
            return
        self._process = process
        if process.stdout is None or not select.select([process.stdout], [], [], _STARTING_S)[0]:
            _log.warning("the live store's files are closed before their guard has begun")

    def release(self) -> None:
        """End the process that holds the lock."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()
