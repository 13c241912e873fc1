"""Workers end with their parent, are replaced when they end, and serve once they can answer."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import httpx
import pytest
from uvicorn import Config

from service.jobs import workers
from tests.service.conftest import command, environment, running, wait_until

pytestmark = pytest.mark.slow


def list_group(group: int) -> list[int]:
    """The processes of a process group that run."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            columns = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if path.name.isdecimal() and int(columns[2]) == group and columns[0] != "Z":
            found.append(int(path.name))
    return found


def list_workers(group: int) -> list[int]:
    """The workers of a service."""
    commands = {pid: Path(f"/proc/{pid}/cmdline") for pid in list_group(group)}
    return [pid for pid, path in commands.items() if b"spawn_main" in path.read_bytes()]


@pytest.mark.parametrize("delay_s", [0.0, 0.3, 1.0, 6.0])
def test_workers_end_with_their_parent_whenever_it_is_killed(
    vectors_only: Path, tmp_path: Path, delay_s: float
) -> None:
    process = subprocess.Popen(
        command("--port", 0, "--index", vectors_only, "--workers", 2),
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline()
    time.sleep(delay_s)
    process.kill()
    process.communicate()
    wait_until(lambda: not list_group(process.pid), seconds=30)


def test_a_busy_port_is_refused_with_who_holds_it(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only) as (client, process):
        second = subprocess.run(
            command("--index", vectors_only, "--port", client.base_url.port),
            env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert f"by process {process.pid} (" in second.stderr
        assert "serve.py" in second.stderr
        assert second.stderr.count("\n") == 1


class Load:
    """Clients that ask without pause, each on connections of its own."""

    def __init__(self, base_url: httpx.URL) -> None:
        self.statuses: Counter[int] = Counter()
        self.details: list[str] = []
        self.broken = 0
        self._base_url = base_url
        self._stop = threading.Event()

    @contextmanager
    def running(self, clients: int) -> Iterator["Load"]:
        threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        number = 0
        while not self._stop.is_set():
            with httpx.Client(base_url=self._base_url, timeout=30) as client:
                for _ in range(5):
                    number += 1
                    body = {"user_id": f"u{number}", "history": ["v3"], "k": 3}
                    try:
                        response = client.post("/v1/recommend", json=body)
                    except httpx.TransportError:  # of the worker that was killed
                        self.broken += 1
                        break
                    self.statuses[response.status_code] += 1
                    if response.status_code >= 500:
                        self.details.append(response.text)


def test_once_ready_no_answer_is_an_error_even_while_workers_are_killed(
    vectors_only: Path, tmp_path: Path
) -> None:
    with (
        running(tmp_path, "--index", vectors_only, "--workers", 2) as (client, process),
        Load(client.base_url).running(4) as load,
    ):
        for _ in range(3):
            answered = load.statuses[200]
            victim, *_ = list_workers(process.pid)
            os.kill(victim, signal.SIGKILL)
            wait_until(
                lambda victim=victim: len(set(list_workers(process.pid)) - {victim}) == 2,  # type: ignore[misc]  # mypy infers no type for a lambda with a default
                seconds=60,
            )
            wait_until(lambda answered=answered: load.statuses[200] > answered + 100, seconds=60)  # type: ignore[misc]  # as above
    assert load.details == []
    assert set(load.statuses) == {200}
    assert load.broken <= 3 * 4


def test_a_service_whose_workers_all_die_comes_back(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only, "--workers", 2) as (client, process):
        for victim in list_workers(process.pid):
            os.kill(victim, signal.SIGKILL)
        with httpx.Client(base_url=client.base_url, timeout=60) as fresh:
            assert fresh.get("/health/ready").status_code == 200
            assert fresh.post("/v1/recommend", json={}).status_code == 200


def test_a_snapshot_that_cannot_be_opened_is_told_by_every_worker(
    vectors_only: Path, tmp_path: Path
) -> None:
    with running(tmp_path, "--index", vectors_only, "--workers", 2) as (client, process):
        (snapshot,) = (vectors_only / "snapshots").iterdir()
        (snapshot / "manifest.json").rename(tmp_path / "manifest.json")
        for victim in list_workers(process.pid):
            os.kill(victim, signal.SIGKILL)
        with httpx.Client(base_url=client.base_url, timeout=60) as fresh:
            answer = fresh.get("/health/ready")
            assert answer.status_code == 503
            assert "cannot be opened" in answer.json()["detail"]
        (tmp_path / "manifest.json").rename(snapshot / "manifest.json")

        def is_ready() -> bool:
            asked = [httpx.get(f"{client.base_url}/health/ready", timeout=60) for _ in range(9)]
            return all(response.status_code == 200 for response in asked)

        wait_until(is_ready, seconds=60)


def scrape(base_url: httpx.URL) -> dict[str, float]:
    """The samples of /metrics, over a new connection, which any worker may take."""
    text = httpx.get(f"{base_url}/metrics", timeout=30).text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


ANSWERED = 'zhiyin_requests_total{method="POST",route="/v1/recommend",status="200"}'


def test_every_worker_tells_the_sum_of_all(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only, "--workers", 2) as (client, process):
        for _ in range(40):
            assert httpx.post(f"{client.base_url}/v1/recommend", json={}).status_code == 200
        wait_until(lambda: scrape(client.base_url).get(ANSWERED) == 40)
        assert {scrape(client.base_url)[ANSWERED] for _ in range(12)} == {40}
        told = {name for name in scrape(client.base_url) if "worker_info" in name}
        assert told == {
            f'zhiyin_worker_info{{worker="{pid}"}}' for pid in list_workers(process.pid)
        }


def test_no_counter_falls_while_workers_are_killed(vectors_only: Path, tmp_path: Path) -> None:
    last: dict[str, float] = {}
    with running(tmp_path, "--index", vectors_only, "--workers", 2) as (client, process):
        with Load(client.base_url).running(3) as load:
            for number in range(30):
                if number % 10 == 5:
                    os.kill(list_workers(process.pid)[0], signal.SIGKILL)
                try:
                    found = scrape(client.base_url)
                except httpx.TransportError:  # of the worker that was killed
                    continue
                fallen = {name for name, value in last.items() if found.get(name, 0.0) < value}
                assert not {name for name in fallen if "worker" not in name}
                last = found
                time.sleep(0.2)
        wait_until(lambda: len(list_workers(process.pid)) == 2, seconds=60)
        total = scrape(client.base_url)[ANSWERED]
        # Who was killed may have answered each client without having counted it, or counted only.
        assert load.statuses[200] - 9 <= total <= load.statuses[200] + load.broken


@pytest.mark.parametrize(
    ("answers", "has_answered", "patience_s", "is_left"),
    [
        (True, True, 0.2, True),
        (False, True, 0.2, False),
        (False, False, 0.2, False),
        (False, False, 60.0, True),  # it imports its libraries, on a busy machine
        (False, True, 60.0, False),
    ],
)
def test_a_worker_that_hangs_is_ended_and_one_that_loads_or_starts_is_left(
    monkeypatch: pytest.MonkeyPatch,
    *,
    answers: bool,
    has_answered: bool,
    patience_s: float,
    is_left: bool,
) -> None:
    """`patience_s` is what one gets that never answered; 0.2 s one that has."""
    monkeypatch.setattr(workers, "_HANGS_AFTER_S", 0.2)
    monkeypatch.setattr(workers, "_HANGS_BEFORE_STARTING_S", patience_s)
    with socket.socket() as listener:
        pool = workers.WorkerPool(Config("no:app", workers=1), listener)
        worker = workers._Worker(pool.config, [listener])
        worker.process = get_context("spawn").Process(target=time.sleep, args=(60,))
        worker.process.start()
        worker.has_answered = has_answered
        if answers:
            threading.Thread(target=worker.always_pong, daemon=True).start()
        (place,) = pool._places
        place.worker = worker
        assert pool._look_after(place) == 0
        assert worker.process.is_alive() == is_left
        assert (place.worker is worker) == is_left
        worker.process.kill()
        worker.process.join()
