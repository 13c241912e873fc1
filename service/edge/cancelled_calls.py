"""Calls that end with the service to an answer and one line in the log.

At SIGTERM uvicorn cancels what is not answered within its grace, and would answer 500 and log a
traceback: nothing has failed, the client only has to ask again.
"""

import asyncio
import logging
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from service import process
from service.edge.problems import describe_path, render_problem, unavailable

_log = logging.getLogger(__name__)


class CancelledCallMiddleware:
    """Answers a call that is cancelled because the service stops; passes all others on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http" or not process.stopping.is_set():
                raise
            _log.warning(
                "%s %s was given up, since the service stops", scope["method"], describe_path(scope)
            )
            problem = unavailable("the service stops before this could be done; try again")
            response = render_problem(problem.status_code, problem.detail, problem.headers)
            with suppress(RuntimeError):  # an answer has begun already; it is cut off
                await response(scope, receive, send)
