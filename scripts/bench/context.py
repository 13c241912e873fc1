#!/usr/bin/env python3
"""Does the moment tilt a list as people would expect, without drowning taste?

Forty pairs of a context and what it should favour over what, twenty in English and twenty in
Chinese, over the sample catalogue; written down after a first weight of context had been chosen
by the forty of --first. Each is asked for a user with taste, with and without the
context. A pair holds if the favoured group gains ranks on the other group and
does not lose places in the first 50 against it. Prints one JSON line: the share that holds, which
do not, and how much of the first 50 stays what it is without context.
"""

import json
import time
from typing import Any

import numpy as np
from _context_pairs import LATER_PAIRS, PAIRS, Pair

from indexer import Index
from indexer.errors import CatalogError
from service.commands import create_parser, run_and_exit

_TOP = 50
# Users with taste, by what they liked last.
_TASTES = (
    ["film-rear-window", "book-and-then-there-were-none", "film-blade-runner"],
    ["music-goldberg-variations", "outing-british-museum", "news-hubble-launch"],
    ["film-farewell-my-concubine", "book-dream-of-the-red-chamber",
        "music-the-moon-represents-my-heart"],
    ["game-tetris", "film-clue", "podcast-this-american-life"],
)  # fmt: skip


def main() -> int:
    """Ask with and without each context, compare ranks."""
    made = create_parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR", help="over scripts/sample")
    made.add_argument("--first", action="store_true", help="the pairs that chose the weight")
    arguments = made.parse_args()
    pairs = PAIRS if arguments.first else LATER_PAIRS
    index = Index.open(arguments.index)
    if "tags" not in index.schema.fields:
        raise CatalogError(f"{arguments.index} has no tags; build it over scripts/sample")
    started = time.perf_counter()
    told = [_measured(index, place, pair) for place, pair in enumerate(pairs)]
    overlaps = np.array([overlap for _, overlap, _ in told])
    holds = [held for held, _, _ in told]
    print(
        json.dumps(
            {
                **vars(arguments),
                "pairs": len(pairs),
                "hold": round(float(np.mean(holds)), 3),
                "hold_en": round(float(np.mean(holds[:20])), 3),
                "hold_zh": round(float(np.mean(holds[20:])), 3),
                "fail": [pair.name for pair, held in zip(pairs, holds, strict=True) if not held],
                "mean_gain_ranks": round(float(np.mean([gain for _, _, gain in told])), 1),
                "overlap_at_50_mean": round(float(overlaps.mean()), 3),
                "overlap_at_50_min": round(float(overlaps.min()), 3),
                "s": round(time.perf_counter() - started, 1),
            },
            ensure_ascii=False,
        )
    )
    return 0


def _measured(index: Index, place: int, pair: Pair) -> tuple[bool, float, float]:
    """Whether a pair holds, the overlap of the first 50, and how many ranks the favoured gain."""
    history = [{"item_id": i, "event": "like"} for i in _TASTES[place % len(_TASTES)]]
    body: dict[str, Any] = {"history": history, "k": len(index), "explain": False, "fields": []}
    plain = [hit.id for hit in index.recommend(**body)]
    told = [hit.id for hit in index.recommend(**body, context=pair.context)]
    favoured, other = (
        {hit.id for hit in index.recommend(**{**body, "filter": group})}
        for group in (pair.favoured, pair.other)
    )
    favoured, other = favoured - other, other - favoured
    gain = _lead(told, favoured, other) - _lead(plain, favoured, other)
    places = _places(told, favoured, other) - _places(plain, favoured, other)
    return gain > 0 and places >= 0, len({*plain[:_TOP]} & {*told[:_TOP]}) / _TOP, gain


def _lead(ranking: list[str], favoured: set[str], other: set[str]) -> float:
    """By how many ranks the one group is ahead of the other, on average."""
    rank = {item_id: place for place, item_id in enumerate(ranking)}
    behind, ahead = (np.mean([rank[i] for i in group]) for group in (other, favoured))
    return float(behind - ahead)


def _places(ranking: list[str], favoured: set[str], other: set[str]) -> int:
    first = set(ranking[:_TOP])
    return len(first & favoured) - len(first & other)


if __name__ == "__main__":
    run_and_exit(main)
