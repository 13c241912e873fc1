"""Requests to checked JSON bodies and unmangled ids, for callers who may ask: the HTTP edge."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from string import printable
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override

from service.edge.api_keys import Role
from service.edge.problems import Problem

MAX_BODY_BYTES = 1 << 20  # bytes
MAX_DEPTH = 64  # of lists and objects in each other: writers of JSON give up at some hundreds
_ID_PATHS = ("/v1/items/", "/v1/users/", "/v1/events/")


class JsonRequest(Request):
    """A request whose body is JSON of at most `MAX_BODY_BYTES` bytes, or a problem."""

    @override
    async def body(self) -> bytes:
        """Read the body, counting: a chunked one does not say how long it will be."""
        if not hasattr(self, "_body"):
            self._check_content_type()
            declared_length = self.headers.get("content-length", "")
            if declared_length.isdecimal() and int(declared_length) > MAX_BODY_BYTES:
                raise _refuse_large_body()
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _refuse_large_body()
                chunks.append(chunk)
            self._body = b"".join(chunks)
            if not self._body.strip():
                raise _refuse_body("the body is empty; send a JSON object, at least {}")
        return self._body

    @override
    async def json(self) -> Any:
        """Parse the body strictly: no NaN, no infinity, no broken UTF-8, no endless nesting."""
        content = await self.body()
        try:
            parsed = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise _refuse_body(f"the body is not JSON in UTF-8: {error}") from error
        if (
            content.count(b"[") + content.count(b"{") > MAX_DEPTH
            and _measure_depth(parsed) > MAX_DEPTH
        ):
            raise _refuse_body(f"the body is nested more than {MAX_DEPTH} deep; flatten it")
        return parsed

    def _check_content_type(self) -> None:
        content_type = self.headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        is_json = kind == "application/json" or (
            kind.startswith("application/") and kind.endswith("+json")
        )
        if not is_json:
            raise _refuse_body(
                f"the body has content type {content_type[:60] or 'none'!r}; send JSON with the header "
                f"Content-Type: application/json"
            )


class ReadRoute(APIRoute):
    """A route for keys of role read, which checks the key before it reads anything."""

    role: ClassVar[Role] = Role.READ

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            keys = request.app.state.services.keys
            if keys is not None:
                keys.require(request.headers.get("authorization"), self.role)
            return await answer(JsonRequest(request.scope, request.receive))

        return guarded


class WriteRoute(ReadRoute):
    """A route for keys of role write."""

    role = Role.WRITE


class AdminRoute(ReadRoute):
    """A route for keys of role admin."""

    role = Role.ADMIN


class RawIdPathMiddleware:
    """Lets ids hold slashes: routes match paths with ids as they were sent, still percent-encoded.

    A server decodes a path before routing, and then `/v1/items/a%2Fsimilar` (the item "a/similar")
    looks like the items similar to "a". Handlers decode ids with `decode_id`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the path as it was sent."""
        if scope["type"] == "http" and scope["path"].startswith(_ID_PATHS):
            raw = scope.get("raw_path") or quote(scope["path"]).encode()
            scope = {**scope, "path": quote(raw, safe=printable)}
        await self._app(scope, receive, send)


class HeadAsGetMiddleware:
    """Answers HEAD wherever GET is answered: the same head, and no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as GET would be, without the body."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


class _ItemIdConvertor(PathConvertor):
    """The rest of a path as an id; `…/similar` is another call, unless its slash is encoded."""

    regex = r".*(?<!/similar)"


register_url_convertor("item", _ItemIdConvertor())


def decode_id(encoded_id: str) -> str:
    """Return the id that a percent-encoded part of a path stands for.

    Raises:
        Problem: 400 if it is not UTF-8.
    """
    try:
        return unquote(encoded_id, errors="strict")
    except UnicodeDecodeError as error:
        raise _refuse_body(
            f"{encoded_id[:60]} in the path is not percent-encoded UTF-8; encode the id so"
        ) from error


def render_json(content: Any) -> Response:
    """Return JSON."""
    return Response(orjson.dumps(content), media_type="application/json")


def _measure_depth(value: Any) -> int:
    """How deep lists and objects are nested."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inner = (node.values() if isinstance(node, dict) else node for node in level)
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    return depth


def _refuse_large_body() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {MAX_BODY_BYTES} bytes (1 MiB); send less at once",
    )


def _refuse_body(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail)
