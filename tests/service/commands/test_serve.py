"""scripts/serve.py as a process of its own."""

import json
import os
import runpy
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexer import build_index
from service import Settings
from tests.oracle import write_rows
from tests.paths import REPOSITORY
from tests.service.conftest import Shop, command, running

Failed = Callable[..., tuple[int, str]]


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Failed:
    """Run a command that fails, in this process; return its exit code and stderr."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))

    def run(*arguments: Any) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", command(*arguments)[1:])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(sys.argv[0], run_name="__main__")
        assert isinstance(caught.value.code, int)
        return caught.value.code, capsys.readouterr().err

    return run


def test_a_real_server_answers_and_stops_with_success(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only) as (client, process):
        answer = client.post("/v1/recommend", json={"history": ["v3"], "k": 3}).json()
        assert [hit["rank"] for hit in answer["items"]] == [1, 2, 3]
        assert client.get("/v1/items/v%33").json()["id"] == "v3"
        too_large = client.post(
            "/v1/recommend",
            content=(b" " * (1 << 16) for _ in range(20)),
            headers={"Content-Type": "application/json"},
        )
        assert too_large.status_code == 413
        no_model = client.post("/v1/search", json={"query": "sea"})
        assert no_model.status_code == 422
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.slow
def test_workers_share_cursors(vectors_only: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--index", vectors_only, "--workers", 2) as (client, process):
        found = []
        body: dict[str, Any] = {"history": ["v3"], "k": 2}
        while body:
            client.close()
            fresh = httpx.Client(base_url=client.base_url, timeout=30)  # any worker may accept it
            with fresh:
                answer = fresh.post("/v1/recommend", json=body).json()
            found += [hit["id"] for hit in answer["items"]]
            body = {"cursor": answer["next_cursor"]} if answer["next_cursor"] else {}
        assert sorted(found) == sorted(f"v{number}" for number in range(20) if number != 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_hang_up_ends_nothing_and_loses_nothing(
    vectors_only: Path, tmp_path: Path, workers: int
) -> None:
    with running(tmp_path, "--index", vectors_only, "--workers", workers) as (client, process):
        for number in range(20):
            os.killpg(process.pid, signal.SIGHUP)  # as a terminal does that is closed
            event = {"user_id": "u", "item_id": f"v{number}", "event": "view"}
            assert client.post("/v1/events", json=event).json()["accepted"] == 1
        assert client.get("/v1/users/u").json()["events"] == 20
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.slow
def test_two_services_share_one_store(vectors_only: Path, tmp_path: Path) -> None:
    """Each sees at once what the other has acknowledged, and neither ends the other's store."""
    copy = tmp_path / "copy"
    shutil.copytree(vectors_only, copy)
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    here, there = ("--index", vectors_only, "--db", url), ("--index", copy, "--db", url)
    with running(tmp_path, *here) as (one, _):
        with running(tmp_path, *there) as (other, process):

            def write(client: httpx.Client) -> None:
                for number in range(100):
                    event = {"user_id": f"u{number % 5}", "item_id": "v1", "event": "view"}
                    assert client.post("/v1/events", json=event).json()["accepted"] == 1

            with ThreadPoolExecutor(2) as pool:
                list(pool.map(write, (one, other)))
            for client in (one, other):
                known = [client.get(f"/v1/users/u{user}").json()["events"] for user in range(5)]
                assert known == [40] * 5
            other.delete("/v1/users/u4").raise_for_status()
            assert one.get("/v1/users/u4").status_code == 404
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        write_again = {"user_id": "u0", "item_id": "v2", "event": "view"}
        assert one.post("/v1/events", json=write_again).json()["accepted"] == 1
    with running(tmp_path, *here) as (again, _):  # the one before was killed
        assert again.get("/v1/users/u0").json()["events"] == 41


def test_what_cannot_start_says_so_in_one_line(
    vectors_only: Path, tmp_path: Path, failed: Failed
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for said, arguments in (
            ("no file CURRENT", ["--index", tmp_path / "nothing"]),
            ("--api-key-file", ["--index", vectors_only, "--host", "0.0.0.0"]),
            ("cannot be read", ["--index", vectors_only, "--api-key-file", tmp_path / "none"]),
            (f"127.0.0.1:{port}", ["--index", vectors_only, "--port", port]),
        ):
            code, stderr = failed(*arguments)
            assert code == 1, stderr
            assert said in stderr
            assert stderr.count("\n") == 1


def test_bad_usage_exits_with_two(vectors_only: Path, failed: Failed) -> None:
    for arguments in (
        [],
        ["--index", vectors_only, "--port", "99999"],
        ["--index", vectors_only, "--workers", "0"],
        ["--index", vectors_only, "--nonsense"],
    ):
        assert failed(*arguments)[0] == 2


def test_settings_round_trip() -> None:
    for settings in (
        Settings(Path("a")),
        Settings(
            Path("目录"), api_key_file=Path("k"), secret_file=Path("s"), workers=3, poll_s=0.5
        ),
    ):
        assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.model
@pytest.mark.slow
def test_the_real_model_answers_in_both_languages(shop: Shop, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "title": "电影A", "tags": ["悬疑", "恐怖"], "rating": 4.5},
        {"id": "b", "title": "电影B", "tags": ["喜剧", "爱情"], "rating": 4.8},
        {"id": "c", "title": "电影C", "tags": ["动作", "冒险"], "rating": 4.6},
    ]
    build_index(write_rows(tmp_path / "films.jsonl", rows), tmp_path / "index")
    with running(tmp_path, "--index", tmp_path / "index") as (client, _):
        texts = ["我喜欢看电影", "我最近喜欢看悬疑片", "明天晚上有空"]
        for body, first in (
            ({"history": [{"text": text} for text in texts]}, "a"),
            ({"interests": ["喜剧", "爱情"]}, "b"),
            ({"query": "an action adventure film"}, "c"),
        ):
            answer = client.post("/v1/recommend", json=body)
            assert json.loads(answer.text)["items"][0]["id"] == first
