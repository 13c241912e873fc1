"""Requests to the busiest routes to their answers, on a short way past FastAPI's.

FastAPI finds a route, solves dependencies, builds a model of the body and enters exit stacks: ten
times the work of an answer that is known. A hot call is found by method and path, its body is
parsed and its field names are checked; then its handler runs. Whatever needs a closer look (an
unknown field, a percent-encoded id, another method) goes FastAPI's way, with the body that was
read, so that each error is told in one place. The same routes stay with FastAPI: it documents them.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.edge.api_keys import Role
from service.edge.metrics import CLIENT_CLOSED, RequestCounters
from service.edge.problems import render_error
from service.edge.routing import JsonRequest

_CHECKED_FIELD = "cursor"  # the one field of these models that is more than a name: it is a string


@dataclass(frozen=True, slots=True)
class HotPost:
    """A POST whose model checks the names of fields only.

    Attributes:
        route: Its path.
        role: What its callers need.
        model: Of the body.
        answer: Gets the services, the fields that were sent and are not null, and the request.
    """

    route: str
    role: Role
    model: type[BaseModel]
    answer: Callable[[Any, dict[str, Any], Request], Awaitable[Response]]

    def __post_init__(self) -> None:
        checked = {n for n, field in self.model.model_fields.items() if field.annotation is not Any}
        if not checked <= {_CHECKED_FIELD}:
            raise TypeError(f"{self.model.__name__} checks values of {sorted(checked)}")

    async def try_answer(self, services: Any, request: JsonRequest) -> Response | None:
        """Answer, or return None if the model has to look at the body."""
        body, fields = await request.json(), self.model.model_fields
        if type(body) is not dict or not body.keys() <= fields.keys():
            return None
        if not isinstance(body.get(_CHECKED_FIELD), str | None):
            return None
        sent_fields = {name: body[name] for name in fields if body.get(name) is not None}
        return await self.answer(services, sent_fields, request)


@dataclass(frozen=True, slots=True)
class HotGet:
    """A GET of one thing by its id, which is the rest of the path.

    Attributes:
        route: Its path as FastAPI has it, for metrics.
        prefix: The path before the id.
        other_suffix: The end of paths that belong to another route.
        role: What its callers need.
        answer: Gets the services and the id.
    """

    route: str
    prefix: str
    other_suffix: str
    role: Role
    answer: Callable[[Any, str], Awaitable[Response]]

    def matches(self, scope: Scope) -> bool:
        """Return whether a request is such a call, and its id is not percent-encoded."""
        path: str = scope["path"]
        return (
            path.startswith(self.prefix)
            and not path.endswith((self.other_suffix, self.prefix))
            and path.isascii()
            and path.encode() == scope.get("raw_path")
        )

    async def try_answer(self, services: Any, request: JsonRequest) -> Response | None:
        """Answer."""
        return await self.answer(services, request.scope["path"].removeprefix(self.prefix))


class HotCallMiddleware:
    """Answers hot calls, and counts them; passes all other requests on."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        posts: Iterable[HotPost],
        gets: Iterable[HotGet],
        counters: RequestCounters,
    ) -> None:
        self._app = app
        self._counters = counters
        self._posts = {call.route: call for call in posts}
        self._gets = tuple(gets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        call = self._find_call(scope)
        if call is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
        request = JsonRequest(scope, receive)
        try:
            response = await _respond(call, request)
            if response is None:
                status = 0
                await self._app(scope, _replay(await request.body(), receive), send)
                return
            status = response.status_code
            await response(scope, receive, send)
        except ClientDisconnect:
            status = CLIENT_CLOSED
        finally:
            if status:  # otherwise others have counted it
                self._counters.count(
                    call.route, scope["method"], status, time.perf_counter() - started
                )

    def _find_call(self, scope: Scope) -> HotPost | HotGet | None:
        if scope["type"] != "http":
            return None
        if scope["method"] == "POST":
            return self._posts.get(scope["path"])
        if scope["method"] == "GET":
            return next((call for call in self._gets if call.matches(scope)), None)
        return None


async def _respond(call: HotPost | HotGet, request: JsonRequest) -> Response | None:
    """Return an answer or a problem; None: FastAPI has to look at the request."""
    try:
        services = request.app.state.services
        if services.keys is not None:
            services.keys.require_role(request.headers.get("authorization"), call.role)
        return await call.try_answer(services, request)
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001  # a fault too is answered, and logged
        return render_error(request, error, route=call.route)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, then what comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
