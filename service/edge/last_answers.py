"""Answers to how they leave a connection: as a refusal, whole for HTTP/1.0, and the last one."""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.edge.problems import render_problem

_log = logging.getLogger(__name__)


class AnswerTransport:
    """The transport of answers, as uvicorn uses it: closing it waits for a client that sends.

    What is written once the client has left is dropped, which is no fault of the service.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.is_closing = transport.is_closing
        self.close = close

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is closed."""
        if self._transport.is_closing():
            _log.debug("%d bytes of an answer were dropped: the client has left", len(data))
            return
        self._transport.write(data)


def render_refusal(status: HTTPStatus, detail: str) -> bytes:
    """Return the bytes of a problem that is the last answer of a connection."""
    response = render_problem(status, detail, {"connection": "close"})
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}".encode(),
        *(name + b": " + value for name, value in response.raw_headers),
    ]
    return b"\r\n".join([*lines, b"", bytes(response.body)])


def answer_whole(app: ASGIApp) -> ASGIApp:
    """Return the application for HTTP/1.0, which has no chunks: a stream is sent in one piece."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        held_start: Message | None = None
        parts: list[bytes] = []

        async def hold_stream(message: Message) -> None:
            nonlocal held_start
            if message["type"] == "http.response.start":
                if not any(name == b"content-length" for name, _ in message["headers"]):
                    held_start = message
                    return
            elif held_start is not None:
                parts.append(message.get("body", b""))
                if message.get("more_body"):
                    return
                length = (b"content-length", str(sum(map(len, parts))).encode())
                await send({**held_start, "headers": [*held_start["headers"], length]})
                message = {**message, "body": b"".join(parts)}
            await send(message)

        await app(scope, receive, hold_stream)

    return answer
