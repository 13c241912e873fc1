"""Answer a file of requests: one line in, one line out, in the same order.

A line is the body of POST /v1/recommend plus "request_id"; histories may have 20,000 entries. Live
items and what the live store knows of the users count too, as they were at the start: that of --db,
or live.sqlite in the index directory if it is there (--no-live: neither).

A line that cannot be answered gives a line {"request_id", "error"}; the others are answered, the
file is put in place, and the exit code is 1.

Every answer to a request with a user_id or session_id says "user_known": true or false.

A longer file is answered by several processes, all from one snapshot (--workers); with a live store
by one, for all lines have to see one moment of the store.

Example:
  zhiyin recommend --index data/index --requests asked.jsonl --out answers.jsonl
"""

import argparse
import sys
from pathlib import Path

from service.commands.console import Parser, Progress
from service.commands.live_store import find_live_store

_MOST_WORKERS = 64


def add_arguments(parser: Parser) -> None:
    """Add the files and the number of processes."""
    add = parser.add_argument
    add("--index", required=True, metavar="DIR", help="index directory")
    add("--requests", required=True, metavar="FILE.jsonl", help="plain or .gz")
    add(
        "--db",
        metavar="URL",
        help="live store of the service (default: live.sqlite in the index directory, if any)",
    )
    add("--no-live", action="store_true", help="leave the live store out")
    add("--out", required=True, metavar="FILE.jsonl", help="plain or .gz")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes; default: cores, at most 4; 1 with a live store",
    )


def run(arguments: argparse.Namespace) -> int:
    """Answer every line, then put the whole file in place."""
    workers = arguments.workers
    if workers is not None and not 1 <= workers <= _MOST_WORKERS:
        arguments.refuse(f"--workers is {workers}; give a number from 1 to {_MOST_WORKERS}")
    from service.jobs import recommend_batch

    root = Path(arguments.index)
    db = find_live_store(arguments, root)
    if db and (workers or 1) > 1:
        arguments.refuse(
            f"one process answers from a live store, and --workers is {workers}; leave --workers "
            f"out, or the store with --no-live"
        )
    with Progress() as progress:
        summary = recommend_batch(
            root,
            Path(arguments.requests),
            Path(arguments.out),
            db=db,
            workers=workers,
            report=progress,
        )
    if summary.strangers and not arguments.no_live:
        print(
            f"{summary.strangers} of {summary.named} requests with a user_id or session_id are of "
            f"somebody of whom nothing is known (the first: {summary.first_stranger})",
            file=sys.stderr,
        )
    return 0
