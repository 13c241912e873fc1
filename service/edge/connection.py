"""Bytes of one TCP connection to HTTP/1.1 requests, within limits of time and size.

uvicorn's connection on llhttp, a parser in C that limits neither. What is added to it:

- A client that sends or reads too slowly is cut off, see `slow_clients`.
- The head of a request has at most `MAX_HEAD_BYTES`, and at most `MAX_PIPELINED` requests wait for
  the answer to the one before them; more is refused.
- A refusal is a problem (RFC 9457), and it comes after the answers to earlier requests.

A body is limited by who reads it (`routing.JsonRequest`). What arrives of it once its request is
answered is dropped, up to `MAX_DROPPED_BYTES`; then the connection is closed.
"""

import asyncio
from http import HTTPStatus

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.edge.last_answers import AnswerTransport, answer_whole, render_refusal
from service.edge.slow_clients import SLOW_CLIENTS_STATE_KEY, SlowClients

MAX_HEAD_BYTES = 1 << 16  # request line and headers
MAX_PIPELINED = 100
MAX_DROPPED_BYTES = 1 << 20  # of a body, after its request was answered
_LINGER_S = 1.0  # that a client has to read its last answer while it still sends
_PROGRESS_BYTES = 1 << 16  # read within `patience_s`, they show that an answer is being read
# The transport reports that a client does not read once so much waits. It is more than the head of
# an answer, so that head and body leave in one packet, and little enough to not matter.
_WRITE_BUFFER_BYTES = 1 << 10
_LONG_HEAD = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"the request line and headers are larger than {MAX_HEAD_BYTES} bytes (64 KiB); send what is "
    f"long in the body",
)
_HTTP_VERSIONS = frozenset({"1.0", "1.1"})  # llhttp also takes 0.9, and the preface of HTTP/2
_NO_HTTP = (HTTPStatus.BAD_REQUEST, "this is no HTTP/1.1 request; see /docs")


class _RefusedError(Exception):
    """Raised in a callback of the parser to stop it: a limit is exceeded."""


class Connection(HttpToolsProtocol):
    """An HTTP/1.1 connection of uvicorn that is cut off after `SlowClients.patience_s`."""

    _timer: asyncio.TimerHandle | None = None
    _unsent_bytes = 0
    _in_head = False  # of a request that has begun to arrive
    _in_body = False  # of `self.cycle`, whose head has arrived
    _head_bytes = 0  # an upper bound while a head arrives, but for what shares a packet with others
    _chunk_bytes = 0  # length of what is being parsed
    _offers_upgrade = False
    _limit_error: tuple[HTTPStatus, str] | None = None
    _is_lingering = False  # the last answer is sent, and what arrives is dropped
    _dropped_bytes = 0
    _is_draining = False  # every further answer says that it is the last
    _refusal: bytes | None = None  # sent once earlier requests are answered; nothing more is read

    @property
    def _slow_clients(self) -> SlowClients:
        slow_clients = self.app_state[SLOW_CLIENTS_STATE_KEY]
        if not isinstance(slow_clients, SlowClients):
            raise TypeError(f"the lifespan gave {slow_clients!r} as {SLOW_CLIENTS_STATE_KEY}")
        return slow_clients

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._answers = AnswerTransport(transport, self.close_after_answer)
        self._start_timer()

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            self._drop(len(data))
        if self._refusal is not None or self._is_lingering:
            return
        self._unset_keepalive_if_required()
        self._chunk_bytes = len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(*(self._limit_error or _NO_HTTP))
        if self._in_head and self._refusal is None:
            self._head_bytes += self._chunk_bytes
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(*_LONG_HEAD)
        self._wait_or_stop()

    @override
    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._limit_error = (
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {MAX_PIPELINED} requests were sent ahead of their answers; read these "
                f"first",
            )
            raise _RefusedError
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    @override
    def on_headers_complete(self) -> None:
        if self._head_bytes + self._chunk_bytes > MAX_HEAD_BYTES or not self._chunk_bytes:
            self._check_head_size()
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _RefusedError
            self._offers_upgrade = True
            return
        app, earlier = self.app, self.cycle
        http_version = self.parser.get_http_version()
        if http_version not in _HTTP_VERSIONS:
            raise _RefusedError
        if http_version == "1.0":
            self.app = answer_whole(app)
        try:
            super().on_headers_complete()
        finally:
            self.app = app
        self.cycle.transport = self._answers  # type: ignore[assignment]  # what answers use of one
        self._in_head, self._in_body = False, True
        self._dropped_bytes = 0
        if self._is_draining:
            self._make_last(earlier)

    @override
    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            self._drop(len(body))
        else:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._offers_upgrade:
            return
        super().on_message_complete()
        self._in_body = False
        self._chunk_bytes = 0  # what follows in this chunk belongs to the next request

    @override
    def on_response_complete(self) -> None:
        if self._is_lingering:
            self.server_state.total_requests += 1
            return
        has_next = bool(self.pipeline)
        super().on_response_complete()
        if self.transport.is_closing():
            self._start_timer()  # for what a client must still read
        elif self._refusal is not None and not has_next:
            self._send_refusal()
        elif self._in_head or self._in_body:
            self._wait_or_stop()

    @override
    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._start_timer()  # closing waits for a client that does not read all of its answer

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._start_timer()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        is_arriving = (self._in_head or self._in_body) and not self._in_flight()
        if not is_arriving and not self.transport.is_closing():
            self._stop_timer()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def close_after_answer(self) -> None:
        """Close the connection whose last answer has been written.

        If the client may still send, it can read the answer first: closing would reset the
        connection, and the answer be lost.
        """
        if self._in_body or self._is_draining:
            self._linger()
        else:
            self.transport.close()

    def start_draining(self) -> None:
        """Close the connection after the answers to what arrives in the next moments."""
        if not self._is_draining:
            self._is_draining = True
            self._make_last(None)

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def cut_off(self) -> None:
        """Close the connection; answer 408 first if the client can still read it."""
        self._stop_timer()
        if self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
            return
        patience_s = self._slow_clients.patience_s
        detail = f"the request did not arrive within {patience_s:g} s; send it at once"
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail)

    def _parse(self, data: bytes) -> None:
        """Feed the parser, which calls the `on_` methods.

        Java's HTTP client offers to upgrade with every request. The parser would then drop its
        body: so it gets the request once more, without the offer.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                self._offers_upgrade = False
                version = self.parser.get_http_version().encode()
                lines = [
                    self.parser.get_method() + b" " + self.url + b" HTTP/" + version,
                    *(n + b": " + value for n, value in self.headers if n != b"upgrade"),
                ]
                data = b"\r\n".join([*lines, b"", b""]) + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _drop(self, count: int) -> None:
        """Count bytes of a body that nobody reads; at some point, read no more."""
        self._dropped_bytes += count
        if self._dropped_bytes <= MAX_DROPPED_BYTES:
            return
        if self._is_lingering:
            self.flow.pause_reading()
        else:
            self._linger()

    def _linger(self) -> None:
        """Say that nothing more comes, and close the connection a moment later."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        self._is_lingering = True
        self._dropped_bytes = 0
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.loop.call_later(_LINGER_S, self.transport.abort)

    def _make_last(self, earlier: RequestResponseCycle | None) -> None:
        """Let the answer to the newest request say that the connection closes, and no other."""
        if earlier is not None and not earlier.response_started:
            earlier.keep_alive = True
        newest: RequestResponseCycle | None = self.cycle
        if newest is not None and not newest.response_started:
            newest.keep_alive = False

    def _in_flight(self) -> bool:
        """Return whether a request that has arrived is not answered yet."""
        if self._in_body:  # then `self.cycle` is still arriving, and is last in the pipeline
            return bool(self.pipeline)
        newest: RequestResponseCycle | None = self.cycle
        return newest is not None and not newest.response_complete

    def _waits_for_request(self) -> bool:
        """Return whether the client has to send before anything can go on."""
        return self._refusal is None and not self._in_flight()

    def _check_head_size(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._limit_error = _LONG_HEAD
            raise _RefusedError

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer in place of the application after earlier answers, and close the connection."""
        self._stop_timer()
        self._refusal = render_refusal(status, detail)
        self.flow.pause_reading()
        has_earlier = self._in_flight()
        if self._in_body and has_earlier:
            self.pipeline.popleft()  # the application never sees the request that is refused
        elif self._in_body:
            if self.cycle.response_started:
                self.transport.abort()
                return
            # The application must not answer any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not has_earlier:
            self._send_refusal()

    def _send_refusal(self) -> None:
        self._unset_keepalive_if_required()
        self.transport.write(self._refusal or b"")
        self.transport.close()
        self._start_timer()  # for a client that does not read it

    def _wait_or_stop(self) -> None:
        """Start the timer if the client has to send, otherwise stop it."""
        if self.transport.is_closing():
            return
        if self._waits_for_request():
            self._unset_keepalive_if_required()
            self._start_timer()
        elif not self.flow.write_paused:
            self._stop_timer()

    def _start_timer(self) -> None:
        if self._timer is not None or self.parser is None:  # without parser: the connection is lost
            return
        self._slow_clients.start_waiting(self)
        self._timer = self.loop.call_later(self._slow_clients.patience_s, self._handle_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._slow_clients.stop_waiting(self)

    def _handle_timeout(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if self.flow.write_paused and unsent <= self._unsent_bytes - _PROGRESS_BYTES:
            self._unsent_bytes = unsent
            self._timer = self.loop.call_later(self._slow_clients.patience_s, self._handle_timeout)
            return
        self.cut_off()
