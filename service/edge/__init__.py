"""What stands at the edge of HTTP: keys, problems, routing, cursors, queues, metrics.

In: requests of anybody.
Out: requests of those who may, and problems (RFC 9457) for all others.
"""

from service.edge.api_keys import Keys, Role
from service.edge.cursors import Cursor, CursorSigner, Kind, continuations, load_secret
from service.edge.metrics import CountRequests, RequestCounters, process_lines, snapshot_lines
from service.edge.problems import PROBLEMS, Problem, answer_problems_as_json, unavailable
from service.edge.routing import (
    AdminRoute,
    HeadAsGet,
    RawIdPaths,
    ReadRoute,
    WriteRoute,
    decoded,
    json_response,
)
from service.edge.slow_clients import SLOW_CLIENTS, SlowClients
from service.edge.work_queue import WorkQueue

__all__ = [
    "PROBLEMS",
    "SLOW_CLIENTS",
    "AdminRoute",
    "CountRequests",
    "Cursor",
    "CursorSigner",
    "HeadAsGet",
    "Keys",
    "Kind",
    "Problem",
    "RawIdPaths",
    "ReadRoute",
    "RequestCounters",
    "Role",
    "SlowClients",
    "WorkQueue",
    "WriteRoute",
    "answer_problems_as_json",
    "continuations",
    "decoded",
    "json_response",
    "load_secret",
    "process_lines",
    "snapshot_lines",
    "unavailable",
]
