#!/usr/bin/env python3
"""Make golden snapshots of this release's format: once for each format, never again.

usage: python tests/indexer/snapshot/golden/make.py      writes format-<version>/{flat,pq}
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[4]))

from indexer import Index, build_index
from indexer.metadata.filter_parser import parse_filter
from indexer.snapshot.manifest import FORMAT_VERSION

# Nearest to an item under a filter: what a file says, whatever a later release makes of it.
REQUESTS: tuple[dict[str, Any], ...] = (
    {"item": "g0003", "k": 8, "filter": None},
    {"item": "g0010", "k": 8, "filter": {"available": True}},
    {"item": "g0005", "k": 5, "filter": {"tags": "sea", "price": {"gte": 20}}},
    {"item": "g0005", "k": 5, "filter": {"location": {"near": {"lat": 3, "lon": 6, "km": 900}}}},
    {"item": "g0006", "k": 5, "filter": {"created_at": {"gte": "2024-01-20"}}},
)


def main() -> None:
    """Build each kind and write its answers beside it."""
    home = Path(__file__).parent / f"format-{FORMAT_VERSION}"
    for name, count, kind in (("flat", 40, "flat"), ("pq", 1_200, "PQ4x4fs,Refine(SQfp16)")):
        folder = home / name
        folder.mkdir(parents=True)
        catalog = folder / "catalog.jsonl"
        catalog.write_text("".join(json.dumps(row) + "\n" for row in rows(count)), "utf-8")
        build_index(catalog, folder, model="none", index=kind, min_recall=0.9)
        catalog.unlink()
        for leftover in (folder / ".lock", folder / "encoded"):
            leftover.unlink(missing_ok=True)
        index = Index.open(folder)
        answers = [nearest(index, **request) for request in REQUESTS]
        expected = {"requests": REQUESTS, "answers": answers, "item": index.get("g0007")}
        (folder / "expected.json").write_text(json.dumps(expected, indent=1), "utf-8")


def nearest(index: Index, item: str, k: int, filter: Any) -> list[dict[str, Any]]:
    """Ids and scores of the items nearest to one."""
    everything = np.ones(len(index), np.bool_)
    allowed = everything if filter is None else index.mask(parse_filter(filter, index.schema))
    query = index.item_vectors(np.array([index.rows([item])[item]]))
    (found,) = index.find_nearest(query, k, allowed)
    ids = index.ids(found.rows.tolist())
    scores = [round(float(score), 5) for score in found.scores]
    return [{"id": name, "score": score} for name, score in zip(ids, scores, strict=True)]


def rows(count: int) -> list[dict[str, object]]:
    """Items with a field of every type."""
    vectors = np.random.default_rng(11).normal(size=(count, 8)).round(3)
    return [
        {
            "id": f"g{row:04d}",
            "title": f"golden {row} 海",
            "tags": ["sea", "rain"] if row % 2 else ["rain"],
            "price": row,
            "rating": 1 + row % 5,
            "available": row % 7 != 0,
            "created_at": f"2024-01-{1 + row % 28:02d}",
            "location": {"lat": row % 60, "lon": 2 * (row % 60)},
            "vector": vector.tolist(),
        }
        for row, vector in enumerate(vectors)
    ]


if __name__ == "__main__":
    main()
