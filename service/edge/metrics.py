"""Requests to counters, and counters to Prometheus text.

The workers of a service keep their counters in files of one folder, so that a scrape, whichever
worker it reaches, tells the sum of all. A worker that replaces another goes on with its files: so
counters never fall, and there are no more files than workers.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client looks for it
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PATH_CONVERTOR = re.compile(r":\w+\}")  # of "{item_id:item}"
UNKNOWN_ROUTE = "none"  # instead of a path that does not exist, which a client could choose freely
CLIENT_CLOSED = 499  # nginx's status for a client that left before the answer began

disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter began says nothing here


def share_counters(place: str) -> None:
    """Keep the counters that are made from now on in the folder of `FOLDER_VARIABLE`.

    Args:
        place: Of this worker among those of its service; no two that run have the same.
    """
    share = values.MultiProcessValue
    values.ValueClass = share(lambda: f"worker{place}")  # type: ignore[no-untyped-call]
    (Path(os.environ[FOLDER_VARIABLE]) / f"worker{place}.pid").write_text(str(os.getpid()))


class RequestCounters:
    """Counters of all requests; used by one event loop alone."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "zhiyin_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "zhiyin_request_seconds",
            "Time until an answer was whole.",
            ("route",),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        # Finding a counter by its labels takes longer than counting.
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request, which took so many seconds."""
        known = self._known.get((route, method, status))
        if known is None:
            known = self._requests.labels(route, method, int(status)), self._seconds.labels(route)
            self._known[route, method, status] = known
        known[0].inc()
        known[1].observe(seconds)


def render_counters(registries: Iterable[CollectorRegistry]) -> str:
    """Return the Prometheus text of counters: those of all workers, if they are shared.

    Args:
        registries: Of this process.
    """
    folder = os.environ.get(FOLDER_VARIABLE) if values.ValueClass is not values.MutexValue else None
    if folder is not None:
        shared = CollectorRegistry()
        MultiProcessCollector(shared, path=folder)  # type: ignore[no-untyped-call]
        registries = [shared]
    return "".join(generate_latest(registry).decode() for registry in registries)


class RequestCounterMiddleware:
    """Counts requests by route, not by path, so that no id becomes a label."""

    def __init__(self, app: ASGIApp, counters: RequestCounters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when it ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = CLIENT_CLOSED

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        except Exception:
            status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        finally:
            path = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            route = _PATH_CONVERTOR.sub("}", path)
            method = scope["method"] if route != UNKNOWN_ROUTE else UNKNOWN_ROUTE
            self._counters.count(route, method, status, time.perf_counter() - started)


def render_snapshot(snapshot: str | None, items: int) -> Iterator[str]:
    """Yield the id of the snapshot that serves, and its number of items."""
    yield "# HELP zhiyin_snapshot_info The snapshot that serves; absent until one is ready."
    yield "# TYPE zhiyin_snapshot_info gauge"
    if snapshot is not None:
        yield f'zhiyin_snapshot_info{{snapshot="{snapshot}"}} 1'
        yield "# HELP zhiyin_snapshot_items Items of the snapshot, without live ones."
        yield "# TYPE zhiyin_snapshot_items gauge"
        yield f"zhiyin_snapshot_items {items}"


def render_processes() -> Iterator[str]:
    """Yield the ids of the workers that run, and what each of them takes."""
    pids = _list_worker_pids()
    yield "# HELP zhiyin_worker_info The processes that serve."
    yield "# TYPE zhiyin_worker_info gauge"
    yield from (f'zhiyin_worker_info{{worker="{pid}"}} 1' for pid in pids)
    yield "# HELP zhiyin_worker_resident_bytes Memory of a process."
    yield "# TYPE zhiyin_worker_resident_bytes gauge"
    for pid, (_, resident) in _read_usage(pids):
        yield f'zhiyin_worker_resident_bytes{{worker="{pid}"}} {resident}'
    yield "# HELP zhiyin_worker_cpu_seconds_total Time of all cores that a process has used."
    yield "# TYPE zhiyin_worker_cpu_seconds_total counter"
    for pid, (seconds, _) in _read_usage(pids):
        yield f'zhiyin_worker_cpu_seconds_total{{worker="{pid}"}} {seconds:.2f}'


def _list_worker_pids() -> list[int]:
    folder = os.environ.get(FOLDER_VARIABLE)
    files = Path(folder).glob("worker*.pid") if folder else ()
    texts = [file.read_text() for file in files]
    pids = sorted(int(text) for text in texts if text)  # a file may be written just now
    # Who was killed is not replaced at once.
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()] or [os.getpid()]


def _read_usage(pids: Iterable[int]) -> Iterator[tuple[int, tuple[float, int]]]:
    """Yield seconds of CPU and resident bytes of processes, where /proc tells."""
    ticks_s, page_bytes = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended, or the system has no /proc
            continue
        columns = text.rpartition(")")[2].split()
        yield pid, ((int(columns[11]) + int(columns[12])) / ticks_s, int(columns[21]) * page_bytes)
