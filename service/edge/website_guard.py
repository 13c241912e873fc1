"""Requests to those of clients that may ask; the outermost of all middleware.

It comes before the short way of hot calls, so that no route is without it. Websites that are listed
get the headers of CORS, and every answer then says that it depends on `Origin`; without a list no
page of another origin can read an answer.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.edge.metrics import UNKNOWN_ROUTE, RequestCounters
from service.edge.problems import render_problem
from service.websites import WebsitePolicy

PAGES = frozenset({"/docs"})  # which a person may open from a link on another website
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = b"authorization, content-type"
_EXPOSED = b"retry-after"
_PREFLIGHT_S = b"600"


class WebsiteGuard:
    """Answers requests that may not be made, and preflights; passes all others on."""

    def __init__(self, app: ASGIApp, *, policy: WebsitePolicy, counters: RequestCounters) -> None:
        self._app = app
        self._policy = policy
        self._counters = counters
        self._last_hosts: list[str] | None = None  # of the last request that no browser sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._policy.origins:
            send = _mark_as_varying(send)
        hosts, origins, site = _read_headers(scope["headers"])
        if not origins and site is None and hosts == self._last_hosts:
            await self._app(scope, receive, send)
            return
        refusal = self._policy.find_refusal(
            hosts,
            origins,
            site,
            is_page=_is_page(scope),
            needs_host=scope.get("http_version") != "1.0",
        )
        if refusal is None and hosts and not origins and site is None:
            self._last_hosts = hosts
        if refusal is not None:
            self._counters.count(UNKNOWN_ROUTE, UNKNOWN_ROUTE, refusal.status, 0.0)
            response = render_problem(refusal.status, refusal.detail, {"Connection": "close"})
            await response(scope, receive, send)
        elif len(origins) == 1 and origins[0] in self._policy.origins:
            await self._answer_website(origins[0].encode("latin-1"), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer_website(
        self, origin: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        allowed = [(b"access-control-allow-origin", origin)]
        if scope["method"] == "OPTIONS":
            self._counters.count(UNKNOWN_ROUTE, UNKNOWN_ROUTE, 204, 0.0)
            headers = [
                *allowed,
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", _HEADERS),
                (b"access-control-max-age", _PREFLIGHT_S),
            ]
            if any(
                name == b"access-control-request-private-network" for name, _ in scope["headers"]
            ):
                headers.append((b"access-control-allow-private-network", b"true"))
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *allowed]
                headers.append((b"access-control-expose-headers", _EXPOSED))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _mark_as_varying(send: Send) -> Send:
    """Tell caches that the answer depends on who asks, also of one without an `Origin`."""

    async def send_with_vary(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"vary", b"Origin")]}
        await send(message)

    return send_with_vary


def _read_headers(
    headers: Iterable[tuple[bytes, bytes]],
) -> tuple[list[str], list[str], str | None]:
    hosts: list[str] = []
    origins: list[str] = []
    site = None
    for name, value in headers:
        if name == b"host":
            hosts.append(value.decode("latin-1"))
        elif name == b"origin":
            origins.append(value.decode("latin-1"))
        elif name == b"sec-fetch-site":
            text = value.decode("latin-1").strip().lower()
            site = text if site is None else f"{site}, {text}"
    return hosts, origins, site


def _is_page(scope: Scope) -> bool:
    return scope["method"] == "GET" and scope["path"] in PAGES
