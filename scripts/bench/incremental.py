#!/usr/bin/env python3
"""Quality over time as interactions come in: with increments, without, with live user state only.

The oldest half is learned from; then ten slices are asked in order of time, each before it is
learned. "increments" rebuilds with --since last before each slice; "without" keeps the first
snapshot and knows of each user what it knew then; "live_state" keeps it too, but histories go on.
At the end everything is learned anew, to compare the last slice and the time. Prints one JSON line.
"""

import json
import shutil
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import Index, build_index
from indexer.errors import RequestError
from indexer.evaluation import (
    LEAKING_FIELDS,
    Cases,
    InteractionLog,
    Part,
    ask_index,
    build_cases,
    build_log,
    link_vectors,
    read_log_rows,
    write_catalogue,
    write_rows,
)
from indexer.metrics import compute_ndcg10
from indexer.reading import parse_mapping
from service.commands import Progress, as_option, create_parser, run_and_exit

SLICES = 10


def main() -> int:
    """Measure and print."""
    made = create_parser(__doc__ or "")
    add = made.add_argument
    add("--catalog", action="append", required=True, metavar="FILE")
    add("--interactions", required=True, metavar="FILE", help="with times")
    add("--index", metavar="DIR", help="take the encoded vectors of this index")
    add("--model", metavar="NAME|DIR")
    add("--fields", type=as_option(parse_mapping), default={}, metavar="OURS=THEIRS,…")
    add("--cases", type=int, default=300, metavar="N", help="asked of each slice at most")
    add("--share", type=float, default=1.0, help="of the interactions, the oldest, to use")
    arguments = made.parse_args()
    with Progress() as bars, tempfile.TemporaryDirectory(prefix="zhiyin-incremental-") as name:
        work = Path(name)
        ids = write_catalogue(
            arguments.catalog,
            work / "items.jsonl",
            query=None,
            fields=arguments.fields,
            drop=frozenset(LEAKING_FIELDS),
        )
        rows = read_log_rows(arguments.interactions, context=None, fields=arguments.fields)
        log = build_log(rows.interactions, ids)
        if np.isnan(log.at).any():
            raise RequestError(f"{arguments.interactions} has rows without a time; give times")
        found = _Run(work, arguments, log).measured(bars, arguments.share)
    print(json.dumps(found))
    return 0


class _Run:
    """One prequential run in a folder."""

    def __init__(self, work: Path, arguments: Any, log: InteractionLog) -> None:
        self.work, self.arguments, self.log = work, arguments, log
        self.repeats = log.has_repeats

    def measured(self, bars: Progress, share: float) -> dict[str, Any]:
        """Ask slice after slice."""
        count = int(share * len(self.log))
        cuts = np.linspace(count // 2, count, SLICES + 1).astype(int)
        first = self.build("still", cuts[0])
        shutil.copytree(self.work / "still", self.work / "moving", symlinks=True)
        told: dict[str, list[float]] = {"increments": [], "without": [], "live_state": []}
        times: list[dict[str, float]] = []
        gain: dict[str, NDArray[np.float64]] = {}
        for number, (start, end) in enumerate(pairwise(cuts)):
            bars("slice", number, SLICES)
            if number:
                times.append(self.build("moving", start, since="last"))
            cases = self.cases(start, end)
            gain = {
                "increments": self.gains("moving", cases),
                "live_state": self.gains("still", cases),
                "without": self.gains("still", self.as_known_at(cases, cuts[0])),
            }
            for name, values in gain.items():
                told[name].append(round(float(values.mean()), 4))
        full = self.build("anew", cuts[-2])
        anew = float(self.gains("anew", self.cases(cuts[-2], cuts[-1])).mean())
        last = float(gain["increments"].mean())
        return {
            "interactions": count,
            "items": len(self.log.item_ids),
            "cases_per_slice": self.arguments.cases,
            "ndcg10": told,
            "mean": {name: round(float(np.mean(values)), 4) for name, values in told.items()},
            "last_slice": {"increments": round(last, 4), "learned_anew": round(anew, 4),
                           "ratio": round(last / anew, 4) if anew else None},
            "seconds": {"first": first, "increment": times[-1], "learned_anew": full},
            "fit_share": round(times[-1]["fit_cpu_s"] / max(full["fit_cpu_s"], 1e-9), 4),
            "build_share": round(times[-1]["build_s"] / full["build_s"], 4),
        }  # fmt: skip

    def build(self, name: str, rows: int, **options: Any) -> dict[str, float]:
        """Build on the oldest rows; return what it took."""
        root = self.work / name
        if self.arguments.index and not root.exists():
            link_vectors(Path(self.arguments.index), root)
        events = self.work / f"{name}.csv"
        columns = write_rows(self.log, np.arange(len(self.log)) < rows, events)
        started, cpu = time.perf_counter(), time.process_time()
        build_index(
            self.work / "items.jsonl",
            root,
            model=self.arguments.model,
            interactions=str(events),
            context=columns,
            examine=False,
            **options,
        )
        index = Index.open(root)
        fit = float(index.taste.report["fit_cpu_s"]) if index.taste else 0.0
        index.close()
        return {
            "build_s": round(time.perf_counter() - started, 2),
            "build_cpu_s": round(time.process_time() - cpu, 2),
            "fit_cpu_s": fit,
        }

    def cases(self, start: int, end: int) -> Cases:
        """The picks of a slice, with all that came before them."""
        number = np.arange(len(self.log))
        part = np.where(number < start, Part.FIT, np.where(number < end, Part.TEST, Part.TEST + 1))
        log = replace(self.log, part=part)
        return build_cases(log, Part.TEST, repeats=self.repeats, max_cases=self.arguments.cases)

    def as_known_at(self, cases: Cases, moment: int) -> Cases:
        """The same picks with histories that end at a row."""
        return replace(cases, histories=tuple(h[h < moment] for h in cases.histories))

    def gains(self, name: str, cases: Cases) -> NDArray[np.float64]:
        """NDCG@10 of each case."""
        index = Index.open(self.work / name)
        targets = [self.log.item_ids[item] for item in cases.target]
        found = compute_ndcg10(ask_index(index, list(cases.build_requests()), targets).ranks)
        index.close()
        return found


if __name__ == "__main__":
    run_and_exit(main)
