#!/usr/bin/env python3
"""How much faster is a batch than one request after the other, and is it the same?

Random users of an index: three liked items and, with --texts, a query of their own each. Prints one
JSON line: requests a second both ways, their ratio, and the largest difference of a score.
"""

import json
import time

import numpy as np
from _cli import parser, run

from indexer import Index
from indexer.recommend import recommend, recommend_many
from indexer.request import parse_request


def main() -> int:
    """Ask alone, then together, compare."""
    made = parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR")
    made.add_argument("--requests", type=int, default=256, metavar="N")
    made.add_argument("--k", type=int, default=10)
    made.add_argument("--texts", action="store_true", help="each user also asks in words")
    arguments = made.parse_args()
    index = Index.open(arguments.index)
    rng = np.random.default_rng(0)
    bodies = []
    for number in range(arguments.requests):
        ids = index.ids(rng.choice(index.count, min(3, index.count), replace=False).tolist())
        words = {"query": f"something about {ids[0]} number {number}"} if arguments.texts else {}
        bodies.append({"history": ids, "k": arguments.k, "explain": False, "fields": [], **words})
    requests = [parse_request(body) for body in bodies]
    recommend(index, requests[0], now=0.0)  # the model loads, files come into memory
    started = time.perf_counter()
    alone = [recommend(index, request, now=0.0) for request in requests]
    alone_s = time.perf_counter() - started
    started = time.perf_counter()
    together = recommend_many(index, requests, now=0.0)
    together_s = time.perf_counter() - started
    same = [[h.id for h in a] == [h.id for h in b] for a, b in zip(alone, together, strict=True)]
    apart = [
        abs(one.score - other.score)
        for a, b in zip(alone, together, strict=True)
        for one, other in zip(a, b, strict=True)
    ]
    print(
        json.dumps(
            {
                **vars(arguments),
                "items": index.count,
                "alone_per_s": round(arguments.requests / alone_s, 1),
                "together_per_s": round(arguments.requests / together_s, 1),
                "times": round(alone_s / together_s, 2),
                "same_lists": round(float(np.mean(same)), 4),
                "largest_score_difference": float(max(apart, default=0.0)),
            }
        )
    )
    return 0


if __name__ == "__main__":
    run(main)
