#!/usr/bin/env python3
"""Measure answers over HTTP: how many a second, how soon, and whether they are the right ones.

Serves a copy of an index with made-up users, each with some events, and loads it with `wrk` (from
Debian's package of that name). A server of one process gets the first core and `wrk` the others;
the workers of a server share all cores with it where there are no more. In one run, for each
number of connections:

- `same`: users who did nothing since they last asked; memory holds all that an answer needs.
- `first`: users who ask for the first time, so that their history is read and weighed.
- `clicking`: the same few users, while events of theirs are posted, 500 a second.
- `item`: one item by its id. `bare`: a route of the same server that does no work.
- `search_only`: another server, which searches a FAISS index and returns ten ids; no user, no
  items, no reasons. Left out beyond 300,000 items: its graph takes long to build.
- with --texts, `new_texts`: searches for texts that nobody asked for before; and `txtai`, if it is
  installed: its own server's answers to the same searches over the same items and model.

`recall` is the share of the first ten that a search of every vector would show, over the first
users. Prints one JSON line. (Not called http.py: that would hide the standard library's module of
this name from all scripts beside it.)

Examples:
  over_http.py --index data/index
  over_http.py --index data/index --workers 2 --connections 8,64 --texts
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from _background import running_beside

from indexer import Index
from indexer.ann import VectorIndex
from service.commands import create_parser, run_and_exit
from service.jobs import Service, ServiceError
from service.store import LiveDatabase, events

_EVENTS_PER_USER = 20
_KNOWN_USERS, _NEW_USERS = 100, 20_000
_EVENTS_PER_S = 500
_EXACT_USERS = 50
_MAX_GRAPH_ITEMS = 300_000
_QUERY = "a film about NUMBER winters by the sea"
_OTHER_PORT, _START_S = 8_750, 60
_PAUSE_S = 2  # in which the server ends what was under way when `wrk` left
_SCRIPT = """
local path, low, high, kind = "{path}", {low}, {high}, "{kind}"
math.randomseed({seed})
local turn = low
request = function()
  local number = kind == "in turn" and turn or math.random(low, high)
  turn = turn + 1
  if "{method}" == "GET" then return wrk.format("GET", (path:gsub("NUMBER", number))) end
  local body = ('{body}'):gsub("NUMBER", number)
  return wrk.format("POST", path, {{["Content-Type"] = "application/json"}}, body)
end
done = function(summary, latency, requests)
  local form = '\\n{{"answers": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "bad": %d}}\\n'
  io.write(string.format(form,
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, summary.errors.status))
end
"""


def main() -> int:
    """Serve, load, compare, print."""
    parser = create_parser(__doc__ or "")
    parser.add_argument("--index", required=True, type=Path, metavar="DIR")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--connections", default="1,8,64", help="(default 1,8,64)")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement (default 5)")
    parser.add_argument("--texts", action="store_true", help="also search for new texts")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        raise ServiceError("wrk is not installed; apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "index"
        shutil.copytree(arguments.index, root, ignore=shutil.ignore_patterns("live.sqlite*"))
        figures = _measure(root, arguments)
    print(json.dumps(figures))
    return 0


def _measure(root: Path, arguments: Any) -> dict[str, Any]:
    index = Index.open(root)
    url = f"sqlite:///{root / 'live.sqlite'}"
    _write_events(index, url)
    connections = [int(text) for text in arguments.connections.split(",")]
    load = _Load(arguments.seconds)
    figures: dict[str, Any] = {
        "items": index.count,
        "learned": index.taste is not None,
        "kind": index.manifest.index["kind"],
        "workers": arguments.workers,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "in_process_ms": {str(n): _time_in_process(index, n) for n in (20, 200)},
        "recall": _measure_recall(index, root),
    }
    started = time.perf_counter()
    with _pinned(arguments.workers), Service(root, url, workers=arguments.workers) as service:
        figures["ready_s"] = round(time.perf_counter() - started, 2)
        caller = service.connect()
        answer = caller.post("/v1/recommend", {"user_id": "u0"})
        figures["answer_bytes"] = len(json.dumps(answer, ensure_ascii=False).encode())
        figures["cursor_bytes"] = len(answer["next_cursor"] or "")
        with _released():
            figures["http"] = {
                str(count): _measure_calls(load, service, index, count, texts=arguments.texts)
                for count in connections
            }
        figures["memory_mb"] = _read_memory(service)
    if arguments.texts and find_spec("txtai") and index.manifest.encoder_source:
        figures["txtai"] = _measure_txtai(load, root, connections)
    if index.count <= _MAX_GRAPH_ITEMS:
        with _search_only(root) as port, _released():
            for count in connections:
                figures["http"][str(count)]["search_only"] = load.post(
                    port, count, "/", '{"number": NUMBER}', last=min(10_000, index.count - 1)
                )
    return figures


def _measure_calls(
    load: "_Load", service: Service, index: Index, connections: int, *, texts: bool
) -> dict[str, Any]:
    port = service.port
    by_user = '{"user_id": "uNUMBER", "k": 10}'
    known = _KNOWN_USERS - 1
    load.post(port, connections, "/v1/recommend", by_user, last=known)  # they ask a first time
    figures = {"same": load.post(port, connections, "/v1/recommend", by_user, last=known)}
    figures["first"] = load.post(
        port, connections, "/v1/recommend", by_user, last=_NEW_USERS - 1, in_turn=True
    )
    with _events_posted(service, index):
        figures["clicking"] = load.post(port, connections, "/v1/recommend", by_user, last=known)
    if texts:
        query = f'{{"query": "{_QUERY}"}}'
        figures["new_texts"] = load.post(
            port, connections, "/v1/search", query, last=_NEW_USERS, in_turn=True
        )
    item_id = index.ids([0])[0]
    figures["item"] = load.get(port, connections, f"/v1/items/{item_id}")
    figures["bare"] = load.get(port, connections, "/health/live")
    return figures


def _measure_txtai(load: "_Load", root: Path, connections: Sequence[int]) -> dict[str, Any]:
    """Serve the same items by txtai; return how long it takes to build, and its answers."""
    path = f"/search?limit=10&query={quote(_QUERY)}"
    with (
        tempfile.TemporaryDirectory() as folder,
        _other_server("_txtai_server.py", root, folder) as (port, line),
        _released(),
    ):
        answers = {
            str(count): load.get(port, count, path, last=_NEW_USERS, in_turn=True)
            for count in connections
        }
    return {"build_s": float(line), **answers}


class _Load:
    """Runs `wrk`, and reads what it says."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._next_number = _KNOWN_USERS  # of users who have not asked yet

    def post(
        self, port: int, connections: int, path: str, body: str, *, last: int, in_turn: bool = False
    ) -> dict[str, float]:
        """Post a body in which NUMBER stands for a number up to `last`, at random or in turn."""
        return self._call(port, connections, ("POST", path, body), last=last, in_turn=in_turn)

    def get(
        self, port: int, connections: int, path: str, *, last: int = 1, in_turn: bool = False
    ) -> dict[str, float]:
        """Get a path in which NUMBER stands for a number as in `post`."""
        return self._call(port, connections, ("GET", path, ""), last=last, in_turn=in_turn)

    def _call(
        self,
        port: int,
        connections: int,
        request: tuple[str, str, str],
        *,
        last: int,
        in_turn: bool,
    ) -> dict[str, float]:
        method, path, body = request
        low = self._next_number if in_turn else 0
        found = self._run(port, connections, method=method, path=path, body=body, low=low,
                          high=last, kind="in turn" if in_turn else "at random")  # fmt: skip
        answers = int(found.pop("answers"))
        if in_turn:
            self._next_number += answers + connections
        return found

    def _run(self, port: int, connections: int, **parts: Any) -> dict[str, float]:
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(_SCRIPT.format(seed=connections, **parts))
            script.flush()
            command = [
                "wrk",
                "-t1",
                f"-c{connections}",
                f"-d{self._seconds}s",
                "--timeout",
                "30s",
                "-s",
                script.name,
            ]
            address = f"http://127.0.0.1:{port}"
            result = subprocess.run([*command, address], capture_output=True, text=True, check=True)
        time.sleep(_PAUSE_S)
        found: dict[str, float] = json.loads(result.stdout.strip().splitlines()[-1])
        if found["bad"]:
            raise ServiceError(f"{parts['path']}: {found['bad']:.0f} answers were errors")
        return {
            "answers": found["answers"],
            "per_s": round(found["answers"] / found["seconds"]),
            "p50_ms": round(found["p50_ms"], 2),
            "p99_ms": round(found["p99_ms"], 2),
        }


def _write_events(index: Index, url: str) -> None:
    """Give each user some clicks, written as the log holds them."""
    rng = np.random.default_rng(0)
    database = LiveDatabase.open(url)
    for start in range(0, _NEW_USERS, 1_000):
        rows = rng.integers(index.count, size=(1_000, _EVENTS_PER_USER))
        ids = dict(zip(rows.ravel().tolist(), index.ids(rows.ravel().tolist()), strict=True))
        with database.begin_write() as transaction:
            seq = transaction.reserve(rows.size)
            transaction.connection.execute(
                events.insert(),
                [
                    {"seq": seq + _EVENTS_PER_USER * user + turn,
                     "event_id": f"{start + user}-{turn}", "user_id": f"u{start + user}",
                     "item_id": ids[row], "event": "click", "at": 1.7e9 + 60 * turn}
                    for user, clicks in enumerate(rows.tolist())
                    for turn, row in enumerate(clicks)
                ],
            )  # fmt: skip
    database.close()


def _time_in_process(index: Index, size: int) -> float:
    """Return the median milliseconds of `Index.recommend` for so many past items."""
    rng = np.random.default_rng(1)
    histories = [index.ids(rng.integers(index.count, size=size).tolist()) for _ in range(60)]
    durations = []
    for history in histories:
        started = time.perf_counter()
        index.recommend(history=history, k=10)
        durations.append(1_000 * (time.perf_counter() - started))
    return round(statistics.median(durations[10:]), 2)


def _measure_recall(index: Index, root: Path) -> float:
    """Return the share of the first ten that a search of every vector shows too."""
    exact = Index.open(root)
    exact._vectors = VectorIndex.build(index.item_vectors(np.arange(index.count)))
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(_EXACT_USERS):
        history = index.ids(rng.integers(index.count, size=_EVENTS_PER_USER).tolist())
        found, right = (set(one.recommend(history=history, k=10).ids) for one in (index, exact))
        shares.append(len(found & right) / max(1, len(right)))
    return round(float(np.mean(shares)), 4)


@contextmanager
def _events_posted(service: Service, index: Index) -> Iterator[None]:
    """Post events of the known users in the background."""
    rng = np.random.default_rng(3)

    def post(stopping: threading.Event) -> None:
        caller, batch = service.connect(), _EVENTS_PER_S // 10
        while not stopping.wait(0.1):
            ids = index.ids(rng.integers(index.count, size=batch).tolist())
            users = rng.integers(_KNOWN_USERS, size=batch).tolist()
            clicks = [
                {"user_id": f"u{user}", "item_id": item_id, "event": "click"}
                for user, item_id in zip(users, ids, strict=True)
            ]
            caller.post("/v1/events", {"events": clicks})

    with running_beside(post):
        yield


@contextmanager
def _search_only(root: Path) -> Iterator[int]:
    """Serve what searches alone would give: an item's vector to ten ids."""
    with _other_server("_search_only.py", root) as (port, _):
        yield port


@contextmanager
def _other_server(script: str, *arguments: Any) -> Iterator[tuple[int, str]]:
    """Run a script of this folder that serves on the port in its last argument.

    Yields:
        The port, and the line that the script printed when it was ready.
    """
    command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
    with _pinned(1):
        process = subprocess.Popen(
            [*command, str(_OTHER_PORT)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        deadline = time.monotonic() + _START_S
        while not _accepts(_OTHER_PORT):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServiceError(f"{script} did not start")
            time.sleep(0.2)
        yield _OTHER_PORT, line
    finally:
        process.terminate()
        process.wait(30)


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _pinned(count: int) -> Iterator[None]:
    """Let what is started here, and this process, run on the first cores alone."""
    with _affinity(lambda cores: set(sorted(cores)[:count])):
        yield


@contextmanager
def _released() -> Iterator[None]:
    """Let what is started here run on the other cores."""
    with _affinity(lambda _: set(range(1, os.cpu_count() or 1)) or {0}):
        yield


@contextmanager
def _affinity(choose: Callable[[set[int]], set[int]]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, choose(set(before)))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _read_memory(service: Service) -> dict[str, int]:
    """Return resident and proportional memory of the server process, in MB."""
    text = Path(f"/proc/{service.pid}/smaps_rollup").read_text(encoding="ascii")
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    return {name: round(sizes[name] / 1_024) for name in ("Rss", "Pss")}


if __name__ == "__main__":
    run_and_exit(main)
