#!/usr/bin/env python3
"""Rebuild an index from a catalogue and publish it as one new snapshot.

A running service picks the new snapshot up by itself. Texts that an earlier build has encoded are
not encoded again. A build that fails, or is killed, leaves the live snapshot as it was.

Examples:
  rebuild_index.py --catalog films.csv --fields title=name,tags=genres,id=movieId --out data/index
  rebuild_index.py --catalog films.csv --out data/index --db sqlite:///data/index/live.sqlite
  rebuild_index.py --catalog postgresql://me@db/shop --query "SELECT * FROM items" --out data/index
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from _cli import Bars, Parser, option, parser, run, share

from indexer import BuildOptions, BuildSummary, build_index
from indexer.language import DEFAULT_MODEL
from indexer.reading import parse_mapping
from service.edge import load_secret
from service.store import LiveDatabase, cache_live_vectors, prune_applied_changes, read_changes


def main() -> int:
    """Parse the command line, build, say what was done."""
    arguments = _arguments().parse_args()
    if arguments.drop_live and arguments.db is None:
        _arguments().error("--drop-live needs --db")
    options = BuildOptions(
        query=arguments.query,
        model=arguments.model,
        fields=arguments.fields,
        index=arguments.index,
        min_recall=arguments.min_recall,
        max_rejected=arguments.max_rejected,
        force_full=arguments.force_full,
        force=arguments.force,
        since=arguments.since,
        notice=partial(print, file=sys.stderr),
        interactions=arguments.interactions,
        interactions_query=arguments.interactions_query,
        context=arguments.context,
        rating_scale=arguments.rating_scale,
        tune_encoder=arguments.tune_encoder,
    )
    with Bars() as bars, _with_live(arguments, options) as folded:
        summary = build_index(arguments.catalog, arguments.out, report=bars, options=folded)
    print(summary.to_json() if arguments.json else _told(summary))
    return 0


@contextmanager
def _with_live(arguments: argparse.Namespace, options: BuildOptions) -> Iterator[BuildOptions]:
    """The options with what the live store holds; once the build is published, it forgets."""
    if arguments.db is None:
        yield options
        return
    out, drops = Path(arguments.out), arguments.drop_live
    database = LiveDatabase.open(arguments.db)
    try:
        secret = load_secret(None, os.environ)
        found, changes = read_changes(database, secret, with_items=not drops)
        cache_live_vectors(out, changes)
        yield replace(
            options,
            changes=found.items,
            live_events=found.events,
            is_erased=found.is_erased,
            applied_seq=found.applied_seq,
        )
        prune_applied_changes(database, out, drop_up_to_seq=found.applied_seq if drops else None)
    finally:
        database.close()


def _arguments() -> Parser:
    made = parser(__doc__ or "")
    add = made.add_argument
    add(
        "--catalog",
        action="append",
        required=True,
        metavar="FILE|URL",
        help="JSONL, CSV, TSV or Parquet, plain or .gz, or a SQLAlchemy URL; may be repeated",
    )
    add("--query", help="SELECT statement or table name for a SQLAlchemy URL")
    add("--out", required=True, metavar="DIR", help="index directory")
    add("--interactions", metavar="FILE|URL", help="learn taste from interactions")
    add("--interactions-query", metavar="SQL", help="SELECT or table name for a URL of those")
    add("--db", metavar="URL", help="fold in live items and events; a live change beats its row")
    add(
        "--drop-live",
        action="store_true",
        help="with --db: the catalogue is right again, live item changes so far are dropped",
    )
    add(
        "--context",
        type=_columns,
        metavar="COL,…",
        help="interaction columns that are known when asking (default: time, place, weather …)",
    )
    add(
        "--rating-scale",
        type=_rating_scale,
        metavar="LOW-HIGH",
        help="lowest and highest possible rating (default: inferred from the data)",
    )
    add(
        "--model",
        metavar="NAME|DIR",
        help=f"sentence-transformers or plain Hugging Face encoder (default {DEFAULT_MODEL}); "
        "'none' if every row has a vector",
    )
    add(
        "--index",
        default="auto",
        metavar="auto|flat|hnsw|ivf|FACTORY",
        help="kind of index, or a FAISS factory string (default auto: by size)",
    )
    add(
        "--min-recall",
        type=share,
        default=0.99,
        metavar="0.99",
        help="recall@10 that the index must reach for every kind of request (default 0.99)",
    )
    add(
        "--fields",
        type=option(parse_mapping),
        default={},
        metavar="OURS=THEIRS,…",
        help="names of columns, such as title=name,tags=genres,id=movieId",
    )
    add(
        "--max-rejected",
        type=share,
        default=0.01,
        metavar="1%",
        help="fail, publishing nothing, if more rows than this are bad (default 1%%)",
    )
    add(
        "--since",
        choices=("last",),
        help="publish nothing if nothing has changed since the last build; keep what was tuned",
    )
    add(
        "--force",
        action="store_true",
        help="publish what was learned even if it is clearly worse than the live snapshot",
    )
    add(
        "--tune-encoder",
        action="store_true",
        help="tune the model's last layer on the interactions; kept only if clearly better (slow)",
    )
    add("--force-full", action="store_true", help="encode every text again")
    add("--json", action="store_true", help="print the summary as one line of JSON")
    return made  # fmt: skip


def _columns(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _rating_scale(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(-?[\d.]+)-(-?[\d.]+)", text.strip())
    try:
        low, high = (float(part) for part in match.groups()) if match else (0.0, 0.0)
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise argparse.ArgumentTypeError(f"{text!r} is no rating scale; use LOW-HIGH such as 1-5")
    return low, high


def _told(summary: BuildSummary) -> str:
    if summary.unchanged:
        return f"Nothing has changed: snapshot {summary.snapshot} in {summary.out} stays live"
    lines = [
        f"Published snapshot {summary.snapshot} in {summary.out}",
        f"  {summary.items} items ({summary.encoded} texts encoded, {summary.reused} reused)",
        f"  index {summary.index}, recall {summary.recall:.3f}, {summary.seconds:.1f} s",
    ]
    if summary.index_note:
        lines.append(f"  {summary.index_note}")
    if summary.interactions:
        lines.append(f"  taste learned from {summary.interactions} interactions")
    if summary.rejected_interactions:
        lines.append(f"  {summary.rejected_interactions} bad interactions left out")
    if summary.duplicates:
        lines.append(f"  {summary.duplicates} rows were replaced by a later row of the same id")
    if summary.rejected:
        where = f"{summary.out}/snapshots/{summary.snapshot}/rejected.jsonl"
        lines.append(f"  {summary.rejected} bad rows left out; reasons in {where}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
