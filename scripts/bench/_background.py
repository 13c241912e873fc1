"""A call to a thread that runs it while something else is done."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def running_beside(*calls: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run each call in a thread of its own until the context ends.

    Args:
        calls: Each returns soon after its event is set.
    """
    stopping = threading.Event()
    threads = [threading.Thread(target=call, args=(stopping,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
