"""A small catalogue, its index, its brute-force truth, and services over copies of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from indexer import Index, build_index
from indexer.language.item_text import describe_item
from service import Settings, create_app
from service.store.database import LiveDatabase
from service.store.schema import counter, tables
from tests.fakes import WordEncoder
from tests.oracle import World, space_of, stored, write_rows
from tests.paths import REPOSITORY
from tests.worlds import described_rows

STRANGE_IDS = ("a/b", "a/similar", "中文 电影/第2部", "100%", "a%2Fb", "q?x#y&z=1", "+plus+")
SERVICE_READY_S = 20
LOCAL = "http://localhost"  # a service without keys answers to no name of other machines


@dataclass(frozen=True)
class Shop:
    """A catalogue on disk, indexed, and the truth about it."""

    rows: list[dict[str, Any]]
    root: Path
    world: World
    encoder: WordEncoder


Serve = Callable[..., AbstractContextManager[TestClient]]


def wait_until(condition: Callable[[], bool], *, seconds: float = SERVICE_READY_S) -> None:
    """Fail unless a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def shop_rows() -> list[dict[str, Any]]:
    strange = [
        {"id": item_id, "title": f"strange sea {place}", "tags": ["ghost"], "rating": 3.0}
        for place, item_id in enumerate(STRANGE_IDS)
    ]
    return [*described_rows(420, seed=5), *strange]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    rows = shop_rows()
    encoder = WordEncoder(dim=32)
    build_index(write_rows(folder / "items.jsonl", rows), folder / "index", encoder=encoder)
    texts = {row["id"]: describe_item(row, rating_scale=(1, 5)) for row in rows}
    vectors = {item_id: encoder.encode_items([text])[0] for item_id, text in texts.items()}
    raw = stored(np.stack([vectors[item_id] for item_id in sorted(vectors)]))
    world = World(rows, vectors, space=space_of(encoder, raw), encode=encoder.encode_queries)
    with closing(Index.open(folder / "index", encoder=encoder)) as index:
        world.take_representatives(index)
    return Shop(rows, folder / "index", world, encoder)


@pytest.fixture
def own_shop(shop: Shop, tmp_path: Path) -> Shop:
    """A copy whose snapshots a test may change."""
    no_store = shutil.ignore_patterns("live.sqlite*")
    shutil.copytree(shop.root, tmp_path / "index", ignore=no_store)
    return replace(shop, root=tmp_path / "index")


@pytest.fixture(scope="session")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "secret"


@pytest.fixture
def serve(secret_file: Path) -> Serve:
    """Start a service; entering waits until it is ready."""

    @contextmanager
    def started(shop: Shop, *, clock: Callable[[], float] = time.time, **chosen: Any) -> Iterator[
        TestClient
    ]:  # fmt: skip
        settings = Settings(shop.root, **{"secret_file": secret_file, "poll_s": 0.05, **chosen})
        app = create_app(settings, shop.encoder, clock=clock)
        with TestClient(app, LOCAL, raise_server_exceptions=False) as client:
            wait_until(lambda: client.get("/health/ready").status_code == 200)
            yield client

    return started


@pytest.fixture(scope="module")
def client(shop: Shop, secret_file: Path) -> Iterator[TestClient]:
    """One service for all tests of a module that change nothing."""
    app = create_app(Settings(shop.root, secret_file=secret_file), shop.encoder)
    with TestClient(app, LOCAL, raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client


def rebuild(shop: Shop, rows: list[dict[str, Any]], folder: Path) -> str:
    """Publish another snapshot; return its id."""
    catalog = write_rows(folder / "again.jsonl", rows)
    return build_index(catalog, shop.root, encoder=shop.encoder).snapshot


def problem(response: Any, status: int) -> str:
    """Check that a response is this problem; return its sentence."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = json.loads(response.text)
    assert body["status"] == status
    assert body["title"]
    assert body["type"] == "about:blank"
    assert "Traceback" not in response.text
    detail: str = body["detail"]
    assert "\n" not in detail
    return detail


@pytest.fixture(params=["sqlite", "postgresql"])
def live_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a live store, in each kind of database that may hold one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'live.sqlite'}"
    url: str = request.getfixturevalue("postgres")
    return url


@contextmanager
def emptied(url: str) -> Iterator[LiveDatabase]:
    """An open live store that holds nothing, whatever it held before."""
    opened = LiveDatabase.open(url)
    with opened.begin_write() as write:
        for table in set(tables.sorted_tables) - {counter}:
            write.connection.execute(table.delete())
    yield opened
    opened.close()


@pytest.fixture
def database(live_url: str) -> Iterator[LiveDatabase]:
    """An empty live store."""
    with emptied(live_url) as opened:
        yield opened


def liked(client: TestClient, user_id: str, *ids: str, **more: Any) -> None:
    """Post likes."""
    events = [{"user_id": user_id, "item_id": i, "event": "like", **more} for i in ids]
    answer = client.post("/v1/events", json={"events": events})
    assert answer.status_code == 200, answer.text


def ids_for(client: TestClient, **body: Any) -> list[str]:
    """The ids of a recommendation."""
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["items"]]


@pytest.fixture
def vectors_only(tmp_path: Path) -> Path:
    """An index that needs no model; its catalogue lies beside it as `items.jsonl`."""
    rows = [
        {"id": f"v{number}", "title": f"item {number}", "vector": [1.0, number, 0.5]}
        for number in range(20)
    ]
    catalog = write_rows(tmp_path / "items.jsonl", rows)
    build_index(catalog, tmp_path / "vectors", model="none")
    return tmp_path / "vectors"


def command(*arguments: Any) -> list[str]:
    return [sys.executable, str(REPOSITORY / "scripts" / "serve.py"), *map(str, arguments)]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "XDG_STATE_HOME": str(tmp_path)}


@contextmanager
def running(
    tmp_path: Path, *arguments: Any
) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A service on a free port, ready."""
    process = subprocess.Popen(
        command("--port", 0, *arguments),
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split(" on ")[1].split()[0]
        with httpx.Client(base_url=address, timeout=30) as client:
            wait_until(lambda: _is_ready(client), seconds=60)
            yield client, process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers of a killed parent would live on
        process.communicate()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


_SAMPLE = re.compile(r'^[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? -?[0-9.e+-]+$')


def samples(client: TestClient) -> dict[str, float]:
    """Every sample of /metrics."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("# ")]
    assert all(_SAMPLE.match(line) for line in lines)
    pairs = (line.rsplit(" ", 1) for line in lines)
    return {name: float(value) for name, value in pairs}
