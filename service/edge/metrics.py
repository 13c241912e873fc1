"""Requests to counters, and counters to Prometheus text.

Counters belong to one process. With several workers a scrape reaches one of them; the label
`worker` says which.
"""

import os
import re
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import accumulate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PATH_CONVERTOR = re.compile(r":\w+\}")  # of "{item_id:item}"
UNKNOWN_ROUTE = "none"  # instead of a path that does not exist, which a client could choose freely
CLIENT_CLOSED = 499  # nginx's status for a client that left before the answer began


@dataclass(slots=True)
class LatencyHistogram:
    """Latencies of one route.

    Attributes:
        within: How many were at most `BUCKETS_S[n]` but more than the bound before; the last entry
            counts those above all bounds.
    """

    within: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    count: int = 0
    seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one latency."""
        self.count += 1
        self.seconds += seconds
        self.within[bisect_left(BUCKETS_S, seconds)] += 1


@dataclass(slots=True)
class RequestCounters:
    """Counters of all requests since the process started; used by its event loop alone.

    Attributes:
        requests: Count by (route, method, status).
        latencies: By route.
    """

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    latencies: defaultdict[str, LatencyHistogram] = field(
        default_factory=lambda: defaultdict(LatencyHistogram)
    )

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request, which took so many seconds."""
        self.requests[route, method, status] += 1
        self.latencies[route].observe(seconds)

    def render_prometheus(self) -> Iterator[str]:
        """Yield the lines of Prometheus text."""
        yield "# HELP zhiyin_requests_total Requests by route, method and status."
        yield "# TYPE zhiyin_requests_total counter"
        for (route, method, status), count in sorted(self.requests.items()):
            labels = f'route="{route}",method="{method}",status="{status}"'
            yield f"zhiyin_requests_total{{{labels}}} {count}"
        yield "# HELP zhiyin_request_seconds Time until an answer was whole."
        yield "# TYPE zhiyin_request_seconds histogram"
        for route, histogram in sorted(self.latencies.items()):
            name, label = "zhiyin_request_seconds", f'route="{route}"'
            for bound, count in zip(BUCKETS_S, accumulate(histogram.within), strict=False):
                yield f'{name}_bucket{{{label},le="{bound}"}} {count}'
            yield f'{name}_bucket{{{label},le="+Inf"}} {histogram.count}'
            yield f"{name}_sum{{{label}}} {histogram.seconds:.6f}"
            yield f"{name}_count{{{label}}} {histogram.count}"


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


def render_process() -> Iterator[str]:
    """Yield the id of this process."""
    yield "# HELP zhiyin_worker_info The process these counters are of."
    yield "# TYPE zhiyin_worker_info gauge"
    yield f'zhiyin_worker_info{{worker="{os.getpid()}"}} 1'
