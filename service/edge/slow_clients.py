"""Connections that are waited for to those that are waited for too long: these are cut off.

A request must arrive completely within `patience_s`, and its answer be read without a longer
pause. A slow client holds a connection but no thread, and the number of such connections is
limited, so slow clients do not delay others.
"""

import time
from typing import Protocol

SLOW_CLIENTS_STATE_KEY = "slow_clients"  # key of the lifespan state that connections read
_MIN_WAIT_S = 1.0  # a client that is waited for less long is not slow: new connections may burst


class WaitedFor(Protocol):
    """A connection that can be ended."""

    def cut_off(self) -> None:
        """Close the connection; say why first if the client can still read it."""

    def abort(self) -> None:
        """Close the connection at once."""


class SlowClients:
    """The connections that one process waits for; used by its event loop alone.

    Args:
        patience_s: How long to wait for a connection.
        max_clients: How many connections to wait for at the same time.
    """

    def __init__(self, *, patience_s: float, max_clients: int) -> None:
        self.patience_s = patience_s
        self._max_clients = max_clients
        self._waiting_since: dict[WaitedFor, float] = {}  # the longest wait first

    def __len__(self) -> int:
        return len(self._waiting_since)

    def start_waiting(self, connection: WaitedFor) -> None:
        """Begin to wait for a connection; if there are too many, cut the longest wait off.

        If even the longest wait is shorter than `_MIN_WAIT_S`, the new one is closed instead.
        """
        now = time.monotonic()
        if len(self._waiting_since) >= self._max_clients:
            oldest, since = next(iter(self._waiting_since.items()))
            if now - since < _MIN_WAIT_S:
                connection.abort()
                return
            oldest.cut_off()
        self._waiting_since[connection] = now

    def stop_waiting(self, connection: WaitedFor) -> None:
        """Stop waiting for a connection."""
        self._waiting_since.pop(connection, None)
