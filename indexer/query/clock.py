"""Milliseconds spent on the parts of a request."""

import time


class Stopwatch:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def resume(self) -> None:
        """Leave out the time since the last lap, in which others were served."""
        now = time.perf_counter()
        self._started += now - self._last
        self._last = now

    def lap(self, name: str) -> None:
        """End a lap."""
        now = time.perf_counter()
        self._laps[name] = round(1_000 * (now - self._last), 3)
        self._last = now

    def report(self) -> dict[str, float]:
        """Return the laps and their total."""
        return {**self._laps, "total": round(1_000 * (self._last - self._started), 3)}
