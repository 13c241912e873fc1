"""Clients that send or read too slowly are cut off; others are served meanwhile."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.service.conftest import running, wait_until

PATIENCE_S = 1.5
HEAD = "POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def service(vectors_only: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    with running(tmp_path, "--index", vectors_only, "--patience", PATIENCE_S) as (client, _):
        yield client


@contextmanager
def connected(service: httpx.Client, sent: bytes = b"") -> Iterator[socket.socket]:
    """A raw connection that has sent something."""
    address = (service.base_url.host, service.base_url.port or 0)
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


def answers(service: httpx.Client) -> bool:
    return service.post("/v1/recommend", json={"k": 3}).status_code == 200


def unfinished() -> list[bytes]:
    return [
        b"",
        b"POST /v1/recomm",
        HEAD.encode(),
        f"{HEAD}Content-Length: 100\r\n\r\n".encode(),
        f"{HEAD}Content-Length: 100\r\n\r\n{{".encode(),
        f"{HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n".encode(),
    ]


def test_a_request_that_never_ends_is_answered_408_and_others_are_served_meanwhile(
    service: httpx.Client,
) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(connected(service, sent)) for sent in unfinished() * 20]
        assert all(answers(service) for _ in range(20))
        for connection in held:
            answer = received(connection)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"content-type: application/problem+json" in answer.lower()
            told = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert told["status"] == 408
            assert "did not arrive within 1.5 s" in told["detail"]
        assert answers(service)


def test_sending_a_byte_now_and_then_does_not_buy_time(service: httpx.Client) -> None:
    sent = f"{HEAD}Content-Length: 100000\r\n\r\n".encode()
    with connected(service, sent) as connection:
        started = time.monotonic()
        try:
            while time.monotonic() - started < 60 * PATIENCE_S:
                connection.sendall(b" ")
                time.sleep(0.05)
        except OSError:  # cut off
            pass
        else:
            pytest.fail("it was never cut off")
    assert answers(service)


def test_a_body_that_no_route_reads_has_the_same_time_limit(service: httpx.Client) -> None:
    """A GET is answered at once, whatever else is announced; the connection is not kept."""
    sent = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nbody"
    with connected(service, sent) as connection:
        assert received(connection).startswith(b"HTTP/1.1 200 ")
    assert answers(service)


def test_a_request_in_pieces_that_comes_in_time_is_answered_on_a_kept_connection(
    service: httpx.Client,
) -> None:
    body = b'{"k": 1}'
    with connected(service) as connection:
        for _ in range(2):
            for part in (HEAD.encode(), f"Content-Length: {len(body)}\r\n\r\n".encode(), body):
                connection.sendall(part)
                time.sleep(0.05)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_read_its_answer_is_cut_off(service: httpx.Client) -> None:
    notes = "long " * 25_000
    for n in range(10):
        item = {"id": f"l{n}", "title": f"long {n}", "vector": [1.0, n, 0.5], "notes": notes}
        assert service.put(f"/v1/items/l{n}", json=item).status_code == 200
    body = json.dumps({"requests": [{"k": 30, "explain": False}] * 20})
    head = HEAD.replace("recommend", "recommend/batch")
    sent = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    whole = 20 * 10 * len(notes)  # bytes, much more than the buffers of any connection
    with connected(service, sent) as connection:
        assert answers(service)
        time.sleep(4 * PATIENCE_S)  # it reads nothing
        assert 0 < len(received(connection)) < whole
    with connected(service, sent) as connection:  # who reads gets all of it
        read = 0
        while read < whole:
            read += len(connection.recv(1 << 20))
    assert answers(service)


def test_of_too_many_slow_clients_the_slowest_go(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only) as (service, _), ExitStack() as stack:
        sent = f"{HEAD}Content-Length: 100\r\n\r\n".encode()
        first = [stack.enter_context(connected(service, sent)) for _ in range(300)]
        assert answers(service)
        time.sleep(1.2)
        more = [stack.enter_context(connected(service, sent)) for _ in range(300)]
        assert answers(service)
        for connection in first[:80]:
            assert received(connection).startswith(b"HTTP/1.1 408 ")
        for connection in more:
            connection.settimeout(0)
            with pytest.raises(BlockingIOError):
                connection.recv(1)
        wait_until(lambda: answers(service))


def test_what_is_no_http_is_refused_with_a_sentence(service: httpx.Client) -> None:
    for sent in (b"\x16\x03\x01 no http\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"):
        with connected(service, sent) as connection:
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer
