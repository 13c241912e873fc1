"""Connections of uvicorn with a time limit: clients that send or read too slowly are cut off.

A request must arrive completely within `patience_s`, and its answer be read without a longer
pause. A slow client holds a connection but no thread, and the number of such connections is
limited, so slow clients do not delay others.
"""

import asyncio
import time
from http import HTTPStatus

import h11
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.edge.problems import render_problem

SLOW_CLIENTS_STATE_KEY = "slow_clients"  # key of the lifespan state that connections read
_MIN_WAIT_S = 1.0  # a client that is waited for less long is not slow: new connections may burst
_PROGRESS_BYTES = 1 << 16  # read within `patience_s`, they show that an answer is being read


class SlowClients:
    """The connections that one process waits for; used by its event loop alone.

    Args:
        patience_s: How long to wait for a connection.
        max_clients: How many connections to wait for at the same time.
    """

    def __init__(self, *, patience_s: float, max_clients: int) -> None:
        self.patience_s = patience_s
        self._max_clients = max_clients
        self._waiting_since: dict[Connection, float] = {}  # the longest wait first

    def __len__(self) -> int:
        return len(self._waiting_since)

    def start_waiting(self, connection: "Connection") -> None:
        """Begin to wait for a connection; if there are too many, cut the longest wait off.

        If even the longest wait is shorter than `_MIN_WAIT_S`, the new one is closed instead.
        """
        now = time.monotonic()
        if len(self._waiting_since) >= self._max_clients:
            oldest, since = next(iter(self._waiting_since.items()))
            if now - since < _MIN_WAIT_S:
                connection.transport.abort()
                return
            oldest.cut_off()
        self._waiting_since[connection] = now

    def stop_waiting(self, connection: "Connection") -> None:
        """Stop waiting for a connection."""
        self._waiting_since.pop(connection, None)


class Connection(H11Protocol):
    """An HTTP/1.1 connection of uvicorn that is cut off after `SlowClients.patience_s`."""

    _timer: asyncio.TimerHandle | None = None
    _unsent_bytes = 0

    @property
    def _slow_clients(self) -> SlowClients:
        slow_clients = self.app_state[SLOW_CLIENTS_STATE_KEY]
        if not isinstance(slow_clients, SlowClients):
            raise TypeError(f"the lifespan gave {slow_clients!r} as {SLOW_CLIENTS_STATE_KEY}")
        return slow_clients

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        # Without a buffer of its own the transport reports at once that a client does not read.
        transport.set_write_buffer_limits(high=0)
        self._start_timer()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._start_timer()
        elif not self.flow.write_paused:
            self._stop_timer()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._start_timer()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._start_timer()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self.conn.their_state is not h11.SEND_BODY:
            self._stop_timer()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    @override
    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "this is no HTTP/1.1 request; see /docs")

    def cut_off(self) -> None:
        """Close the connection; answer 408 first if the client can still read it."""
        self._stop_timer()
        if self.flow.write_paused or self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        if self.cycle is not None:  # the handler of the request must not answer any more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the request did not arrive within {self._slow_clients.patience_s:g} s; send it at "
            f"once",
        )

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer in place of the application, and close the connection."""
        response = render_problem(status, detail, {"connection": "close"})
        for event in (
            h11.Response(
                status_code=status, reason=status.phrase.encode(), headers=response.raw_headers
            ),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _start_timer(self) -> None:
        if self._timer is None and not self.transport.is_closing():
            self._slow_clients.start_waiting(self)
        # Asked again: `start_waiting` may have cut this connection off.
        if self._timer is None and not self.transport.is_closing():
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
