#!/usr/bin/env python3
"""What does each step of `diversity` buy, and what does it cost?

Random users with three liked items are asked for at 0, 0.25, 0.5, 0.75 and 1. Prints one JSON line:
for each step the mean cosine between two items of the first ten, their mean score, and the
milliseconds of a request.
"""

import json
import time

import numpy as np

from indexer import Index
from indexer.errors import CatalogError
from service.commands import create_parser, run_and_exit

_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_K = 10


def main() -> int:
    """Ask every user at every step."""
    made = create_parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR")
    made.add_argument("--users", type=int, default=100, metavar="N")
    arguments = made.parse_args()
    index = Index.open(arguments.index)
    if index.count < 2 * _K:
        raise CatalogError(f"{arguments.index} has {index.count} items; give one with {2 * _K}")
    rng = np.random.default_rng(0)
    users = [
        index.ids(rng.choice(index.count, 3, replace=False).tolist())
        for _ in range(arguments.users)
    ]
    told = {f"{step:g}": _measured(index, users, step) for step in _STEPS}
    print(json.dumps({**vars(arguments), "items": index.count, "diversity": told}))
    return 0


def _measured(index: Index, users: list[list[str]], diversity: float) -> dict[str, float]:
    alike, scores = [], []
    started = time.perf_counter()
    lists = [
        index.recommend(history=ids, k=_K, diversity=diversity, explain=False, fields=[])
        for ids in users
    ]
    elapsed_ms = 1_000 * (time.perf_counter() - started)
    for hits in lists:
        vectors = index.vectors([hit.id for hit in hits])
        alike.append(float((vectors @ vectors.T)[np.triu_indices(len(hits), 1)].mean()))
        scores.append(float(np.mean([hit.score for hit in hits])))
    return {
        "intra_list_similarity": round(float(np.mean(alike)), 4),
        "mean_score": round(float(np.mean(scores)), 4),
        "ms": round(elapsed_ms / len(users), 2),
    }


if __name__ == "__main__":
    run_and_exit(main)
