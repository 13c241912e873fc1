"""A signal, or the end of the parent process, to the end of this process."""

import multiprocessing
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn


def exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    """Handle a signal by exiting with code 0: a server that is told to stop has not failed."""
    sys.exit(0)


def watch_parent(exit_process: Callable[[], None]) -> None:
    """Call a function once the parent has ended, in whichever way: nobody else would end this one.

    Does nothing in a process that `multiprocessing` did not start.

    Args:
        exit_process: Ends this process; called in a thread of its own.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait_and_exit() -> None:
        parent.join()
        exit_process()

    threading.Thread(target=wait_and_exit, daemon=True).start()
