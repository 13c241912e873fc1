#!/usr/bin/env python3
"""Measure what live changes cost: latency of recommendations without any, and with thousands.

Starts a service of its own over made-up items with ready vectors, asks, changes a part of the
catalogue over HTTP (half replaced, some new, some deleted), asks the same again, and compares the
top of each list with looking at every item. Prints one JSON line.

Example:
  live_items.py --items 100000 --changes 10000
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import build_index
from service.commands import create_parser, run_and_exit
from service.jobs import Caller, Service

_DIM, _BATCH, _K = 64, 200, 10


def main() -> int:
    """Build, serve, ask, change, ask again."""
    made = create_parser(__doc__ or "")
    made.add_argument("--items", type=int, default=20_000, help="of the snapshot (default 20000)")
    made.add_argument("--changes", type=int, default=10_000, help="live ones (default 10000)")
    made.add_argument("--requests", type=int, default=400, help="each time (default 400)")
    asked = made.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        root = _index(Path(folder), asked.items, rng)
        with Service(root, f"sqlite:///{Path(folder) / 'live.sqlite'}") as service:
            caller = service.connect()
            before = _latencies(caller, asked.requests, asked.items)
            started = time.perf_counter()
            changed = _change(caller, asked.items, asked.changes, rng)
            seconds = time.perf_counter() - started
            first = _latencies(caller, 1, asked.items)
            after = _latencies(caller, asked.requests, asked.items)
            right = sum(_is_found(caller, *new) for new in list(changed.items())[:50])
            busy = _while_changing(caller, asked.requests, asked.items, rng)
    figures = {
        **vars(asked),
        "p50_ms": [_ms(before, 0.5), _ms(after, 0.5)],
        "p99_ms": [_ms(before, 0.99), _ms(after, 0.99)],
        "p99_ratio": round(_ms(after, 0.99) / _ms(before, 0.99), 2),
        "p99_ms_while_changing": _ms(busy, 0.99),
        "first_after_changes_ms": _ms(first, 0.5),
        "changes_per_s": round(asked.changes / seconds),
        "live_items_found_first": right / min(50, len(changed)),
    }
    del figures["debug"]
    print(json.dumps(figures))
    return 0


def _index(folder: Path, count: int, rng: np.random.Generator) -> Path:
    catalog = folder / "items.jsonl"
    with catalog.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(json.dumps({"id": f"m{number:07d}", **_fields(rng)}) + "\n")
    build_index(catalog, folder / "index", model="none")
    return folder / "index"


def _fields(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "title": f"item {rng.integers(1_000)} of {rng.integers(1_000)}",
        "tags": [f"tag{rng.integers(20)}", f"tag{rng.integers(20)}"],
        "rating": float(rng.integers(2, 11)) / 2,
        "available": bool(rng.random() < 0.95),
        "vector": _vector(rng),
    }


def _vector(rng: np.random.Generator) -> list[float]:
    return [round(float(number), 4) for number in rng.normal(size=_DIM)]


def _change(caller: Caller, items: int, changes: int, rng: np.random.Generator) -> dict[str, Any]:
    """Put half over old items and most of the rest as new ones; return the new ones."""
    new: dict[str, Any] = {}
    for start in range(0, changes, _BATCH):
        batch = []
        for number in range(start, min(start + _BATCH, changes)):
            old = number % 2 == 0
            item_id = f"m{rng.integers(items):07d}" if old else f"n{number:07d}"
            item = {"id": item_id, **_fields(rng), "available": True}
            batch.append(item)
            if not old:
                new[item_id] = item
        caller.post("/v1/items", {"items": batch})
    return new


def _requests(count: int, items: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(1)
    for number in range(count):
        history = [{"item_id": f"m{rng.integers(items):07d}", "event": "like"} for _ in range(5)]
        body: dict[str, Any] = {"history": history, "k": _K, "user_id": f"u{number}"}
        if number % 2:
            body["filter"] = {"tags": f"tag{rng.integers(20)}", "rating": {"gte": 3}}
        yield body


def _latencies(caller: Caller, count: int, items: int) -> NDArray[np.float64]:
    seconds = []
    for body in _requests(count, items):
        started = time.perf_counter()
        caller.post("/v1/recommend", body)
        seconds.append(time.perf_counter() - started)
    return np.array(seconds)


def _while_changing(
    caller: Caller, count: int, items: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Each request comes right after one more change."""
    seconds = []
    for body in _requests(count, items):
        caller.post("/v1/items", {"items": [{"id": "same", **_fields(rng)}]})
        started = time.perf_counter()
        caller.post("/v1/recommend", body)
        seconds.append(time.perf_counter() - started)
    return np.array(seconds)


def _is_found(caller: Caller, item_id: str, item: dict[str, Any]) -> bool:
    """Whether what is most like an item is the item itself."""
    body = {"history": [{"item_id": item_id}], "include_seen": True, "k": 1}
    body |= {"weights": {"prior": 0}}
    return bool(caller.post("/v1/recommend", body)["items"][0]["id"] == item_id)


def _ms(seconds: NDArray[np.float64], quantile: float) -> float:
    return round(float(1_000 * np.quantile(seconds, quantile)), 2)


if __name__ == "__main__":
    run_and_exit(main)
