#!/usr/bin/env python3
"""Learning from many interactions: processor time and peak memory.

A synthetic world: items of a thousand kinds with vectors that tell the kind, popularity as in
Zipf's law, users with a few kinds of their own. Prints one JSON line with its parameters; peak
memory is that of the whole process, rows and vectors included.
"""

import json
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.reading import Interaction
from indexer.taste import Events, TasteModel, build_events, fit_taste, refit_taste
from service.commands import create_parser, run_and_exit

KINDS = 1_000
T = TypeVar("T")
_OWN_KINDS, _LOYALTY = 4, 0.7


def main() -> int:
    """Make the world, learn it twice."""
    made = create_parser(__doc__ or "")
    made.add_argument("--interactions", type=int, default=1_000_000)
    made.add_argument("--items", type=int, default=100_000)
    made.add_argument("--users", type=int, default=50_000)
    made.add_argument("--dim", type=int, default=384)
    made.add_argument("--seed", type=int, default=0)
    arguments = made.parse_args()
    rng = np.random.default_rng(arguments.seed)
    kinds = rng.integers(KINDS, size=arguments.items)
    meaning = _meaning(kinds, arguments.dim, rng)
    ids = [f"i{item:07}" for item in range(arguments.items)]
    start_mb = _peak_mb()
    events, events_s = _read(_rows(kinds, arguments.users, arguments.interactions, rng), ids)
    rows_mb = _peak_mb()
    model, fit_s = _timed(lambda: fit_taste(events, ids, meaning))
    fit_mb = _peak_mb()
    again, refit_s = _timed(lambda: refit_taste(events, ids, meaning, settings=model.settings))
    told = {
        **{name: value for name, value in vars(arguments).items() if name != "debug"},
        "events_cpu_s": events_s,
        "fit_cpu_s": fit_s,
        "refit_cpu_s": refit_s,
        "refit_share": round(refit_s / fit_s, 3),
        "world_mb": start_mb,
        "rows_mb": rows_mb,
        "peak_mb": fit_mb,
        "same_again": _equal(model, again),
        "neighbours": len(model.neighbours.values),
        "ndcg10": {
            name: round(model.report[name]["all"]["ndcg10"], 4)
            for name in ("learned", "zero_shot", "popular")
            if name in model.report
        },
    }
    print(json.dumps(told))
    return 0


def _meaning(kinds: NDArray[np.int64], dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    centres = rng.standard_normal((KINDS, dim), dtype=np.float32)
    rows = centres[kinds] + rng.standard_normal((len(kinds), dim), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _rows(
    kinds: NDArray[np.int64], users: int, count: int, rng: np.random.Generator
) -> list[Interaction]:
    """Users take items of their own kinds, or of any, the popular ones more often."""
    items = len(kinds)
    rank = rng.permutation(items)
    share = 1 / (1.0 + rank)
    share /= share.sum()
    anything = rng.choice(items, count, p=share)
    order = np.lexsort((rank, kinds))  # of each kind, the popular ones first
    first = np.searchsorted(kinds[order], np.arange(KINDS))
    size = np.bincount(kinds, minlength=KINDS)
    own = rng.integers(KINDS, size=(users, _OWN_KINDS))
    user = rng.integers(users, size=count)
    kind = own[user, rng.integers(_OWN_KINDS, size=count)]
    place = (size[kind] * rng.random(count) ** 3).astype(np.int64)
    liked = order[np.minimum(first[kind] + place, items - 1)]
    item = np.where(rng.random(count) < _LOYALTY, liked, anything)
    return [
        Interaction(f"u{u}", f"i{i:07}", "purchase", None, float(at), None, {})
        for at, (u, i) in enumerate(zip(user.tolist(), item.tolist(), strict=True))
    ]


def _read(rows: list[Interaction], ids: list[str]) -> tuple[Events, float]:
    return _timed(lambda: build_events(rows, ids))


def _equal(one: TasteModel, other: TasteModel) -> bool:
    return bool(
        np.array_equal(one.prior, other.prior)
        and np.array_equal(one.neighbours.rows, other.neighbours.rows)
        and np.array_equal(one.neighbours.values, other.neighbours.values)
        and np.array_equal(one.targets, other.targets)
    )


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    made = call()
    return made, round(time.process_time() - started, 2)


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024


if __name__ == "__main__":
    run_and_exit(main)
