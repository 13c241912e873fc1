"""A made-up catalogue of any size to its snapshot, and what building and opening it cost."""

import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from indexer import Index, build_index
from indexer.ann import IndexOptions
from indexer.metadata import parse_filter
from indexer.reading import Item, read_catalog

_WORDS = """
sea rain war love ghost jazz robot garden river winter letter train island dream detective family
music doctor forest night city summer secret journey king dance school market road mountain painter
雨夜 悬疑 爱情 家庭 旅行 音乐 侦探 海岛 冬天 城市 秘密 友情 历史 科幻 厨房 骑士
"""
_TEXT_FIELDS = ("title", "description", "genres")
_CHUNK = 4_096
_ASKED = 200
_WARM = 20
# What a filter panel asks for; the shares of rows that pass are about 80, 20, 1 and 0.1%.
_FILTERS: dict[str, Any] = {
    "available": {"available": True},
    "tags any": {"tags": {"any": ["jazz", "ghost"]}},
    "list and range": {"and": [{"tags": "jazz"}, {"price": {"gte": 10, "lt": 25}}]},
    "brand": {"brand": "maker 17"},
    "near": {"location": {"near": {"lat": 31.2, "lon": 121.5, "km": 300}}},
    "exists": {"not": {"subtitle": {"exists": True}}},
    "date": {"created_at": {"gte": "2020-01-01"}},
}


def write_catalogue(file: Path, vectors: Path, texts: str | None) -> dict[str, Any]:
    """Write a JSONL row for each vector; return its size and where its texts come from.

    Args:
        file: To write.
        vectors: Raw vectors, a row each.
        texts: Catalogue whose titles, descriptions and genres are used; rows beyond its own have
            the title of one of its items, the description of another and the genres of a third.
            None: random words. What filters ask for is made up either way.
    """
    raw = np.load(vectors, mmap_mode="r")
    known = list(_real_texts(texts)) if texts else []
    with file.open("wb") as out:
        for start in range(0, len(raw), _CHUNK):
            chunk = np.round(raw[start : start + _CHUNK].astype(np.float32), 4)
            rows = zip(_items(start, len(chunk)), chunk, strict=True)
            for at, (fields, vector) in enumerate(rows, start):
                told = _retold(known, at) if known else {}
                made_up = {n: v for n, v in fields.items() if not known or n not in _TEXT_FIELDS}
                row = {**made_up, **told, "vector": vector}
                out.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
            _told("write", start + len(chunk), len(raw))
    return {
        "catalogue_mb": round(file.stat().st_size / 2**20),
        "real_texts": min(len(known), len(raw)),
        "recombined_texts": max(0, len(raw) - len(known)) if known else 0,
    }


def _real_texts(file: str) -> Iterator[dict[str, Any]]:
    """What the good rows of a catalogue say: title, description, genres."""
    for row in read_catalog([file]):
        if isinstance(row, Item):
            yield {name: row.fields[name] for name in _TEXT_FIELDS if name in row.fields}


def _retold(known: Sequence[dict[str, Any]], at: int) -> dict[str, Any]:
    """The texts of row `at`: its own, or parts of three, which no other row has together."""
    turn, place = divmod(at, len(known))
    if not turn:
        return known[place]
    # Each part comes from another distance, so that no two rows have the same three.
    parts = [known[(place + turn * step) % len(known)] for step in (0, 1_009, 31_337)]
    return {
        name: part[name] for name, part in zip(_TEXT_FIELDS, parts, strict=True) if name in part
    }


def _items(start: int, count: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(start)
    known = np.array(_WORDS.split())
    words = known[rng.integers(0, len(known), (count, 20))]
    numbers = rng.random((count, 6))
    for row in range(count):
        at = start + row
        item: dict[str, Any] = {
            "id": f"m{at:07d}",
            "title": " ".join(words[row, :4]),
            "description": " ".join(words[row, 4:16]),
            "tags": words[row, 16:19].tolist(),
            "brand": f"maker {at % 997}",
            "rating": round(1 + 4 * float(numbers[row, 0]), 1),
            "price": round(100 * float(numbers[row, 1]) ** 2, 2),
            "available": bool(numbers[row, 2] < 0.8),
            "created_at": f"{1990 + at % 35}-{1 + at % 12:02d}-01",
        }
        if numbers[row, 3] < 0.5:
            lat, lon = 180 * numbers[row, 4] - 90, 360 * numbers[row, 5] - 180
            item["location"] = {"lat": round(float(lat), 4), "lon": round(float(lon), 4)}
        if numbers[row, 3] > 0.9:
            item["subtitle"] = str(words[row, 19])
        yield item


def build_catalogue(folder: Path, wish: IndexOptions) -> dict[str, Any]:
    """Build from JSONL with ready-made vectors; return time, memory and what was made."""
    before, started = peak_mb(), time.perf_counter()
    watch = _Watch()
    summary = build_index(
        folder / "items.jsonl", folder / "x", model="none", index=wish.kind,
        min_recall=wish.min_recall, report=watch,
    )  # fmt: skip
    seconds, peak = time.perf_counter() - started, peak_mb()
    snapshot = folder / "x" / "snapshots" / summary.snapshot
    sizes = [f.stat().st_size / 2**20 for f in snapshot.rglob("*") if f.is_file()]
    kept = [(snapshot / name).stat().st_size / 2**20 for name in ("raw.npy", "index.faiss")]
    return {
        "kind": summary.index,
        "recall": summary.recall,
        "bytes_per_vector": summary.bytes_per_vector,
        "build_s": round(seconds, 1),
        "peak_rss_mb": peak,
        "peak_rss_of_imports_mb": before,
        "vectors_and_index_mb": round(sum(kept)),
        "peak_over_vectors_and_index": round(peak / sum(kept), 2),
        "snapshot_mb": round(sum(sizes)),
        "stages": watch.stages,
    }  # fmt: skip


class _Watch:
    """Follows a build: when each stage begins and how much memory it ever held."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self._started = time.perf_counter()

    def __call__(self, stage: str, done: int, total: int) -> None:
        known = self.stages.setdefault(
            stage, {"begins_s": round(time.perf_counter() - self._started, 1), "rss_mb": 0}
        )
        known["rss_mb"] = max(known["rss_mb"], round(_memory()["Rss"]))
        if done % 50_000 == 0 or done == total:
            _told(stage, done, total)


def open_catalogue(root: Path) -> dict[str, Any]:
    """Open it as a service does; return how long opening, filters and answers take."""
    started = time.perf_counter()
    index = Index.open(root)
    open_ms = 1_000 * (time.perf_counter() - started)
    filters = {name: _filtered(index, condition) for name, condition in _FILTERS.items()}
    took = [
        _milliseconds(lambda row=row: index.recommend(history=[f"m{row * 37:07d}"], k=10))
        for row in range(_ASKED)
    ]
    p50, p99 = np.percentile(took, [50, 99])
    answers = {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}
    return {"open_ms": round(open_ms, 1), **answers, "filters": filters}


def _filtered(index: Index, condition: Any) -> dict[str, float]:
    """The bitmap of a filter: the first time, and after that."""
    parsed = parse_filter(condition, index.schema)
    cold = _milliseconds(lambda: index.mask(parsed))
    warm = [_milliseconds(lambda: index.mask(parsed)) for _ in range(_WARM)]
    share = float(index.mask(parsed).mean())
    return {
        "share": round(share, 4),
        "cold_ms": round(cold, 3),
        "warm_ms": round(float(np.median(warm)), 4),
    }


def hold_open(root: Path, end: Connection) -> None:
    """Open, answer, tell the other process how much is its own, and stay until told to end."""
    index = Index.open(root)
    index.item_vectors(np.arange(0, index.count, 2))
    for row in range(_ASKED):
        index.recommend(history=[f"m{row * 37:07d}"], k=10)
    end.send("ready")
    while end.recv() == "tell":
        end.send({name: round(value, 1) for name, value in _memory().items()})
    index.close()


def _memory() -> dict[str, float]:
    """What this process holds in MB; Pss divides what several share by their number."""
    told = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {name: int(size.split()[0]) / 1_024 for name, size in (x.split(":") for x in told)}
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return {"Rss": sizes["Rss"], "Pss": sizes["Pss"], "private": private}


def _milliseconds(call: Any) -> float:
    started = time.perf_counter()
    call()
    return 1_000 * (time.perf_counter() - started)


def peak_mb() -> int:
    """Return the most memory this process has held."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024)


def _told(stage: str, done: int, total: int) -> None:
    """A long run shows that it lives."""
    load = os.getloadavg()[0]
    print(f"{stage} {done:,} of {total:,} (load {load:.1f})", file=sys.stderr)
