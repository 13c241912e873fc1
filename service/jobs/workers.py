"""One listening socket to several processes that accept connections on it.

A worker that ends is replaced, for as long as the service runs. It accepts connections only once it
can answer, see `service.app`; the others answer meanwhile. All workers end with their parent.
"""

import logging
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field

from typing_extensions import override
from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Process

from service.app import OTHERS_SERVE_VARIABLE, PLACE_VARIABLE
from service.jobs.draining import DrainingServer
from service.process import end_with_parent

_POLL_S = 0.25
_PING_S = 0.25
# Without a sign of life of any thread: long on a machine that others keep busy, most of all
# while a worker imports its libraries.
_HANGS_AFTER_S, _HANGS_BEFORE_STARTING_S = 30, 180
_STOP_S = 25  # more than the requests under way get
_SHORT_LIFE_S = 5.0  # what ends sooner is replaced later and later
_MAX_PAUSE_S = 10.0

_log = logging.getLogger(__name__)


class _Worker(Process):
    """A process that serves."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        self.parent_pid = os.getpid()
        self.started_at = self.seen_at = time.monotonic()
        self.serves = self.has_answered = False
        super().__init__(config, sockets)

    @override
    def target(self, sockets: list[socket.socket] | None = None) -> None:
        end_with_parent(self.parent_pid, signal.SIGTERM)
        super().target(sockets)

    @property
    @override
    def server(self) -> Server:
        if self._server is None:
            self._server = DrainingServer(self.config)
        return self._server

    def describe_end(self) -> str:
        """Return how it ended, as a clause."""
        code = self.exitcode or 0
        return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"


@dataclass(slots=True, eq=False)
class _Place:
    """Where one worker runs at a time.

    Attributes:
        pause_s: How long to wait before the next one starts.
        next_start: When that is; the clock is `time.monotonic`.
    """

    worker: _Worker | None = None
    pause_s: float = 0.0
    next_start: float = 0.0


@dataclass(slots=True)
class WorkerPool:
    """Keeps `config.workers` processes running until the service is told to stop."""

    config: Config
    listener: socket.socket
    _places: list[_Place] = field(init=False)
    _stopping: threading.Event = field(init=False, default_factory=threading.Event)
    _has_served: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._places = [_Place() for _ in range(self.config.workers)]

    def run(self) -> int:
        """Serve until stopped by SIGTERM or SIGINT; return the exit code.

        It is 1 if the first workers could not start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        code = 0
        while not code and not self._stopping.is_set():
            for place in self._places:
                code = code or self._look_after(place)
            self._stopping.wait(_POLL_S)
        self._stop()
        return code

    def _look_after(self, place: _Place) -> int:
        """Start or replace the worker of a place if need be; return 1 if it cannot be started."""
        worker = place.worker
        if worker is None:
            if time.monotonic() >= place.next_start:
                place.worker = self._start(self._places.index(place))
            return 0
        serves = worker.process.is_alive() and worker.is_ready(_PING_S)
        # Not ready may be one that loads, which answers a ping, or one that hangs.
        if serves or (worker.process.is_alive() and worker.ping(_PING_S)):
            worker.seen_at, worker.has_answered = time.monotonic(), True
            worker.serves = serves or worker.serves
            self._has_served = self._has_served or serves
            return 0
        patience_s = _HANGS_AFTER_S if worker.has_answered else _HANGS_BEFORE_STARTING_S
        if worker.process.is_alive() and time.monotonic() < worker.seen_at + patience_s:
            return 0  # the others are looked after meanwhile
        worker.kill()
        worker.process.join()
        if self._stopping.is_set():
            return 0
        if worker.exitcode == STARTUP_FAILURE and not self._has_served:
            return 1  # its log says why; so would those of all others
        _log.warning("worker %s %s and is replaced", worker.pid, worker.describe_end())
        is_short = time.monotonic() - worker.started_at < _SHORT_LIFE_S
        place.pause_s = min(_MAX_PAUSE_S, 2 * place.pause_s or 1.0) if is_short else 0.0
        place.worker, place.next_start = None, time.monotonic() + place.pause_s
        return 0

    def _start(self, number: int) -> _Worker:
        others_serve = any(place.worker and place.worker.serves for place in self._places)
        os.environ[PLACE_VARIABLE] = str(number)
        os.environ[OTHERS_SERVE_VARIABLE] = "1" if others_serve else "0"
        worker = _Worker(self.config, [self.listener])
        worker.start()
        return worker

    def _stop(self) -> None:
        """End all workers, once they have answered what is under way."""
        # A connection that only this process could accept would wait for nothing.
        self.listener.close()
        workers = [place.worker for place in self._places if place.worker is not None]
        for worker in workers:
            if worker.process.is_alive():
                worker.terminate()
        deadline = time.monotonic() + _STOP_S
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                _log.error("worker %s does not stop and is killed", worker.pid)
                worker.process.kill()
                worker.process.join()
