#!/usr/bin/env python3
"""How fast texts are encoded, against sentence-transformers as it comes, in the same run.

Prints one JSON line for each model: items a second of both and their ratio, the cosine to float32
vectors of sentence-transformers, one query's p50 of both, the queries a second of 8 concurrent
callers beside those of one caller with batches, and the items a second while two other processes
burn a core each. Both take turns, so that what others do on the machine slows both. Progress goes
to stderr.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from service.commands import create_parser, run_and_exit

_CALLERS = 8
_BURNERS = 2
_ROUNDS = 3


def main() -> int:
    """Measure each model and print."""
    made = create_parser(__doc__ or "")
    made.add_argument("--catalog", required=True, metavar="FILE.jsonl", help="titles, descriptions")
    made.add_argument("--models", default="all-MiniLM-L6-v2,multilingual-e5-small")
    made.add_argument("--texts", type=int, default=400, help="how many of the file's first rows")
    made.add_argument("--threads", type=int, default=1)
    arguments = made.parse_args()
    # Before torch is imported, by the encoder.
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    for name in arguments.models.split(","):
        print(json.dumps({"model": name, **_measure(name, arguments)}), flush=True)
    return 0


def _measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    from indexer.language import load_encoder

    with Path(arguments.catalog).open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, arguments.texts)]
    texts = [f"{row['title']}. {row.get('description') or ''}" for row in rows]
    titles = list(dict.fromkeys(row["title"] for row in rows))
    started = time.perf_counter()
    ours = load_encoder(name)
    told: dict[str, Any] = {"load_s": round(time.perf_counter() - started, 2)}
    theirs = _load_sentence_transformers(name)
    told |= {"texts": len(texts), "threads": arguments.threads, "load": os.getloadavg()[0]}
    told["precision"] = ours.precision
    told |= _compare_items(ours, theirs, texts)
    told |= _compare_queries(ours, theirs, titles)
    told |= _measure_callers(ours, titles)
    return told | _compare_busy(ours, theirs, texts)


def _load_sentence_transformers(name: str) -> Any:
    from sentence_transformers import SentenceTransformer

    from indexer.language import ensure_checkpoint

    folder = name if Path(name).is_dir() else str(ensure_checkpoint(name))
    model = SentenceTransformer(folder, device="cpu")
    model.max_seq_length = 256  # as ours
    return model


def _time(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _compare_items(ours: Any, theirs: Any, texts: Sequence[str]) -> dict[str, Any]:
    import torch

    prompted = [ours.fingerprint.item_prompt + text for text in texts]
    threads = int(os.environ["OMP_NUM_THREADS"])
    found: list[Any] = [None, None]

    def encode_theirs() -> None:
        torch.set_num_threads(threads)
        found[1] = theirs.encode(
            prompted, batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )

    def encode_ours() -> None:
        found[0] = ours.encode_items(texts)

    seconds, their_seconds = _time_in_turn(encode_ours, encode_theirs)
    cosine = (found[0] * found[1]).sum(axis=1)
    return {
        "items_per_s": round(len(texts) / seconds, 1),
        "their_items_per_s": round(len(texts) / their_seconds, 1),
        "items_ratio": round(their_seconds / seconds, 2),
        "cosine_mean": round(float(cosine.mean()), 6),
        "cosine_min": round(float(cosine.min()), 6),
    }


def _time_in_turn(*calls: Callable[[], object]) -> list[float]:
    """The best of `_ROUNDS` for each: what others do on the machine only slows."""
    for call in calls:
        call()  # warm-up
    rounds = [[_time(call) for call in calls] for _ in range(_ROUNDS)]
    return [min(column) for column in zip(*rounds, strict=True)]


def _compare_queries(ours: Any, theirs: Any, titles: Sequence[str]) -> dict[str, Any]:
    prompt = ours.fingerprint.query_prompt
    both: list[tuple[float, float]] = []
    for title in titles[:100]:
        mine = _time(lambda title=title: ours.encode_queries([title]))  # type: ignore[misc]
        plain = _time(
            lambda title=title: theirs.encode(  # type: ignore[misc]
                prompt + title, normalize_embeddings=True, show_progress_bar=False
            )
        )
        both.append((mine, plain))
    p50, their_p50 = (statistics.median(column) * 1e3 for column in zip(*both, strict=True))
    cached = statistics.median(_time(lambda: ours.encode_queries([titles[0]])) for _ in range(200))
    return {
        "query_p50_ms": round(p50, 2),
        "their_query_p50_ms": round(their_p50, 2),
        "query_ratio": round(p50 / their_p50, 2),
        "cached_query_ms": round(cached * 1e3, 4),
    }


def _measure_callers(ours: Any, titles: Sequence[str]) -> dict[str, Any]:
    """Queries a second of concurrent callers with one text, and of one caller with batches."""

    def call(number: int) -> None:
        for title in titles[number::_CALLERS]:
            ours.encode_queries([f"{title} by {number}"])

    def call_together() -> None:
        with ThreadPoolExecutor(_CALLERS) as pool:
            list(pool.map(call, range(_CALLERS)))

    seconds = _time(call_together)
    batches = [
        [f"{title} at once" for title in titles[start : start + _CALLERS]]
        for start in range(0, len(titles), _CALLERS)
    ]
    alone_seconds = _time(lambda: [ours.encode_queries(batch) for batch in batches])
    return {
        "callers_queries_per_s": round(len(titles) / seconds, 1),
        "batches_queries_per_s": round(len(titles) / alone_seconds, 1),
        "callers_share": round(alone_seconds / seconds, 2),
    }


def _compare_busy(ours: Any, theirs: Any, texts: Sequence[str]) -> dict[str, Any]:
    """Items a second beside two burning processes, as a share of those just before.

    The share of processor time that the system gives is told apart from what is made of it: items
    for each second of processor time, which waiting threads waste when they spin.
    """
    texts = texts[:100]
    told: dict[str, Any] = {}
    for name, encode in (
        ("busy", lambda: ours.encode_items(texts)),
        ("their_busy", lambda: theirs.encode(texts, show_progress_bar=False)),
    ):
        quiet, quiet_cpu = min(_time_both(encode) for _ in range(2))
        with _busy_machine():
            busy, busy_cpu = min(_time_both(encode) for _ in range(2))
        told[f"{name}_items_per_s"] = round(len(texts) / busy, 1)
        told[f"{name}_share"] = round(quiet / busy, 2)
        told[f"{name}_share_per_cpu_s"] = round(quiet_cpu / busy_cpu, 2)
    return told


def _time_both(call: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds a call takes, and those of processor time in all threads."""
    started = time.process_time()
    seconds = _time(call)
    return seconds, time.process_time() - started


@contextmanager
def _busy_machine() -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    burners = [context.Process(target=_burn, daemon=True) for _ in range(_BURNERS)]
    for burner in burners:
        burner.start()
    time.sleep(1)  # until they run
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


def _burn() -> None:
    while True:
        pass


if __name__ == "__main__":
    print("measuring", file=sys.stderr)
    run_and_exit(main)
