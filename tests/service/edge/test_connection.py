"""One connection: what is bounded, in which order answers leave, and what HTTP/1.0 gets."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from service.edge import SLOW_CLIENTS_STATE_KEY, SlowClients
from service.edge.connection import MAX_HEAD_BYTES, MAX_PIPELINED
from service.edge.last_answers import AnswerTransport
from service.edge.problems import Problem, render_problem
from service.edge.routing import JsonRequest
from service.routes.docs import get_file

PATIENCE_S = 1.0
GET = b"GET /n/%d HTTP/1.1\r\nHost: x\r\n\r\n"


async def _number(request: Request) -> Response:
    return PlainTextResponse(f"number {request.path_params['n']}\n")


async def _slow(request: Request) -> Response:
    await asyncio.sleep(0.5)
    return PlainTextResponse("slow\n")


async def _echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def _limited(request: Request) -> Response:
    try:
        return Response(await JsonRequest(request.scope, request.receive).body())
    except Problem as problem:
        return render_problem(problem.status_code, problem.detail, problem.headers)


async def _stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one ", b"two ", b"three\n"):
            yield part

    return StreamingResponse(parts(), media_type="text/plain")


async def _loop(request: Request) -> Response:
    return PlainTextResponse(type(asyncio.get_running_loop()).__module__)


ROUTES = [
    Route("/n/{n:int}", _number),
    Route("/slow", _slow),
    Route("/echo", _echo, methods=["POST"]),
    Route("/limited", _limited, methods=["POST"]),
    Route("/stream", _stream),
    Route("/loop", _loop),
]


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Where a small application is served."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {SLOW_CLIENTS_STATE_KEY: SlowClients(patience_s=PATIENCE_S, max_clients=100)}

    config = uvicorn.Config(
        Starlette(routes=ROUTES, lifespan=lifespan),
        http="service.edge.connection:Connection",
        loop="uvloop",
        ws="none",
        log_level="error",
        access_log=False,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


@contextmanager
def connected(address: tuple[str, int], sent: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(sent)
        yield connection


def received(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def exchange(address: tuple[str, int], sent: bytes) -> bytes:
    with connected(address, sent) as connection:
        return received(connection)


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


def last_problem(answers: bytes) -> dict[str, Any]:
    head, _, body = answers[answers.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    told: dict[str, Any] = json.loads(body)
    return told


def long_head(size: int) -> bytes:
    """A request whose line and headers are so many bytes, but for the blank line."""
    start = b"GET /n/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "
    return start + b"a" * (size - len(start) - 2) + b"\r\n\r\n"


def test_a_head_as_large_as_allowed_is_read_and_a_larger_one_is_refused_431(
    address: tuple[str, int],
) -> None:
    assert statuses(exchange(address, long_head(MAX_HEAD_BYTES - 100))) == [200]
    answer = exchange(address, long_head(MAX_HEAD_BYTES + 100))
    assert statuses(answer) == [431]
    assert "larger than 65536 bytes" in last_problem(answer)["detail"]


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nX"])
def test_a_head_that_never_ends_is_refused_431_as_soon_as_it_is_too_long(
    address: tuple[str, int], start: bytes
) -> None:
    with connected(address, start) as connection:
        for _ in range(MAX_HEAD_BYTES // 4096):
            connection.sendall(b"a" * 4096)
        assert statuses(received(connection)) == [431]


def test_many_short_headers_are_counted_too(address: tuple[str, int]) -> None:
    sent = b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_HEAD_BYTES // 6 + 9) + b"\r\n"
    assert statuses(exchange(address, sent)) == [431]


def test_a_large_body_does_not_count_as_head_of_the_request_after_it(
    address: tuple[str, int],
) -> None:
    body = b"b" * 150_000
    post = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n" + body
    with connected(
        address, post + b"GET /n/7 HTTP/1.1\r\nConnection: close\r\n\r\n"[:20]
    ) as connection:
        time.sleep(0.2)
        connection.sendall(b"GET /n/7 HTTP/1.1\r\nConnection: close\r\n\r\n"[20:])
        answers = received(connection)
    assert statuses(answers)[0] == 200
    assert body in answers


def test_pipelined_requests_are_answered_in_order(address: tuple[str, int]) -> None:
    sent = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + b"".join(GET % n for n in range(50))
    with connected(address, sent) as connection:
        read = b""
        while not read.endswith(b"number 49\n"):
            read += connection.recv(1 << 16)
    assert re.findall(rb"slow|number \d+", read) == [
        b"slow",
        *(b"number %d" % n for n in range(50)),
    ]


def test_requests_sent_too_far_ahead_are_refused_after_the_answers_to_others(
    address: tuple[str, int],
) -> None:
    sent = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + b"".join(GET % n for n in range(5000))
    answers = exchange(address, sent)
    assert statuses(answers) == [200] * (MAX_PIPELINED + 1) + [429]
    assert "ahead of their answers" in last_problem(answers)["detail"]


@pytest.mark.parametrize(
    "garbage",
    [b"no http\r\n\r\n", b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
)
def test_what_is_no_http_is_refused_after_the_answers_to_earlier_requests(
    address: tuple[str, int], garbage: bytes
) -> None:
    answers = exchange(address, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + GET % 4 + garbage)
    assert statuses(answers) == [200, 200, 400]
    assert answers.index(b"slow") < answers.index(b"number 4")


def test_a_broken_body_is_refused_and_its_handler_does_not_answer(
    address: tuple[str, int],
) -> None:
    with connected(
        address, b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    ) as connection:
        time.sleep(0.1)
        connection.sendall(b"no length\r\n")
        assert statuses(received(connection)) == [400]


def test_half_a_request_behind_a_slow_answer_is_waited_for_only_after_that_answer(
    address: tuple[str, int],
) -> None:
    started = time.monotonic()
    answers = exchange(address, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTT")
    assert statuses(answers) == [200, 408]
    assert time.monotonic() - started > 0.5 + PATIENCE_S * 0.9


def test_a_body_announced_but_not_read_does_not_spoil_the_next_request(
    address: tuple[str, int],
) -> None:
    announced = b"GET /n/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
    with connected(address, announced) as connection:
        assert statuses(connection.recv(1 << 16)) == [200]
        connection.sendall(b"x" * 300_000 + b"GET /n/2 HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert received(connection).endswith(b"number 2\n")


def test_an_announced_body_that_never_comes_has_the_same_time_limit(
    address: tuple[str, int],
) -> None:
    started = time.monotonic()
    assert statuses(
        exchange(address, b"GET /n/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    ) == [200]
    assert time.monotonic() - started < 4 * PATIENCE_S


def test_empty_lines_do_not_keep_a_connection(address: tuple[str, int]) -> None:
    with connected(address, GET % 1) as connection:
        connection.recv(1 << 16)
        started = time.monotonic()
        try:
            while time.monotonic() - started < 20 * PATIENCE_S:
                connection.sendall(b"\r\n")
                time.sleep(0.05)
        except OSError:  # cut off
            pass
        else:
            pytest.fail("it was never cut off")


def test_http_1_0_gets_whole_answers_without_chunks_and_a_closed_connection(
    address: tuple[str, int],
) -> None:
    answer = exchange(address, b"GET /stream HTTP/1.0\r\n\r\n")
    assert b"transfer-encoding" not in answer
    assert answer.endswith(b"\r\n\r\none two three\n")
    assert b"content-length: 14" in answer
    assert exchange(address, b"GET /n/3 HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nnumber 3\n")


@pytest.mark.parametrize("version", [b"", b" HTTP/0.9", b" HTTP/2.0", b" HTTP/1.2"])
def test_no_other_version_of_http_is_answered(address: tuple[str, int], version: bytes) -> None:
    answer = exchange(address, b"GET /n/3%s\r\n\r\n" % version)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"no HTTP/1.1 request" in answer


def test_http_1_1_gets_a_stream_in_chunks(address: tuple[str, int]) -> None:
    answer = exchange(address, b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"transfer-encoding: chunked" in answer
    assert b"4\r\none \r\n" in answer


def test_an_offer_to_upgrade_is_passed_over(address: tuple[str, int]) -> None:
    upgrade = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"
    for protocol in (b"h2c", b"websocket"):
        with connected(
            address,
            b"POST /echo HTTP/1.1\r\n" + upgrade % protocol + b"Content-Length: 2\r\n\r\nhi",
        ) as connection:
            assert connection.recv(1 << 16).endswith(b"\r\n\r\nhi")
            connection.sendall(GET % 5)
            assert connection.recv(1 << 16).endswith(b"number 5\n")


def test_the_loop_is_uvloop(address: tuple[str, int]) -> None:
    answer = exchange(address, b"GET /loop HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.endswith(uvloop.Loop.__module__.encode())


LIMITED = b"POST /limited HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def send_without_end(address: tuple[str, int], head: bytes) -> tuple[bytes, int]:
    """Send a body as long as the other side reads; return the answer and how much was sent."""
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            while sent < 200 << 20:
                client.sendall(chunk)
                sent += len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while part := client.recv(1 << 16):
                answer += part
        except ConnectionResetError:
            pass
    return answer, sent


@pytest.mark.parametrize("head", [LIMITED, b"GET /n/1 HTTP/1.1\r\nHost: x\r\n"])
def test_a_body_without_end_is_not_read_after_its_answer(
    address: tuple[str, int], head: bytes
) -> None:
    answer, sent = send_without_end(address, head)
    assert answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 200"))
    assert sent < 40 << 20  # what buffers of the system hold


def test_a_client_that_still_sends_reads_the_answer_that_closes(address: tuple[str, int]) -> None:
    for _ in range(20):
        with socket.create_connection(address, timeout=20) as client:
            client.sendall(LIMITED + b"Content-Length: 3000000\r\n\r\n" + b" " * 2_500_000)
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer.lower()


def test_an_answer_to_a_client_that_has_left_is_dropped_without_an_error() -> None:
    """The transport may be closed before anybody is told that the connection is lost."""

    async def answer() -> list[int]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.settimeout(5)
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            answers = AnswerTransport(transport, transport.close)
            answers.write(b"while it listens")
            received = [len(await loop.run_in_executor(None, theirs.recv, 100))]
            transport.abort()
            await asyncio.sleep(0.05)
            answers.write(b"after it left")
            received.append(len(await loop.run_in_executor(None, theirs.recv, 100)))
            return received

    for run in (asyncio.run, uvloop.run):
        assert run(answer()) == [16, 0]


def test_clients_that_do_not_read_share_one_copy_of_a_file_of_the_page() -> None:
    bodies = [asyncio.run(get_file("swagger-ui-bundle.js")).body for _ in range(100)]
    assert len(bodies[0]) > 1_000_000
    assert len({id(body) for body in bodies}) == 1
