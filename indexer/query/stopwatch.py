"""The stages of a request to the milliseconds each of them took."""

import time


class Stopwatch:
    """A running clock whose laps are the stages of one request."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def resume(self) -> None:
        """Skip the time since the last lap, in which other requests of a batch were prepared."""
        now = time.perf_counter()
        self._started += now - self._last
        self._last = now

    def lap(self, name: str) -> None:
        """End a stage: the time since the last lap is its time."""
        now = time.perf_counter()
        self._laps[name] = round(1_000 * (now - self._last), 3)
        self._last = now

    def report(self) -> dict[str, float]:
        """Return milliseconds by stage, and their total as `total`."""
        return {**self._laps, "total": round(1_000 * (self._last - self._started), 3)}
