#!/usr/bin/env python3
"""How a build and its index grow with the catalogue: 10 k, 100 k, 1 M ready-made vectors.

Each size is built in a process of its own, through the part of the pipeline that grows with
vectors (raw vectors on disk, meaning space, index, recall); with --catalog, through all of it: from
a JSONL file with texts, tags, numbers, dates and places to a published snapshot. Another process
opens the result and measures filters and answers, two at once tell what they share. Vectors are
synthetic unless given, and rows beyond the file's are mixes of neighbours plus noise. With --texts,
rows say what those of a real catalogue say; rows beyond its own recombine the parts of three.
Progress goes to stderr. Prints one JSON line.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _scale_catalogue import (
    build_catalogue,
    hold_open,
    open_catalogue,
    peak_mb,
    write_catalogue,
)
from _served import raw_vectors, served_in_place, synthetic

from indexer.ann import IndexOptions, VectorIndex, build_index_file, draw_query_sets
from indexer.arrays import Vectors
from service.commands import create_parser, run_and_exit

_SIZES = (10_000, 100_000, 1_000_000)
_ASKED = 200


def main() -> int:
    """Measure each size in fresh processes and print."""
    made = create_parser(__doc__ or "")
    made.add_argument("--vectors", metavar="FILE.npy", help="raw vectors (default: synthetic)")
    made.add_argument("--index", default="auto", help="as of rebuild_index.py (default auto)")
    made.add_argument("--min-recall", type=float, default=0.99)
    made.add_argument("--sizes", default=",".join(map(str, _SIZES)), metavar="N,…")
    made.add_argument("--catalog", action="store_true", help="the whole pipeline, from JSONL")
    made.add_argument(
        "--texts", metavar="FILE", help="with --catalog: real titles, descriptions, genres"
    )
    made.add_argument("--quick", action="store_true", help="2,000 and 10,000 rows")
    arguments = made.parse_args()
    if arguments.texts and not arguments.catalog:
        made.error("--texts needs --catalog: vectors alone say nothing")
    sizes = [2_000, 10_000] if arguments.quick else [int(n) for n in arguments.sizes.split(",")]
    told = {**vars(arguments), "sizes": sizes, "threads": os.environ.get("OMP_NUM_THREADS")}
    curve = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "given.npy"
            source = _in_process(_give, raw, arguments.vectors, size)
            wish = IndexOptions(arguments.index, arguments.min_recall)
            measured = (
                _of_catalogue(Path(folder), wish, arguments.texts)
                if arguments.catalog
                else _of_vectors(Path(folder), wish)
            )
            curve.append({"rows": size, **source, **measured})
            print(json.dumps(curve[-1]), file=sys.stderr)
    print(json.dumps({**told, "curve": curve}))
    return 0


def _of_vectors(folder: Path, wish: IndexOptions) -> dict[str, Any]:
    built = _in_process(_build_vectors, folder, wish)
    return {**built, **_in_process(_open_vectors, folder)}


def _of_catalogue(folder: Path, wish: IndexOptions, texts: str | None) -> dict[str, Any]:
    written = _in_process(write_catalogue, folder / "items.jsonl", folder / "given.npy", texts)
    (folder / "given.npy").unlink()
    built = _in_process(build_catalogue, folder, wish)
    (folder / "items.jsonl").unlink()
    opened = _in_process(open_catalogue, folder / "x")
    return {**written, **built, **opened, "second_process_mb": _shared(folder / "x")}


def _shared(root: Path) -> dict[str, float]:
    """What the second of two processes over one index holds, and how much of it alone."""
    context = multiprocessing.get_context("spawn")
    ends = []
    for _ in range(2):
        mine, theirs = context.Pipe()
        context.Process(target=hold_open, args=(root, theirs)).start()
        ends.append(mine)
        mine.recv()
    ends[1].send("tell")
    told: dict[str, float] = ends[1].recv()
    for end in ends:
        end.send("end")
    return told


def _in_process(measure: Any, *arguments: Any) -> dict[str, Any]:
    """Run in a fresh process, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        told: dict[str, Any] = pool.apply(measure, arguments)
    return told


def _give(file: Path, vectors: str | None, size: int) -> dict[str, Any]:
    """Write `size` raw vectors as float16, in chunks."""
    some, source = raw_vectors(vectors, min(size, 200_000))
    out = np.lib.format.open_memmap(file, "w+", "<f2", (size, some.shape[1]))
    out[: len(some)] = some
    for start in range(len(some), size, 16_384):
        stop = min(start + 16_384, size)
        out[start:stop] = (
            _mixed(some, stop - start, seed=start)
            if vectors
            else synthetic(stop - start, dim=some.shape[1], seed=start)
        )
    out.flush()
    return {"source": source if len(some) == size or not vectors else f"{source}, extended"}


def _mixed(some: Vectors, count: int, *, seed: int) -> Vectors:
    """Vectors near given ones: each given one plus noise a third of its length."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, some.shape[1])).astype(np.float32)
    noise /= 3 * np.linalg.norm(noise, axis=1, keepdims=True)
    mixed: Vectors = some[rng.integers(0, len(some), count)] + noise
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    return mixed


def _build_vectors(folder: Path, wish: IndexOptions) -> dict[str, Any]:
    started, before = time.perf_counter(), peak_mb()
    items, layout = served_in_place(np.load(folder / "given.npy", mmap_mode="r"))
    path = folder / "index.faiss"
    facts = build_index_file(path, items, layout, options=wish, report=_silent)
    (folder / "facts.json").write_text(json.dumps({"layout": layout.meaning, **facts}))
    kept = ("kind", "factory", "recall", "effort", "gather_share", "bytes_per_vector", "note")
    return {
        **{name: facts[name] for name in kept if name in facts},
        "build_s": round(time.perf_counter() - started, 1),
        "peak_rss_mb": peak_mb(),
        "peak_rss_of_imports_mb": before,
        "vectors_and_index_mb": round(sum(_sizes_mb(folder, ("given.npy", "index.faiss")))),
    }


def _open_vectors(folder: Path) -> dict[str, Any]:
    facts = json.loads((folder / "facts.json").read_text())
    items, layout = served_in_place(np.load(folder / "given.npy", mmap_mode="r"))
    kinds = draw_query_sets(items, layout, rng=np.random.default_rng(5), count=_ASKED)
    queries = np.concatenate([kind.vectors for kind in kinds if kind.vectors_per_query == 1])
    started = time.perf_counter()
    index = VectorIndex.open(folder / "index.faiss", facts)
    open_ms = 1_000 * (time.perf_counter() - started)
    index.search(queries[:1], 10)
    took = []
    for query in queries:
        started = time.perf_counter()
        index.search(query[None], 10)
        took.append(1_000 * (time.perf_counter() - started))
    return _told(open_ms, took)


def _told(open_ms: float, took: list[float]) -> dict[str, Any]:
    p50, p99 = np.percentile(took, [50, 99])
    return {"open_ms": round(open_ms, 1), "p50_ms": round(p50, 3), "p99_ms": round(p99, 3)}


def _sizes_mb(folder: Path, names: tuple[str, ...]) -> list[float]:
    return [(folder / name).stat().st_size / 2**20 for name in names]


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


if __name__ == "__main__":
    run_and_exit(main)
