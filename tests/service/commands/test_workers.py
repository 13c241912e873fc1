"""Four real worker processes: whoever answers knows what any other has acknowledged."""

import itertools
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.conftest import running, wait_until

LOAD_S = 120
ASKED = 12  # fresh connections after each write: with four workers all of them are among these

pytestmark = pytest.mark.slow


def fresh_answers(base_url: httpx.URL, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask through connections of their own: the system gives each to any worker."""
    answers = []
    for _ in range(ASKED):
        with httpx.Client(base_url=base_url, timeout=30) as client:
            response = client.post("/v1/recommend", json=body)
            assert response.status_code == 200, response.text
            answers.append(response.json())
    return answers


def wait_for_all_workers(base_url: httpx.URL) -> None:
    """One that is ready does not tell that the others are."""

    def all_ready() -> bool:
        asked = [httpx.get(f"{base_url}/health/ready", timeout=30) for _ in range(2 * ASKED)]
        return all(response.status_code == 200 for response in asked)

    wait_until(all_ready, seconds=120)


def ids(answer: dict[str, Any]) -> set[str]:
    return {hit["id"] for hit in answer["items"]}


def test_every_worker_knows_what_any_worker_has_acknowledged(
    vectors_only: Path, tmp_path: Path
) -> None:
    with running(tmp_path, "--index", vectors_only, "--workers", 4) as (client, process):
        wait_for_all_workers(client.base_url)
        for number in range(8):
            event = {"user_id": "u", "item_id": f"v{number}", "event": "like"}
            seq = httpx.post(f"{client.base_url}/v1/events", json=event).json()["live_seq"]
            for answer in fresh_answers(client.base_url, {"user_id": "u", "k": 100}):
                assert answer["live_seq"] >= seq
                assert answer["complete"]["excluded"]["seen"] == number + 1
                assert f"v{number}" not in ids(answer)
        for number in range(8):
            item = {"title": f"new {number}", "vector": [1.0, number, 0.5]}
            assert httpx.put(f"{client.base_url}/v1/items/n{number}", json=item).status_code == 200
            httpx.delete(f"{client.base_url}/v1/items/v{number + 10}")
            for answer in fresh_answers(client.base_url, {"k": 100}):
                assert f"n{number}" in ids(answer)
                assert f"v{number + 10}" not in ids(answer)
        seen = {answer["items"][0]["id"] for answer in trending(client.base_url)}
        assert len(seen) == 1
        httpx.delete(f"{client.base_url}/v1/users/u")
        for answer in fresh_answers(client.base_url, {"user_id": "u", "k": 100}):
            assert answer["complete"]["excluded"]["seen"] == 0
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def trending(base_url: httpx.URL) -> list[dict[str, Any]]:
    return [httpx.get(f"{base_url}/v1/trending", timeout=30).json() for _ in range(ASKED)]


def test_writing_and_reading_for_two_minutes_is_never_locked(
    vectors_only: Path, tmp_path: Path
) -> None:
    stop = threading.Event()
    bad: list[str] = []
    counts = {"written": 0, "read": 0}
    numbers = itertools.count()

    def work(base_url: httpx.URL, reads: bool) -> None:  # noqa: FBT001  # which of two loops
        with httpx.Client(base_url=base_url, timeout=30) as client:
            while not stop.is_set():
                number = next(numbers)
                if reads:
                    response = client.post("/v1/recommend", json={"user_id": f"u{number % 50}"})
                else:
                    response = client.post("/v1/events", json={"events": batch(number)})
                    if number % 5 == 0:
                        item = {"title": "x", "vector": [1.0, number % 9, 0.5]}
                        client.put(f"/v1/items/n{number % 100}", json=item)
                counts["read" if reads else "written"] += 1
                if response.status_code != 200:
                    bad.append(response.text)

    with running(tmp_path, "--index", vectors_only, "--workers", 4) as (client, process):
        wait_for_all_workers(client.base_url)
        threads = [
            threading.Thread(target=work, args=(client.base_url, place % 2 == 0))
            for place in range(8)
        ]
        for thread in threads:
            thread.start()
        time.sleep(LOAD_S)
        stop.set()
        for thread in threads:
            thread.join()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert bad == []
    assert min(counts.values()) > 500


def batch(number: int) -> list[dict[str, Any]]:
    return [
        {"user_id": f"u{(number + part) % 50}", "item_id": f"v{part % 20}", "event": "view"}
        for part in range(10)
    ]
