"""Answer a file of requests: one line in, one line out, in the same order.

A line is the body of POST /v1/recommend plus "request_id"; histories may have 20,000 entries. With
--db, live items and what the store knows of the users count too, as they were at the start.

A line that cannot be answered gives a line {"request_id", "error"}; the others are answered, the
file is put in place, and the exit code is 1.

A longer file is answered by several processes, all from one snapshot (--workers); with --db by one,
for all lines have to see one moment of the store.

Example:
  zhiyin recommend --index data/index --requests asked.jsonl --out answers.jsonl
"""

import argparse
from pathlib import Path

from service.commands.console import Parser, Progress

_MOST_WORKERS = 64


def add_arguments(parser: Parser) -> None:
    """Add the files and the number of processes."""
    add = parser.add_argument
    add("--index", required=True, metavar="DIR", help="index directory")
    add("--requests", required=True, metavar="FILE.jsonl", help="plain or .gz")
    add("--db", metavar="URL", help="live store of the service")
    add("--out", required=True, metavar="FILE.jsonl", help="plain or .gz")
    add(
        "--workers", type=int, metavar="N", help="processes; default: cores, at most 4; 1 with --db"
    )


def run(arguments: argparse.Namespace) -> int:
    """Answer every line, then put the whole file in place."""
    workers = arguments.workers
    if workers is not None and not 1 <= workers <= _MOST_WORKERS:
        arguments.refuse(f"--workers is {workers}; give a number from 1 to {_MOST_WORKERS}")
    if arguments.db and (workers or 1) > 1:
        arguments.refuse("--workers is for requests without --db; leave one of them out")
    from service.jobs import recommend_batch

    with Progress() as progress:
        recommend_batch(
            Path(arguments.index),
            Path(arguments.requests),
            Path(arguments.out),
            db=arguments.db,
            workers=workers,
            report=progress,
        )
    return 0
