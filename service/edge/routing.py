"""HTTP requests to permitted ones, with a strictly parsed JSON body and ids as they were sent."""

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
from service.edge.exact_json import DeepJsonError, parse_json
from service.edge.problems import Problem

MAX_BODY_BYTES = 1 << 20
_ID_PATHS = ("/v1/items/", "/v1/users/", "/v1/events/")


class JsonRequest(Request):
    """A request whose body is JSON of at most `MAX_BODY_BYTES`; another body raises a `Problem`."""

    @override
    async def body(self) -> bytes:
        """Return the body; its size is checked while it is read, too, as it may be chunked."""
        if not hasattr(self, "_body"):
            self._check_content_type()
            declared_length = self.headers.get("content-length", "")
            if declared_length.isdecimal() and int(declared_length) > MAX_BODY_BYTES:
                raise _build_size_problem()
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _build_size_problem()
                chunks.append(chunk)
            self._body = b"".join(chunks)
            if not self._body.strip():
                raise _build_body_problem("the body is empty; send a JSON object, at least {}")
        return self._body

    @override
    async def json(self) -> Any:
        """Return the parsed body; NaN, infinity, invalid UTF-8 and deep nesting are refused."""
        content = await self.body()
        try:
            return parse_json(content)
        except DeepJsonError as error:
            raise _build_body_problem(f"the body {error}") from error
        except ValueError as error:
            raise _build_body_problem(f"the body is not JSON in UTF-8: {error}") from error

    def _check_content_type(self) -> None:
        content_type = self.headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        is_json = kind == "application/json" or (
            kind.startswith("application/") and kind.endswith("+json")
        )
        if not is_json:
            raise _build_body_problem(
                f"the body has content type {content_type[:60] or 'none'!r}; send JSON with the "
                f"header Content-Type: application/json"
            )


class ReadRoute(APIRoute):
    """A route for keys of role read; the key is checked before the body is read."""

    role: ClassVar[Role] = Role.READ

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def check_key_and_handle(request: Request) -> Response:
            keys = request.app.state.services.keys
            if keys is not None:
                keys.require_role(request.headers.get("authorization"), self.role)
            return await handle(JsonRequest(request.scope, request.receive))

        return check_key_and_handle


class WriteRoute(ReadRoute):
    """A route for keys of role write."""

    role = Role.WRITE


class AdminRoute(ReadRoute):
    """A route for keys of role admin."""

    role = Role.ADMIN


class RawIdPathMiddleware:
    """Matches routes against percent-encoded paths, so that ids may contain slashes.

    ASGI servers decode a path before routing. Then `/v1/items/a%2Fsimilar`, the item "a/similar",
    would look like the items similar to "a". Handlers decode ids with `decode_id`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with the path as it was sent."""
        if scope["type"] == "http" and scope["path"].startswith(_ID_PATHS):
            raw = scope.get("raw_path") or quote(scope["path"]).encode()
            scope = {**scope, "path": quote(raw, safe=printable)}
        await self._app(scope, receive, send)


class HeadAsGetMiddleware:
    """Answers HEAD like GET, with the same headers and no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD request on as GET, and drop the body of the answer."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)


class _ItemIdConvertor(PathConvertor):
    """The rest of a path as an id; an unencoded `/similar` at its end belongs to another route.

    What is `similar` alone is an id.
    """

    regex = r"similar|.*(?<!/similar)"


register_url_convertor("item", _ItemIdConvertor())


def decode_id(encoded_id: str) -> str:
    """Return the id that a percent-encoded part of a path stands for.

    Raises:
        Problem: 400 if it is not UTF-8.
    """
    try:
        return unquote(encoded_id, errors="strict")
    except UnicodeDecodeError as error:
        raise _build_body_problem(
            f"{encoded_id[:60]} in the path is not percent-encoded UTF-8; encode the id so"
        ) from error


def render_json(content: Any) -> Response:
    """Return a JSON response."""
    return send_json(orjson.dumps(content))


def send_json(content: bytes) -> Response:
    """Return a JSON response of what was written as JSON elsewhere, such as in a thread."""
    return Response(content, media_type="application/json")


def _build_size_problem() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {MAX_BODY_BYTES} bytes (1 MiB); send less at once",
        {"Connection": "close"},  # or the rest of it would be read
    )


def _build_body_problem(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail)
