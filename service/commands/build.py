"""Build an index from a catalogue and publish it as one new snapshot.

A running service picks the new snapshot up by itself. Texts that an earlier build has encoded are
not encoded again. A build that fails, or is killed, leaves the live snapshot as it was.

Examples:
  zhiyin build --catalog films.csv --fields title=name,tags=genres,id=movieId --out data/index
  zhiyin build --catalog films.csv --out data/index --db sqlite:///data/index/live.sqlite
  zhiyin build --catalog postgresql://me@db/shop --query "SELECT * FROM items" --out data/index
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.commands.console import (
    Parser,
    Progress,
    parse_columns,
    parse_field_mapping,
    parse_rating_scale,
    parse_share,
)

if TYPE_CHECKING:  # loaded by `run` alone, so that --help is quick
    from indexer import BuildOptions, BuildSummary


def add_arguments(parser: Parser) -> None:
    """Add the options of a build."""
    _add_sources(parser)
    _add_model_and_index(parser)
    _add_learning(parser)
    _add_publishing(parser)


def _add_sources(parser: Parser) -> None:
    """Add where the catalogue, the interactions and live changes come from."""
    add = parser.add_argument
    add(
        "--catalog",
        action="append",
        required=True,
        metavar="FILE|URL",
        help="JSON, CSV, TSV or Parquet, plain or .gz, or a SQLAlchemy URL; may be repeated",
    )
    add("--query", help="SELECT statement or table name for a SQLAlchemy URL")
    add(
        "--fields",
        type=parse_field_mapping,
        default={},
        metavar="OURS=THEIRS,…",
        help="names of columns, such as title=name,tags=genres,id=movieId",
    )
    add("--interactions", metavar="FILE|URL", help="learn taste from interactions")
    add("--interactions-query", metavar="SQL", help="SELECT or table name for a URL of those")
    add("--db", metavar="URL", help="fold in live items and events; a live change beats its row")
    add(
        "--drop-live",
        action="store_true",
        help="with --db: the catalogue is right again, live item changes so far are dropped",
    )
    add("--out", required=True, metavar="DIR", help="index directory")
    add(
        "--max-rejected",
        type=parse_share,
        default=0.01,
        metavar="1%",
        help="fail, publishing nothing, if more rows than this are bad (default 1%%)",
    )


def _add_model_and_index(parser: Parser) -> None:
    """Add the encoder and the kind of index."""
    add = parser.add_argument
    add(
        "--model",
        metavar="NAME|DIR",
        help="sentence-transformers or plain Hugging Face encoder (default multilingual-e5-small); "
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
        type=parse_share,
        default=0.99,
        metavar="0.99",
        help="recall@10 that the index must reach for every kind of request (default 0.99)",
    )


def _add_learning(parser: Parser) -> None:
    """Add what is learned from interactions, and how they are read."""
    add = parser.add_argument
    add(
        "--context",
        type=parse_columns,
        metavar="COL,…",
        help="interaction columns that are known when asking (default: time, place, weather …)",
    )
    add(
        "--event",
        metavar="NAME",
        help="the event of all interactions, such as play (default: as each says, or as its value "
        "shows)",
    )
    add(
        "--value-is",
        choices=("rating", "count", "money"),
        help="what the values of interactions are (default: inferred and told)",
    )
    add(
        "--rating-scale",
        type=parse_rating_scale,
        metavar="LOW-HIGH",
        help="lowest and highest possible rating (default: inferred from the data)",
    )
    add(
        "--tune-encoder",
        action="store_true",
        help="tune the model's last layer on the interactions; kept only if clearly better (slow)",
    )


def _add_publishing(parser: Parser) -> None:
    """Add what is done again, and what is published."""
    add = parser.add_argument
    add(
        "--since",
        choices=("last",),
        help="publish nothing if nothing has changed since the last build; keep what was tuned",
    )
    add("--force-full", action="store_true", help="encode every text again")
    add(
        "--force",
        action="store_true",
        help="publish what was learned even if it is clearly worse than the live snapshot",
    )
    add("--json", action="store_true", help="print the summary as one line of JSON")


def run(arguments: argparse.Namespace) -> int:
    """Build, publish, say what was done."""
    from indexer import BuildOptions, build_index

    if arguments.drop_live and arguments.db is None:
        arguments.refuse("--drop-live needs --db")
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
        notice=partial(print, file=sys.stderr, flush=True),
        interactions=arguments.interactions,
        interactions_query=arguments.interactions_query,
        event=arguments.event,
        value_is=arguments.value_is,
        context=arguments.context,
        rating_scale=arguments.rating_scale,
        tune_encoder=arguments.tune_encoder,
    )
    with Progress() as progress, _with_live_store(arguments, options) as complete:
        summary = build_index(arguments.catalog, arguments.out, report=progress, options=complete)
    print(summary.to_json() if arguments.json else _describe(summary))
    return 0


@contextmanager
def _with_live_store(
    arguments: argparse.Namespace, options: "BuildOptions"
) -> Iterator["BuildOptions"]:
    """Yield the options with what the live store holds; once published, the store drops it."""
    if arguments.db is None:
        yield options
        return
    from service.edge import load_secret
    from service.store import LiveDatabase, cache_live_vectors, prune_applied_changes, read_changes

    out, drops = Path(arguments.out), arguments.drop_live
    database = LiveDatabase.open(arguments.db)
    try:
        secret = load_secret(None, os.environ)
        found, changes = read_changes(database, secret, now=time.time(), with_items=not drops)
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


def _describe(summary: "BuildSummary") -> str:
    if summary.unchanged:
        return f"Nothing has changed: snapshot {summary.snapshot} in {summary.out} stays live"
    folder = Path(summary.out) / "snapshots" / summary.snapshot
    lines = [
        f"Published snapshot {summary.snapshot} in {summary.out}",
        f"  {summary.items} items ({summary.encoded} texts encoded, {summary.reused} reused)",
        f"  index {summary.index}, recall {summary.recall:.3f}, {summary.seconds:.1f} s",
    ]
    if summary.index_note:
        lines.append(f"  {summary.index_note}")
    if summary.interactions:
        lines.append(
            f"  taste learned from {summary.interactions} interactions, of which "
            f"{summary.interactions_matched} name an item of the catalogue"
        )
    if summary.rejected_interactions:
        lines.append(f"  {summary.rejected_interactions} bad interactions left out")
    if summary.duplicates:
        lines.append(f"  {summary.duplicates} rows were replaced by a later row of the same id")
    if summary.rejected:
        lines.append(
            f"  {summary.rejected} bad rows left out; reasons in {folder / 'rejected.jsonl'}"
        )
    lines += _describe_report(folder)
    return "\n".join(lines)


def _describe_report(folder: Path) -> list[str]:
    """The headline figure of a release report and where to read it; nothing without one."""
    page = folder / "report.html"
    if not page.is_file():
        return []
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    methods = (report.get("release") or {}).get("methods") or {}
    figures = [
        f"{label} {value:.3f}"
        for label, method in (("now", "new"), ("the live snapshot before", "live"))
        if (value := _read_ndcg10(methods.get(method))) is not None
    ]
    headline = f"NDCG@10 on the newest events: {', '.join(figures)}; " if figures else ""
    return [f"  {headline}report: {page}"]


def _read_ndcg10(method: dict[str, Any] | None) -> float | None:
    value = ((method or {}).get("all") or {}).get("ndcg10")
    return None if value is None else float(value)
