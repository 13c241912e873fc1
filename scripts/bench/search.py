#!/usr/bin/env python3
"""How many requests a second, at which recall, against dense products and other libraries.

Searches the vectors that an index serves (meaning and prior) with requests like real ones, one at
a time and together, one thread, and under random filters. Prints one JSON line. The same vectors
and requests go to every library; recall@10 is against an exact float32 scan. Progress goes to
stderr.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Before any library starts its threads: one thread is what a request gets.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _peers import Peer, Search, installed
from _served import raw_vectors, served

from indexer.ann import (
    Effort,
    IndexOptions,
    Layout,
    VectorIndex,
    build_index_file,
    draw_query_sets,
    find_least_effort,
)
from indexer.arrays import Rows, Vectors
from service.commands import create_parser, run_and_exit

_K = 10
_TARGETS = (0.95, 0.99)
_FILTERS = (0.5, 0.1, 0.01, 0.001)


def main() -> int:
    """Measure and print."""
    made = create_parser(__doc__ or "")
    made.add_argument("--vectors", metavar="FILE.npy", help="raw vectors (default: synthetic)")
    made.add_argument("--rows", type=int, default=200_000)
    made.add_argument("--kinds", default="auto,ivf,hnsw", help="what --index may be")
    made.add_argument("--no-peers", action="store_true", help="ours and dense products only")
    made.add_argument("--quick", action="store_true", help="20,000 rows, no graphs")
    arguments = made.parse_args()
    if arguments.quick:
        arguments.rows, arguments.kinds, arguments.no_peers = 20_000, "pq,ivf", True
    raw, source = raw_vectors(arguments.vectors, arguments.rows)
    vectors, layout = served(raw)
    del raw
    queries = _requests(vectors, layout, 300 if arguments.quick else 1_000)
    truth = _exact(vectors, queries)
    told: dict[str, Any] = {**vars(arguments), "rows": len(vectors), "dim": layout.dim}
    told |= {"source": source, "requests": len(queries), "threads": 1, "k": _K}
    told["others"] = _others(vectors, queries, truth, few=arguments.no_peers)
    told["ours"] = [
        _ours(kind, vectors, layout, queries, truth) for kind in arguments.kinds.split(",")
    ]
    dense = told["others"][0]["at"]["exact"]
    for one in told["ours"]:
        for measured in one["at"].values():
            measured["times_dense"] = round(measured["single_qps"] / dense["single_qps"], 1)
    print(json.dumps(told))
    return 0


def _requests(vectors: Vectors, layout: Layout, count: int) -> Vectors:
    kinds = draw_query_sets(vectors, layout, rng=np.random.default_rng(77), count=count)
    mixed = np.concatenate([kind.vectors for kind in kinds if kind.vectors_per_query == 1])
    return mixed[np.random.default_rng(0).permutation(len(mixed))[:count]]


def _exact(vectors: Vectors, queries: Vectors) -> Rows:
    rows = []
    for start in range(0, len(queries), 100):
        scores = queries[start : start + 100] @ vectors.T
        rows.append(np.argpartition(scores, -_K, axis=1)[:, -_K:])
    return np.concatenate(rows)


def _recall(truth: Rows, found: Rows) -> float:
    hits = sum(len(np.intersect1d(one, other)) for one, other in zip(truth, found, strict=True))
    return hits / truth.size


def _measured(search: Search, queries: Vectors, truth: Rows) -> dict[str, float]:
    found = search(queries, _K)
    alone = queries[:200]
    single_s = _seconds(lambda: [search(query[None], _K) for query in alone])
    return {
        "recall": round(_recall(truth, found), 4),
        "single_qps": round(len(alone) / single_s, 1),
        "batch_qps": round(len(queries) / _seconds(lambda: search(queries, _K)), 1),
    }


def _seconds(call: Callable[[], object]) -> float:
    """The best of three: what others do on the machine only slows."""
    took = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return min(took)


def _others(vectors: Vectors, queries: Vectors, truth: Rows, *, few: bool) -> list[dict[str, Any]]:
    told = []
    for build in list(installed(vectors))[: 3 if few else None]:
        started = time.perf_counter()
        peer = build()
        build_s = round(time.perf_counter() - started, 1)
        _progress(f"{peer.name} built in {build_s} s")
        if len(peer.efforts) == 1:
            at = {"exact": _measured(peer.at(peer.efforts[0]), queries[:64], truth[:64])}
        else:
            at = {str(target): _raised(peer, queries, truth, target) for target in _TARGETS}
        _progress(f"{peer.name}: {at}")
        told.append({"name": peer.name, "build_s": build_s, "at": at})
    return told


def _raised(peer: Peer, queries: Vectors, truth: Rows, target: float) -> dict[str, Any]:
    """The least effort whose recall is enough, or the most there is."""
    effort = peer.efforts[0]
    for effort in peer.efforts:
        if _recall(truth, peer.at(effort)(queries, _K)) >= target:
            break
    return {"effort": effort, **_measured(peer.at(effort), queries, truth)}


def _ours(
    kind: str, vectors: Vectors, layout: Layout, queries: Vectors, truth: Rows
) -> dict[str, Any]:
    """As served, where every kind of request keeps its recall; and at effort raised as theirs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.faiss"
        wish = IndexOptions(kind, max(_TARGETS))
        facts = build_index_file(path, vectors, layout, options=wish, report=_silent)
        _progress(f"{kind} built in {facts['build_s']} s")
        index = VectorIndex.open(path, facts)

        def at_effort(effort: Effort) -> Search:
            return _rows_of(VectorIndex.open(path, {"effort": asdict(effort)}))

        def raised(target: float) -> dict[str, Any]:
            effort = find_least_effort(
                lambda one: _recall(truth, at_effort(one)(queries, _K)), index.list_count, target
            )
            return {"effort": asdict(effort), **_measured(at_effort(effort), queries, truth)}

        at = {str(target): raised(target) for target in _TARGETS}
        at["served"] = {"effort": facts.get("effort"), **_measured(_rows_of(index), queries, truth)}
        _progress(f"{kind}: {at}")
        filters = [_filtered(index, vectors, queries[:100], share) for share in _FILTERS]
    kept = ("factory", "recall", "bytes_per_vector", "build_s", "gather_share", "note")
    return {
        "index": kind, **{name: facts[name] for name in kept if name in facts},
        "at": at, "filters_served": filters,
    }  # fmt: skip


def _rows_of(index: VectorIndex) -> Search:
    def search(queries: Vectors, k: int) -> Rows:
        return np.stack([found.rows for found in index.search(queries, k)])

    return search


def _filtered(
    index: VectorIndex, vectors: Vectors, queries: Vectors, share: float
) -> dict[str, Any]:
    allowed = np.random.default_rng(1).random(len(vectors)) < share
    rows = np.flatnonzero(allowed)
    scores = queries @ vectors[rows].T
    least = np.partition(scores, -_K, axis=1)[:, -_K]
    found = [index.search(query[None], _K, allowed)[0] for query in queries]
    enough = [
        np.count_nonzero(vectors[one.rows] @ query >= at_least - 1e-6)
        for one, query, at_least in zip(found, queries, least, strict=True)
    ]
    took = _seconds(lambda: [index.search(query[None], _K, allowed) for query in queries])
    return {
        "share": share,
        "recall": round(float(np.mean(enough)) / _K, 4),
        "short": sum(len(one.rows) < _K for one in found),
        "single_qps": round(len(queries) / took, 1),
    }


def _progress(told: str) -> None:
    """A long run shows that it lives, and how busy the machine is."""
    print(f"{told} (load {os.getloadavg()[0]:.1f})", file=sys.stderr)


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


if __name__ == "__main__":
    run_and_exit(main)
