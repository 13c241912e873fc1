#!/usr/bin/env python3
"""The request function on one thread: a history to request vectors and named terms, no search.

Random items of the catalogue make the history. Prints one JSON line: processor milliseconds of each
step and of the whole, the median and the 99th percentile, and for comparison of a complete answer.
Ids have been looked up before, as in a service that has been running for a while.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np

from indexer import Index
from indexer.answer import recommend
from indexer.query import (
    InputColumns,
    TasteContext,
    apply_taste_model,
    build_input_vectors,
    build_inputs,
    build_query_vectors,
    find_interest_clusters,
)
from indexer.request import MAX_HISTORY_BATCH, Request, find_scenario, parse_request
from service.commands import create_parser, run_and_exit

T = TypeVar("T")


class Laps:
    """Processor milliseconds of this thread by step, over many rounds."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {}

    def lap(self, step: str, call: Callable[[], T]) -> T:
        """Call and note how long it took."""
        started = time.thread_time()  # what others do on the machine is not counted
        made = call()
        self.took.setdefault(step, []).append(1_000 * (time.thread_time() - started))
        return made

    def told(self) -> dict[str, dict[str, float]]:
        """Return the median and the 99th percentile of each step."""
        return {
            step: {
                "p50": round(float(np.median(took)), 3),
                "p99": round(float(np.quantile(took, 0.99)), 3),
            }
            for step, took in self.took.items()
        }


def main() -> int:
    """Measure and print."""
    made = create_parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR")
    made.add_argument("--history", type=int, default=200)
    made.add_argument("--rounds", type=int, default=200)
    made.add_argument("--seed", type=int, default=0)
    arguments = made.parse_args()
    index = Index.open(arguments.index)
    rng = np.random.default_rng(arguments.seed)
    index.rows(index.ids(range(min(index.count, 100_000))))
    laps = Laps()
    for _ in range(arguments.rounds):
        rows = rng.integers(index.count, size=arguments.history).tolist()
        history = [{"item_id": item, "event": "purchase"} for item in index.ids(rows)]
        body = {"history": history, "k": 10, "explain": False}
        request = parse_request(body, max_history=MAX_HISTORY_BATCH)
        laps.lap("request_function", partial(_steps, index, request, laps))
        laps.lap("answer", partial(recommend, index, request, now=0.0))
    print(
        json.dumps(
            {
                **{k: v for k, v in vars(arguments).items() if k != "debug"},
                "items": index.count,
                "learned": index.taste is not None,
                "ms": laps.told(),
            }
        )
    )
    return 0


def _steps(index: Index, request: Request, laps: Laps) -> None:
    scenario = find_scenario(request.scenario, index.scenarios)
    signals = laps.lap("signals", lambda: build_inputs(request, scenario, index.manifest, 0.0))
    ids = [signal.item_id for signal in signals if signal.item_id is not None]
    known = laps.lap("rows", lambda: index.rows(ids))
    sources = laps.lap("vectors", lambda: build_input_vectors(index, signals, known))
    if index.taste is not None:
        taste = index.taste
        moment = TasteContext(weights=request.weights, context_words={}, include_seen=False)
        layout = index.manifest.layout
        learned = laps.lap(
            "taste",
            lambda: apply_taste_model(taste, signals, known, layout=layout, taste_context=moment),
        )
        signals = learned.inputs
    is_learned = index.taste is not None
    laps.lap(
        "worlds",
        lambda: find_interest_clusters(
            InputColumns.build(signals), sources, has_learned_weights=is_learned
        ),
    )
    laps.lap(
        "compose",
        lambda: build_query_vectors(signals, sources, scenario=scenario, weights=request.weights),
    )


if __name__ == "__main__":
    run_and_exit(main)
