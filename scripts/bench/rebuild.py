#!/usr/bin/env python3
"""What a rebuild costs if all, one row in a hundred, or nothing has changed.

Runs scripts/rebuild_index.py --since last in processes of their own over made-up items with texts
of about 40 words, so loading the model counts too. Prints one JSON line: seconds of the clock and
of the processor, their shares of the full build, texts encoded, and the recall of each index. On a
busy machine only the seconds of the processor compare. Progress goes to stderr.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from service.commands import create_parser, run_and_exit

_WORDS = """
sea rain war love ghost jazz robot garden river winter letter train island dream detective family
music doctor forest night city summer secret journey king dance school market road mountain painter
storm village soldier teacher ocean bridge silver shadow memory
"""


def main() -> int:
    """Build three times and compare."""
    made = create_parser(__doc__ or "")
    made.add_argument("--rows", type=int, default=20_000)
    made.add_argument("--model", default="all-MiniLM-L6-v2", help="as of rebuild_index.py")
    made.add_argument("--index", default="ivf", help="as of rebuild_index.py (default ivf)")
    made.add_argument("--quick", action="store_true", help="500 rows")
    arguments = made.parse_args()
    rows = _rows(500 if arguments.quick else arguments.rows)
    told: dict[str, Any] = {**vars(arguments), "rows": len(rows), "words_of_a_text": 40}
    with tempfile.TemporaryDirectory() as folder:
        catalog, out = Path(folder) / "items.jsonl", Path(folder) / "x"
        _write(catalog, rows)
        told["full"] = _built(catalog, out, arguments)
        for row in rows[::100]:
            row["description"] = f"changed {row['description']}"
        _write(catalog, rows)
        told["one_in_a_hundred_changed"] = _built(catalog, out, arguments)
        told["nothing_changed"] = _built(catalog, out, arguments)
    for part in ("one_in_a_hundred_changed", "nothing_changed"):
        for unit in ("seconds", "cpu_s"):
            told[part][f"{unit}_of_full"] = round(told[part][unit] / told["full"][unit], 4)
    print(json.dumps(told))
    return 0


def _rows(count: int) -> list[dict[str, Any]]:
    rng, words = np.random.default_rng(0), _WORDS.split()
    return [
        {
            "id": f"m{row:06d}",
            "title": " ".join(rng.choice(words, 4)),
            "description": " ".join(rng.choice(words, 36)),
            "rating": int(rng.integers(1, 6)),
        }
        for row in range(count)
    ]


def _write(catalog: Path, rows: list[dict[str, Any]]) -> None:
    catalog.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _built(catalog: Path, out: Path, arguments: Any) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "service.commands",
        "build",
        "--catalog",
        str(catalog),
        "--out",
        str(out),
        "--json",
    ]
    command += ["--since", "last", "--model", arguments.model, "--index", arguments.index]
    started, before = time.perf_counter(), _children_s()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = round(time.perf_counter() - started, 2)
    summary = json.loads(done.stdout)
    kept = ("items", "encoded", "reused", "unchanged", "index", "recall")
    told = {"seconds": seconds, "cpu_s": round(_children_s() - before, 2)}
    told |= {name: summary[name] for name in kept}
    print(json.dumps(told), file=sys.stderr)
    return told


def _children_s() -> float:
    """Seconds of the processor that finished child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run_and_exit(main)
