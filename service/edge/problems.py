"""Exceptions of every route to answers of type `application/problem+json` (RFC 9457).

`detail` is one sentence that says what to do; `type` is about:blank, so `title` is the phrase of
the status. Answers hold no internals, such as paths of the code or tracebacks.

400 a body or a cursor that cannot be read    422 a value that does not fit
401 no valid API key, 403 a key too weak      503 not ready, too busy or too slow: try again
404 no such item, snapshot or route           410 a cursor that has expired
405 another method is meant                   409 a snapshot that cannot be used
413 too large a body                          500 a fault of the service; its log tells more
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match
from starlette.types import ExceptionHandler, Scope

from indexer.errors import (
    EncoderUnavailableError,
    FilterError,
    IndexerError,
    RequestError,
    SnapshotError,
)
from indexer.request import format_value

_log = logging.getLogger(__name__)
_RETRY_AFTER_S = 2
_MAX_PATH_CHARS = 200
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class ProblemOut(BaseModel):
    """The body of an error response, as RFC 9457 defines it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: Annotated[str, Field(description="What is wrong and what to do, in one sentence.")]


# For OpenAPI: the error responses that any call may have.
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": ProblemOut.model_json_schema()}},
    }
    for status in (400, 401, 403, 404, 409, 410, 413, 422, 503)
}


class Problem(HTTPException):
    """An error response.

    It is an `HTTPException`, so that FastAPI does not wrap it when reading a body raises it.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))


def unavailable(detail: str, retry_after_s: int = _RETRY_AFTER_S) -> Problem:
    """Return a 503 with a Retry-After header."""
    headers = {"Retry-After": str(retry_after_s)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers)


def shutting_down() -> Problem:
    """Return the 503 of what comes, or waits still, when the service ends."""
    return unavailable("the service is shutting down; try again in a moment")


def install_problem_handlers(app: FastAPI) -> None:
    """Make an application answer every exception with a problem."""
    handlers: dict[type[Exception], ExceptionHandler] = {
        StarletteHTTPException: _handle_http_error,
        RequestValidationError: _handle_validation_error,
        IndexerError: _handle_indexer_error,
        Exception: _handle_unexpected_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def render_error(request: Request, error: Exception, *, route: str) -> Response:
    """Return the answer to what a handler raised; a fault is logged by its route alone."""
    if isinstance(error, StarletteHTTPException):
        return _handle_http_error(request, error)
    if isinstance(error, IndexerError):
        return _render_indexer_error(request, route, error)
    _log.error("%s %s failed", request.method, route, exc_info=error)
    return _handle_unexpected_error(request, error)


def describe_path(scope: Scope) -> str:
    """Return the path of a route with the names of its parts, for a log that names no user."""
    return getattr(scope.get("route"), "path", None) or "a path without a route"


def render_problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response of a problem."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(
        orjson.dumps(body), status, dict(headers or {}), media_type="application/problem+json"
    )


def describe_validation_errors(errors: list[Any]) -> str:
    """Return the first of pydantic's errors as a sentence that names the field."""
    first = errors[0]
    where = _render_location(first["loc"])
    if first["type"] == "unknown_field":
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    if first["type"] in ("model_attributes_type", "model_type", "dict_type"):
        return f"{where or 'the body'} must be a JSON object, got {format_value(first['input'])}"
    if first["type"] == "missing":
        return f"{where} is missing; send it" if where else "the body must be a JSON object"
    if first["type"] == "too_long":
        actual_length, max_length = first["ctx"]["actual_length"], first["ctx"]["max_length"]
        return (
            f"{where} has {actual_length} entries, at most {max_length} are read; send fewer "
            f"at once"
        )
    message = str(first["msg"]).removeprefix("Input ")
    return f"{where} {message}, got {format_value(first['input'])}"


def _handle_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, StarletteHTTPException):
        raise error
    detail = str(error.detail)
    headers = error.headers or {}
    path = request.url.path[:_MAX_PATH_CHARS]
    if error.status_code == HTTPStatus.NOT_FOUND and not isinstance(error, Problem):
        detail = f"there is nothing at {path}; /docs lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # One path may have several routes; the router lists the methods of the first only.
        headers = {**headers, "Allow": ", ".join(_find_methods(request)) or "GET"}
        detail = f"{path} does not take {request.method}; use {headers['Allow']}"
    return render_problem(error.status_code, detail, headers)


def _find_methods(request: Request) -> list[str]:
    """Return the methods that have a route for the path of a request."""
    routes = request.app.router.routes

    def has_route(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return [method for method in _METHODS if has_route(method)]


def _handle_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return render_problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, describe_validation_errors(list(error.errors()))
    )


def _handle_indexer_error(request: Request, error: Exception) -> Response:
    return _render_indexer_error(request, describe_path(request.scope), error)


def _render_indexer_error(request: Request, route: str, error: Exception) -> Response:
    if isinstance(error, FilterError | RequestError):
        return render_problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    _log.error("%s %s failed: %s", request.method, route, error)
    if isinstance(error, SnapshotError):
        return render_problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "a file of the served snapshot cannot be read, its log names it; roll back with "
            "zhiyin snapshots, or rebuild the index",
        )
    if isinstance(error, EncoderUnavailableError):
        busy = unavailable("the language model cannot be loaded; see the log of the service")
        return render_problem(busy.status_code, busy.detail, busy.headers)
    return _handle_unexpected_error(request, error)


def _handle_unexpected_error(request: Request, error: Exception) -> Response:
    return render_problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the service failed at this request; its log tells why",
    )


def _render_location(loc: tuple[int | str, ...]) -> str:
    """Return a path such as requests[3].k, without the first part, which is "body" or "query"."""
    path = ""
    for part in loc[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path
