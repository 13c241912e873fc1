"""Failures in a row to a pause: an endpoint that is down is left alone for a while.

closed --failures--> open --rest_s--> one call may try --success--> closed, --failure--> open
"""

import time
from collections.abc import Callable

from service.llm.errors import RestingError


class Breaker:
    """Knows whether the endpoint may be asked; used from one event loop."""

    def __init__(
        self,
        *,
        failures: int = 5,
        rest_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._clock = clock
        self._in_a_row = 0
        self._opens_at = 0.0  # until then nobody asks
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether it has failed too often and has not succeeded since."""
        return self._in_a_row >= self._limit

    def admit(self) -> None:
        """Let a call through.

        Raises:
            RestingError: If the endpoint is being left alone.
        """
        if not self.is_open:
            return
        left = self._opens_at - self._clock()
        if left > 0 or self._trying:
            raise RestingError(
                f"the language model failed {self._in_a_row} times in a row; "
                f"it is asked again in {max(left, 1):.0f} s"
            )
        self._trying = True

    def succeeded(self) -> None:
        """Close: it answers."""
        self._in_a_row = 0
        self._trying = False

    def failed(self) -> None:
        """Count a failure."""
        self._in_a_row += 1
        self._trying = False
        if self.is_open:
            self._opens_at = self._clock() + self._rest_s

    def left(self) -> None:
        """Forget a call that ended without telling anything of the endpoint."""
        self._trying = False
