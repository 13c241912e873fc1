#!/usr/bin/env python3
"""How much faster is a batch than one request after the other, and is it the same?

Random users of an index: three liked items and, with --texts, a query of their own each. The
encoder remembers texts, so each way is timed on users of its own, whose texts nobody has asked for
yet; only then the second users are asked for alone as well, to compare. Prints one JSON line:
requests a second both ways, their ratio, and the largest difference of a score.
"""

import json
import time
from argparse import Namespace

import numpy as np

from indexer import Index
from indexer.answer import recommend, recommend_many
from indexer.request import Request, parse_request
from service.commands import create_parser, run_and_exit


def main() -> int:
    """Ask alone, then together, compare."""
    made = create_parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR")
    made.add_argument("--requests", type=int, default=256, metavar="N")
    made.add_argument("--k", type=int, default=10)
    made.add_argument("--texts", action="store_true", help="each user also asks in words")
    arguments = made.parse_args()
    index = Index.open(arguments.index)
    first, second = (_requests(index, arguments, seed) for seed in (0, 1))
    warm_up = _requests(index, arguments, 2)[:2]  # the model loads, files come into memory
    recommend(index, warm_up[0], now=0.0)
    recommend_many(index, warm_up[1:], now=0.0)
    started = time.perf_counter()
    for request in first:
        recommend(index, request, now=0.0)
    alone_s = time.perf_counter() - started
    started = time.perf_counter()
    together = recommend_many(index, second, now=0.0)
    together_s = time.perf_counter() - started
    alone = [recommend(index, request, now=0.0) for request in second]
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


def _requests(index: Index, arguments: Namespace, seed: int) -> list[Request]:
    """As many users as asked for; other ones for another seed."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(arguments.requests):
        ids = index.ids(rng.choice(index.count, min(3, index.count), replace=False).tolist())
        words = {"query": f"something about {ids[0]}, {seed} {number}"} if arguments.texts else {}
        body = {"history": ids, "k": arguments.k, "explain": False, "fields": [], **words}
        made.append(parse_request(body))
    return made


if __name__ == "__main__":
    run_and_exit(main)
