"""The HTTP edge: API keys, error responses, routing, cursor tokens, work queues, metrics.

In: HTTP requests from anybody.
Out: checked requests of permitted callers; error responses (RFC 9457 problems) for all others.
"""

from service.edge.api_keys import ApiKeys, Role
from service.edge.cancelled_calls import CancelledCallMiddleware
from service.edge.connection import Connection
from service.edge.cursors import Cursor, CursorSigner, ListKind
from service.edge.exact_json import DeepJsonError, parse_json
from service.edge.hot_calls import HotCallMiddleware, HotGet, HotPost
from service.edge.metrics import (
    FOLDER_VARIABLE,
    RequestCounterMiddleware,
    RequestCounters,
    render_counters,
    render_processes,
    render_snapshot,
    share_counters,
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
    send_json,
)
from service.edge.secret import load_secret
from service.edge.shared_queue import SharedQueue
from service.edge.slow_clients import SLOW_CLIENTS_STATE_KEY, SlowClients
from service.edge.text_queue import TextQueue
from service.edge.website_guard import WebsiteGuard
from service.edge.work_queue import WorkQueue

__all__ = [
    "FOLDER_VARIABLE",
    "PROBLEM_RESPONSES",
    "SLOW_CLIENTS_STATE_KEY",
    "AdminRoute",
    "ApiKeys",
    "CancelledCallMiddleware",
    "Connection",
    "Cursor",
    "CursorSigner",
    "DeepJsonError",
    "HeadAsGetMiddleware",
    "HotCallMiddleware",
    "HotGet",
    "HotPost",
    "ListKind",
    "Problem",
    "RawIdPathMiddleware",
    "ReadRoute",
    "RequestCounterMiddleware",
    "RequestCounters",
    "Role",
    "SharedQueue",
    "SlowClients",
    "TextQueue",
    "WebsiteGuard",
    "WorkQueue",
    "WriteRoute",
    "decode_id",
    "install_problem_handlers",
    "load_secret",
    "parse_json",
    "render_counters",
    "render_json",
    "render_processes",
    "render_snapshot",
    "send_json",
    "share_counters",
    "unavailable",
]
