#!/usr/bin/env python3
"""Do similar items share labels? Precision@10 of /similar, against raw vectors and chance.

Asks for the ten items most similar to every item of an index. A found item is right if its set of
labels equals the asked item's. Prints one JSON line: precision of ours, of plain cosine over the
raw mean-pooled vectors, and of chance, with their ratios and the speed.
"""

import json
import time

import numpy as np
from numpy.typing import NDArray

from indexer import Index
from indexer.arrays import Vectors
from indexer.errors import CatalogError
from service.commands import create_parser, run_and_exit

_K = 10


def main() -> int:
    """Ask for every labelled item, count, compare."""
    made = create_parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR")
    made.add_argument("--label", default="genres", metavar="FIELD")
    made.add_argument("--quick", action="store_true", help="ask for 500 items only")
    arguments = made.parse_args()
    index = Index.open(arguments.index)
    items = [item for _, item in index.page(limit=index.count)]
    labels = [frozenset(item.get(arguments.label, ())) for item in items]
    asked = [row for row, held in enumerate(labels) if held]
    if not asked:
        raise CatalogError(
            f"no item of {arguments.index} has {arguments.label}; name another --label"
        )
    asked = asked[:: max(1, len(asked) // 500)] if arguments.quick else asked
    started = time.perf_counter()
    answers = [index.similar(items[row]["id"], k=_K, fields=["id"], explain=False) for row in asked]
    elapsed_s = time.perf_counter() - started
    row_of = {item["id"]: row for row, item in enumerate(items)}
    ours = np.array([[row_of[hit.id] for hit in answer] for answer in answers])
    raw = np.load(index.path / "raw.npy").astype(np.float32)
    chance = np.random.default_rng(0).integers(0, len(items), ours.shape)
    found = {
        "precision_at_10": _precision(labels, asked, ours),
        "raw_precision_at_10": _precision(labels, asked, _nearest(raw, asked)),
        "random_precision_at_10": _precision(labels, asked, chance),
    }
    mine, plain, luck = found.values()
    told = {name: round(value, 4) for name, value in found.items()}
    told |= {"times_random": round(mine / luck, 2), "times_raw": round(mine / plain, 3)}
    told |= {"items": len(items), "asked": len(asked), "per_s": round(len(asked) / elapsed_s, 1)}
    print(json.dumps({**vars(arguments), **told}))
    return 0


def _nearest(vectors: Vectors, asked: list[int]) -> NDArray[np.int64]:
    """Rows of the `_K` nearest other vectors by plain cosine."""
    found = []
    for start in range(0, len(asked), 500):
        rows = np.array(asked[start : start + 500])
        scores = vectors[rows] @ vectors.T
        scores[np.arange(len(rows)), rows] = -np.inf
        found.append(np.argpartition(-scores, _K, axis=1)[:, :_K])
    return np.concatenate(found)


def _precision(labels: list[frozenset[str]], asked: list[int], found: NDArray[np.int64]) -> float:
    """Share of found items whose label set is that of the item asked for."""
    right = [
        labels[row] == labels[other]
        for row, others in zip(asked, found.tolist(), strict=True)
        for other in others
    ]
    return float(np.mean(right))


if __name__ == "__main__":
    run_and_exit(main)
