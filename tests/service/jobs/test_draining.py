"""SIGTERM under load: every request that was taken is answered, and no connection is reset."""

import asyncio
import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from typing_extensions import override

from service import process
from service.edge import SLOW_CLIENTS_STATE_KEY, CancelledCallMiddleware, SlowClients
from service.jobs.draining import DrainingServer
from tests.service.conftest import running, wait_until

JSON = {"Content-Type": "application/json"}


class KeepAliveClient(threading.Thread):
    """Asks on one connection until an answer says that it closes, then once more on a new one."""

    def __init__(self, url: httpx.URL, pause_s: float) -> None:
        super().__init__()
        self.address, self.pause_s = (url.host, url.port), pause_s
        self.answers = 0
        self.said_close = False
        self.fault: BaseException | None = None

    @override
    def run(self) -> None:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            while not self.said_close:
                connection.request("POST", "/v1/recommend", json.dumps({"k": 3}), JSON)
                response = connection.getresponse()
                self.said_close = response.getheader("connection") == "close"
                content: dict[str, Any] = json.loads(response.read())
                assert len(content["items"]) == 3
                self.answers += 1
                time.sleep(self.pause_s)
        except BaseException as error:  # noqa: BLE001  # the test shows it
            self.fault = error


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("pause_s", [0.0, 0.2])
def test_keep_alive_clients_are_told_to_close_and_lose_nothing(
    vectors_only: Path, tmp_path: Path, workers: int, pause_s: float
) -> None:
    with running(tmp_path, "--index", vectors_only, "--workers", workers) as (client, process):
        clients = [KeepAliveClient(client.base_url, pause_s) for _ in range(12)]
        for one in clients:
            one.start()
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        for one in clients:
            one.join(30)
        assert process.wait(30) == 0
    assert [one.fault for one in clients] == [None] * len(clients)
    assert all(one.said_close and one.answers for one in clients)


@pytest.mark.slow
def test_an_idle_connection_delays_the_end_by_a_moment(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only) as (client, process):
        assert client.get("/health/live").status_code == 200  # and the connection stays open
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - started < 15


may_answer = threading.Event()


async def _slow(request: Request) -> Response:
    while not may_answer.is_set():
        await asyncio.sleep(0.01)
    return PlainTextResponse("slow")


async def _endless(request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        while True:
            yield "part "
            await asyncio.sleep(0.01)

    return StreamingResponse(parts())


async def _fast(request: Request) -> Response:
    return PlainTextResponse("fast")


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    yield {SLOW_CLIENTS_STATE_KEY: SlowClients(patience_s=20, max_clients=100)}


@contextmanager
def stopping_server(**chosen: Any) -> Iterator[tuple[DrainingServer, tuple[str, int]]]:
    """A server of this process, and where it listens; it has ended when this ends."""
    routes = [Route("/slow", _slow), Route("/fast", _fast), Route("/endless", _endless)]
    app = Starlette(routes=routes, lifespan=_lifespan)
    http_class = "service.edge.connection:Connection"
    config = uvicorn.Config(
        CancelledCallMiddleware(app), http=http_class, log_level="error", **chosen
    )
    server = DrainingServer(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield server, address
        finally:
            may_answer.set()
            server.should_exit = True
            thread.join(40)
        assert not thread.is_alive()


def wait_for_draining(server: DrainingServer) -> Any:
    """Tell the server to stop; return its one connection once that knows it."""
    (connection,) = server.server_state.connections
    server.should_exit = True
    wait_until(lambda: connection._is_draining)  # type: ignore[union-attr]  # it is ours
    return connection


def test_requests_ahead_of_their_answers_are_all_answered_and_the_last_one_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.jobs.draining.DRAIN_S", 20)
    may_answer.clear()
    fast = b"GET /fast HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        stopping_server() as (server, address),
        socket.create_connection(address, timeout=20) as client,
    ):
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + fast * 3)
        wait_until(lambda: len(server.server_state.connections) == 1)
        (connection,) = server.server_state.connections
        wait_until(lambda: len(connection.pipeline) == 3)  # type: ignore[union-attr]  # it is ours
        wait_for_draining(server)
        client.sendall(fast)  # perhaps too late: then it resets no answer before it
        may_answer.set()
        answers = b""
        while part := client.recv(1 << 16):
            answers += part
    assert answers.count(b"HTTP/1.1 200 OK") in (4, 5)
    assert answers.lower().count(b"connection: close") == 1
    assert b"connection: close" in answers.lower().rpartition(b"http/1.1 200 ok")[2]


def test_an_idle_connection_gets_one_more_answer_which_says_that_it_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.jobs.draining.DRAIN_S", 20)
    with stopping_server() as (server, address):
        client = http.client.HTTPConnection(*address, timeout=20)
        client.request("GET", "/fast")
        assert client.getresponse().read() == b"fast"
        wait_for_draining(server)
        client.request("GET", "/fast")
        answer = client.getresponse()
        assert answer.getheader("connection") == "close"
        assert answer.read() == b"fast"


@pytest.mark.parametrize("begins", [False, True])
def test_a_call_that_does_not_end_in_time_is_answered_503_with_one_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, begins: bool
) -> None:
    monkeypatch.setattr("service.jobs.draining.DRAIN_S", 0)
    stopping = threading.Event()
    monkeypatch.setattr(process, "stopping", stopping)
    may_answer.clear()
    path = "/endless" if begins else "/slow"
    with (
        stopping_server(timeout_graceful_shutdown=1, log_config=None) as (server, address),
        closing(http.client.HTTPConnection(*address, timeout=20)) as client,
    ):
        client.request("GET", path)
        wait_until(lambda: len(server.server_state.tasks) == 1)
        stopping.set()
        server.should_exit = True
        answer = client.getresponse()
        if begins:
            with pytest.raises(http.client.HTTPException):
                answer.read()
        else:
            assert answer.status == 503
            assert answer.getheader("retry-after")
            assert "service stops" in json.loads(answer.read())["detail"]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("service")]
    assert ours == [f"GET {path} was given up, since the service stops"]
    assert not [record for record in caplog.records if record.exc_info]
