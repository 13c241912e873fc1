"""A signal, or the end of the parent process, to the end of this process."""

import ctypes
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # of Linux's prctl
_POLL_S = 1.0
_GRACE_S = 25.0  # after the signal, before this process ends at once

stopping = threading.Event()  # set when this process was told to stop; for what runs before it can


def exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    """Handle a signal by exiting with code 0: a server that is told to stop has not failed."""
    sys.exit(0)


def end_with_parent(parent_pid: int, number: signal.Signals) -> None:
    """Let this process get a signal once its parent has ended, in whichever way.

    Nobody else would end it. If the signal does not, it ends at once half a minute later.

    Args:
        parent_pid: As the parent said it: it may have ended before this process asks for it.
        number: The signal.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    watcher = threading.Thread(target=_watch, args=(parent_pid, number), daemon=True)
    if os.getppid() != parent_pid:  # it ended before the system was asked
        os.kill(os.getpid(), number)
    watcher.start()


def _watch(parent_pid: int, number: signal.Signals) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_POLL_S)
    os.kill(os.getpid(), number)  # where the system does not send it
    time.sleep(_GRACE_S)
    os._exit(1)
