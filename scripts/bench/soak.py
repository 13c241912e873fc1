#!/usr/bin/env python3
"""Let a service work for long in every way at once, with kills, and look whether all is well.

Many connections ask for lists, search, tell of events, change items and erase users, while the
index is rebuilt from the live store and swapped, and workers and builds are killed. Afterwards:

- every acknowledged event is in the store once, and no erased user is;
- no answer was a 5xx but 503 with Retry-After, and a call was answered within a minute;
- memory and open files of the workers do not grow;
- p99 of lists at the end is at most 1.5 times that of the beginning (both without kills);
- `PRAGMA integrity_check` finds nothing.

Prints one JSON line; exits with 1 if something is not well.

Examples:
  soak.py --minutes 20
  soak.py --minutes 1 --workers 1
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from _background import running_beside
from _soak_clients import ITEMS, WORDS, Client, Ledger

from service.commands import create_parser, run_and_exit
from service.jobs import Service

_DIM = 32
_QUIET_SHARE = 0.2  # of the time at the beginning and at the end, without kills and builds
_MAX_P99_GROWTH = 1.5
_MAX_MEMORY_GROWTH = 1.3
_MAX_MORE_FILES = 40  # of all workers: connections come and go
_SAMPLE_S = 2.0


def main() -> int:
    """Build, serve, call, kill, look."""
    parser = create_parser(__doc__ or "")
    parser.add_argument("--minutes", type=float, default=20, help="(default 20)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--connections", type=int, default=16, help="(default 16)")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed when (default 0)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = _soak(Path(folder), arguments)
    print(json.dumps(figures))
    return 1 if figures["failures"] else 0


def _soak(folder: Path, arguments: Any) -> dict[str, Any]:
    _write_catalogue(folder / "items.jsonl")
    _start_build(folder).wait()
    seconds = 60 * arguments.minutes
    ledger, disturber = Ledger(), _Disturber(folder, arguments.seed)
    url = f"sqlite:///{folder / 'index' / 'live.sqlite'}"
    with Service(folder / "index", url, workers=arguments.workers) as service:
        observer = _Observer(service.pid)
        clients = [Client(service.port, n, ledger) for n in range(arguments.connections)]
        with running_beside(observer.run, *(client.run for client in clients)):
            time.sleep(_QUIET_SHARE * seconds)
            disturber.run(service.pid, (1 - 2 * _QUIET_SHARE) * seconds)
            time.sleep(_QUIET_SHARE * seconds)
    failures = list(ledger.failures)
    failures += _check_store(folder / "index" / "live.sqlite", ledger)
    first, last = _compare_p99(ledger, _QUIET_SHARE * seconds, seconds, failures)
    failures += observer.find_growth()
    return {
        "minutes": arguments.minutes,
        "workers": arguments.workers,
        "connections": arguments.connections,
        "calls": sum(ledger.statuses.values()),
        "statuses": {str(status): count for status, count in sorted(ledger.statuses.items())},
        "events": len(ledger.events),
        "erased": len(ledger.erased),
        **disturber.counts,
        "p99_ms": {"beginning": first, "end": last},
        **observer.report(),
        "failures": failures,
    }


def _write_catalogue(file: Path) -> None:
    """Write items with made-up vectors: no language model, so that a build takes a second."""
    rng = np.random.default_rng(1)
    with file.open("w", encoding="utf-8") as out:
        for number in range(ITEMS):
            words = " ".join(rng.choice(WORDS, 3))
            vector = np.round(rng.normal(size=_DIM), 4).tolist()
            row = {"id": f"i{number}", "title": f"{words} {number}", "vector": vector}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _start_build(folder: Path) -> "subprocess.Popen[bytes]":
    """Start a build from the catalogue and, if there is one, the live store."""
    store = folder / "index" / "live.sqlite"
    command = [sys.executable, "-m", "service.commands", "build", "--catalog",
               str(folder / "items.jsonl"), "--out", str(folder / "index"), "--model", "none",
               *(["--db", f"sqlite:///{store}"] if store.exists() else [])]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class _Disturber:
    """Builds again and again, and kills builds and workers without warning."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self.counts = {"builds": 0, "killed_builds": 0, "killed_workers": 0}

    def run(self, server: int, seconds: float) -> None:
        """Disturb for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            build = _start_build(self._folder)
            self.counts["builds"] += 1
            if self._rng.random() < 1 / 3:
                time.sleep(self._rng.uniform(0.2, 3))
                build.kill()
                self.counts["killed_builds"] += 1
            build.wait()
            time.sleep(self._rng.uniform(1, 4))
            workers = _list_workers(server)
            if len(workers) > 1:  # with one alone, nobody would start it again
                os.kill(self._rng.choice(workers), signal.SIGKILL)
                self.counts["killed_workers"] += 1
            time.sleep(self._rng.uniform(2, 6))


class _Observer:
    """Samples memory and open files of a service's processes."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._samples: list[tuple[int, int]] = []

    def run(self, stopping: threading.Event) -> None:
        """Sample until stopped."""
        while not stopping.wait(_SAMPLE_S):
            pids = _list_workers(self._server) or [self._server]
            self._samples.append((sum(map(_read_kb, pids)), sum(map(_count_files, pids))))

    def find_growth(self) -> list[str]:
        """Return what has grown from the second fifth of the time to the last."""
        early, late = self._summarise()
        failures = []
        if late[0] > _MAX_MEMORY_GROWTH * early[0]:
            failures.append(f"memory grew from {early[0]} to {late[0]} kB")
        if late[1] > early[1] + _MAX_MORE_FILES:
            failures.append(f"open files grew from {early[1]} to {late[1]}")
        return failures

    def report(self) -> dict[str, Any]:
        """Return the medians of both."""
        early, late = self._summarise()
        return {
            "memory_mb": {"early": early[0] // 1_024, "late": late[0] // 1_024},
            "files": {"early": early[1], "late": late[1]},
        }

    def _summarise(self) -> tuple[list[int], list[int]]:
        """Return the median memory in kB and number of open files, of two fifths of the time."""
        fifth = max(1, len(self._samples) // 5)
        early = self._samples[fifth : 2 * fifth] or self._samples
        return _take_medians(early), _take_medians(self._samples[-fifth:])


def _take_medians(samples: list[tuple[int, int]]) -> list[int]:
    return [int(np.median(part)) for part in zip(*samples, strict=True)]


def _list_workers(server: int) -> list[int]:
    """Return the pids of the workers of a service; empty if it has one process."""
    children = Path(f"/proc/{server}/task/{server}/children")
    pids = [int(pid) for pid in children.read_text(encoding="ascii").split()]
    return [pid for pid in pids if "spawn_main" in _read_command(pid)]


def _read_command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:  # it has ended
        return ""


def _read_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines.get("VmRSS", "0").split()[0])


def _count_files(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def _check_store(file: Path, ledger: Ledger) -> list[str]:
    """Return what is wrong with a store that no process has open any more."""
    connection = sqlite3.connect(file)
    failures = []
    if (found := connection.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        failures.append(f"integrity_check: {found[:3]}")
    stored = connection.execute("SELECT event_id, user_id FROM live_events").fetchall()
    connection.close()
    by_id = dict(stored)
    if len(by_id) < len(stored):
        failures.append(f"{len(stored) - len(by_id)} events are stored twice")
    if lost := [event for event, user in ledger.events.items() if by_id.get(event) != user]:
        failures.append(f"{len(lost)} acknowledged events are lost, such as {lost[:3]}")
    unknown = set(by_id) - set(ledger.events) - ledger.uncertain
    if unknown:
        failures.append(f"{len(unknown)} events nobody is known to have told, {list(unknown)[:3]}")
    if kept := ledger.erased & set(by_id.values()):
        failures.append(f"{len(kept)} erased users are still stored")
    return failures


def _compare_p99(
    ledger: Ledger, quiet_s: float, total_s: float, failures: list[str]
) -> tuple[float, float]:
    """Return p99 of the lists at the beginning and the end, in ms; note if it has grown."""
    quarter = quiet_s / 4  # the service warms up, or recovers from the last kill
    parts = [
        [ms for second, ms in ledger.durations if start + quarter <= second <= start + quiet_s]
        for start in (0.0, total_s - quiet_s)
    ]
    if not all(parts):
        failures.append("no list was answered at the beginning or at the end")
        return 0.0, 0.0
    first, last = (round(float(np.percentile(part, 99)), 1) for part in parts)
    if last > _MAX_P99_GROWTH * first:
        failures.append(f"p99 of lists grew from {first} to {last} ms")
    return first, last


if __name__ == "__main__":
    run_and_exit(main)
