"""Fifty new snapshots under eight clients of a real server: no failures, mixed answers or leaks."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from indexer import build_index
from indexer.snapshot.retention import prune
from tests.oracle import write_rows
from tests.service.conftest import running, wait_until

pytestmark = pytest.mark.slow

COUNT, DIM, SWAPS, READERS, WARM = 900, 32, 50, 8, 10
MOST_GROWTH_MB = 40  # of the memory that is the server's own, from swap 10 to swap 50


def rows_of(version: int) -> list[dict[str, Any]]:
    """The same ids in each version, with other vectors; every item is marked with its version."""
    vectors = np.random.default_rng(version).normal(size=(COUNT, DIM)).round(3)
    return [
        {"id": f"m{row:04d}", "title": f"t{row}", "version": version, "vector": vector.tolist()}
        for row, vector in enumerate(vectors)
    ]


@dataclass
class Seen:
    """What the readers met: snapshots with the versions of their items, and what failed."""

    pairs: set[tuple[str, int]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    answers: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def read(self, base_url: str, reader: int) -> None:
        asked = [
            {"history": [f"m{reader:04d}", "m0700"], "k": 20},
            {"k": 40, "filter": {"version": {"gte": 0}}},
            {"history": [f"m{7 * reader:04d}"], "k": 20, "max_per": {"title": 1}},
        ]
        with httpx.Client(base_url=base_url, timeout=30) as client:
            while not self.stop.is_set():
                self.note(client.post("/v1/recommend", json=asked[self.answers % len(asked)]))

    def note(self, response: httpx.Response) -> None:
        self.answers += 1
        if response.status_code != 200:
            self.faults.append(response.text)
            return
        told = response.json()
        versions = {hit["item"]["version"] for hit in told["items"]}
        if len(versions) != 1 or len(told["items"]) not in (20, 40):
            self.faults.append(f"{told['snapshot']} with items of versions {versions}")
        self.pairs |= {(told["snapshot"], version) for version in versions}


@contextmanager
def reading(base_url: str) -> Iterator[Seen]:
    seen = Seen()
    readers = [threading.Thread(target=seen.read, args=(base_url, n)) for n in range(READERS)]
    for reader in readers:
        reader.start()
    yield seen
    seen.stop.set()
    for reader in readers:
        reader.join()


def own_mb(pid: int) -> float:
    """Memory that belongs to a process alone; mapped files are not among it."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+)", status)
    assert found
    return int(found[1]) / 1_024


def mapped_snapshots(pid: int) -> set[str]:
    """Snapshots whose files a process still maps or has open, deleted ones too."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    links = ""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links += f"{entry.readlink()}\n"
    return set(re.findall(r"/snapshots/([\w-]+)/", maps + links))


def test_fifty_swaps_under_eight_readers_fail_mix_and_leak_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, catalog = tmp_path / "x", tmp_path / "items.jsonl"
    write_rows(catalog, rows_of(0))
    versions = {build_index(catalog, root, model="none").snapshot: 0}
    with running(tmp_path, "--index", root) as (client, process):
        page = client.post("/v1/recommend", json={"history": ["m0003"], "k": 50}).json()
        eligible = page["complete"]["eligible"]
        memory: list[float] = []
        with reading(str(client.base_url)) as seen:
            for version in range(1, SWAPS + 1):
                write_rows(catalog, rows_of(version))
                name = build_index(catalog, root, model="none").snapshot
                versions[name] = version
                assert client.post("/v1/snapshots/reload").json()["snapshot"] == name
                prune(root, 3)
                memory += [own_mb(process.pid)]
        assert seen.faults == []
        assert {pair[0]: pair[1] for pair in seen.pairs}.items() <= versions.items()
        assert len(seen.pairs) == len({name for name, _ in seen.pairs}) >= SWAPS // 2
        followed = [hit["id"] for hit in page["items"]]
        while page["next_cursor"]:  # given fifty versions ago, and still good
            page = client.post("/v1/recommend", json={"cursor": page["next_cursor"]}).json()
            followed += [hit["id"] for hit in page["items"]]
        assert len(followed) == len(set(followed)) == eligible == COUNT - 1
        live = list(versions)[-1]
        wait_until(lambda: mapped_snapshots(process.pid) == {live}, seconds=30)  # nobody asks
        grown = max(memory[-5:]) - max(memory[WARM - 5 : WARM])
        with capsys.disabled():
            sys.stdout.write(
                f"\n{seen.answers} answers over {SWAPS} swaps; memory of the server's own "
                f"{memory[0]:.0f} MB at swap 1, {memory[WARM]:.0f} at {WARM}, {memory[-1]:.0f} at "
                f"{SWAPS}\n"
            )
        assert grown < MOST_GROWTH_MB
