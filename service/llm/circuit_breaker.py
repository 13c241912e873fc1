"""Failures in a row to a pause: an endpoint that is down is not called for a while.

The circuit breaker of Nygard, "Release It!" (2007), as a state machine:

    closed --failures--> open --open_s--> half open --success--> closed, --failure--> open
"""

import time
from collections.abc import Callable

from service.llm.errors import RestingError


class CircuitBreaker:
    """Decides whether the endpoint may be called; used from one event loop.

    Args:
        max_failures: Failures in a row that open the circuit.
        open_s: How long no call is let through; then one call may try.
        clock: Returns the time in seconds, never going back.
    """

    def __init__(
        self,
        *,
        max_failures: int = 5,
        open_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_failures = max_failures
        self._open_s = open_s
        self._clock = clock
        self._consecutive_failures = 0
        self._retry_at = 0.0
        self._is_half_open = False

    @property
    def is_open(self) -> bool:
        """Whether the endpoint has failed too often and has not succeeded since."""
        return self._consecutive_failures >= self._max_failures

    def admit(self) -> None:
        """Let a call through, whose outcome is to be recorded.

        Raises:
            RestingError: If the circuit is open, or half open and another call is trying.
        """
        if not self.is_open:
            return
        remaining_s = self._retry_at - self._clock()
        if remaining_s > 0 or self._is_half_open:
            raise RestingError(
                f"the language model failed {self._consecutive_failures} times in a row; "
                f"it is asked again in {max(remaining_s, 1):.0f} s"
            )
        self._is_half_open = True

    def record_success(self) -> None:
        """Close the circuit."""
        self._consecutive_failures = 0
        self._is_half_open = False

    def record_failure(self) -> None:
        """Count a failure; open the circuit if they are too many."""
        self._consecutive_failures += 1
        self._is_half_open = False
        if self.is_open:
            self._retry_at = self._clock() + self._open_s

    def release(self) -> None:
        """Forget a call whose outcome says nothing about the endpoint."""
        self._is_half_open = False
