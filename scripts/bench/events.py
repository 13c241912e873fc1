#!/usr/bin/env python3
"""Measure how fast events are kept: over HTTP, in batches, each durable before it is answered.

Starts a service of its own over a small index without a model, posts from a few connections, and
then looks into the store from another process: every acknowledged event must be there once.
Prints one JSON line.

Example:
  events.py --events 100000 --batch 500 --workers 2
"""

import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from indexer import build_index
from service.commands import create_parser, run_and_exit
from service.jobs import Service, ServiceError
from service.store import LiveDatabase, events

_ITEMS, _USERS = 200, 997
_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")


def main() -> int:
    """Build, serve, post, count."""
    made = create_parser(__doc__ or "")
    made.add_argument("--events", type=int, default=50_000, help="how many (default 50000)")
    made.add_argument("--batch", type=int, default=500, help="in one call (default 500)")
    made.add_argument("--clients", type=int, default=2, help="connections (default 2)")
    made.add_argument("--workers", type=int, default=1, help="processes of the service (default 1)")
    made.add_argument("--db", help="SQLAlchemy URL of an empty store (default: SQLite)")
    asked = made.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = _index(Path(folder))
        url = asked.db or f"sqlite:///{root / 'live.sqlite'}"
        with Service(root, url, workers=asked.workers) as service:
            started = time.perf_counter()
            seconds_each = sorted(_posted(service, asked.events, asked.batch, asked.clients))
            seconds = time.perf_counter() - started
        kept, durability = _looked_up(url)
    acknowledged = len(seconds_each) * asked.batch
    figures = {
        **{name: getattr(asked, name) for name in ("events", "batch", "clients", "workers")},
        "cores": os.cpu_count(),
        "events_per_s": round(acknowledged / seconds),
        "p50_ms": round(1_000 * seconds_each[len(seconds_each) // 2], 1),
        "p99_ms": round(1_000 * seconds_each[int(0.99 * len(seconds_each))], 1),
        "acknowledged": acknowledged,
        "kept_once": kept,
        "synchronous": durability,
    }
    print(json.dumps(figures))
    if kept != acknowledged:
        raise ServiceError(f"{acknowledged} events were acknowledged, {kept} are in the store")
    return 0


def _index(folder: Path) -> Path:
    catalog = folder / "items.jsonl"
    rows = ({"id": f"m{n}", "title": f"item {n}", "vector": [1.0, n, 0.5]} for n in range(_ITEMS))
    catalog.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    build_index(catalog, folder / "index", model="none")
    return folder / "index"


def _posted(service: Service, count: int, batch: int, clients: int) -> list[float]:
    """Post all events; return the seconds of each call."""
    seconds: list[float] = []
    bodies = iter([_body(start, batch) for start in range(0, count, batch)])
    lock = threading.Lock()

    def client() -> None:
        caller = service.connect()
        while True:
            with lock:
                body = next(bodies, None)
            if body is None:
                return
            started = time.perf_counter()
            caller.post("/v1/events", body)
            seconds.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


def _body(start: int, batch: int) -> dict[str, Any]:
    return {
        "events": [
            {
                "event_id": f"e{number}",
                "user_id": f"u{number % _USERS}",
                "item_id": f"m{number % _ITEMS}",
                "event": "click",
                "at": 1.8e9 + number,
                "context": {"device": "tv"},
            }
            for number in range(start, start + batch)
        ]
    }


def _looked_up(url: str) -> tuple[int, str]:
    """How many different events the store holds, and how durably it writes."""
    database = LiveDatabase.open(url)
    with database.begin_read() as connection:
        count = connection.execute(sa.select(sa.func.count(events.c.event_id.distinct()))).scalar()
        durability = database.dialect
        if durability == "sqlite":
            found = connection.exec_driver_sql("PRAGMA synchronous").scalar()
            durability = _SYNCHRONOUS[int(found or 0)]
    database.close()
    return int(count or 0), durability


if __name__ == "__main__":
    run_and_exit(main)
