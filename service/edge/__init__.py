"""What stands at the edge of HTTP: keys, problems, routing, cursors, queues, metrics.

In: requests of anybody.
Out: requests of those who may, and problems (RFC 9457) for all others.
"""

from service.edge.api_keys import ApiKeys, Role
from service.edge.cursors import Cursor, CursorSigner, ListKind, build_continuations, load_secret
from service.edge.metrics import (
    RequestCounterMiddleware,
    RequestCounters,
    render_process,
    render_snapshot,
)
from service.edge.problems import PROBLEM_RESPONSES, Problem, install_problem_handlers, unavailable
from service.edge.routing import (
    AdminRoute,
    HeadAsGetMiddleware,
    RawIdPathMiddleware,
    ReadRoute,
    WriteRoute,
    decode_id,
    render_json,
)
from service.edge.slow_clients import SLOW_CLIENTS_STATE_KEY, SlowClients
from service.edge.work_queue import WorkQueue

__all__ = [
    "PROBLEM_RESPONSES",
    "SLOW_CLIENTS_STATE_KEY",
    "AdminRoute",
    "ApiKeys",
    "Cursor",
    "CursorSigner",
    "HeadAsGetMiddleware",
    "ListKind",
    "Problem",
    "RawIdPathMiddleware",
    "ReadRoute",
    "RequestCounterMiddleware",
    "RequestCounters",
    "Role",
    "SlowClients",
    "WorkQueue",
    "WriteRoute",
    "build_continuations",
    "decode_id",
    "install_problem_handlers",
    "load_secret",
    "render_json",
    "render_process",
    "render_snapshot",
    "unavailable",
]
