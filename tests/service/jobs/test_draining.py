"""SIGTERM under load: every request that was taken is answered, and no connection is reset."""

import http.client
import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from typing_extensions import override

from tests.service.conftest import running

pytestmark = pytest.mark.slow
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


def test_an_idle_connection_delays_the_end_by_a_moment(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only) as (client, process):
        assert client.get("/health/live").status_code == 200  # and the connection stays open
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - started < 15
