"""Build an index from a catalogue and publish it as one new snapshot.

A running service picks the new snapshot up by itself. Texts that an earlier build has encoded are
not encoded again. A build that fails, or is killed, leaves the live snapshot as it was.

Interactions become histories of their users in the live store (--db, or live.sqlite in the index
directory), each once, so that the service knows who they are. A later build learns from that store
and needs no interactions again.

Examples:
  zhiyin build --catalog films.csv --fields title=name,tags=genres,id=movieId --out data/index
  zhiyin build --catalog products_export.csv --interactions orders_export.csv --out data/index
  zhiyin build --catalog films.csv --out data/index --db postgresql://me@db/live
  zhiyin build --catalog postgresql://me@db/shop --query "SELECT * FROM items" --out data/index
"""

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.terminal_text import escape_controls
from service.commands.console import (
    Parser,
    Progress,
    add_catalogue_fields,
    add_interactions,
    parse_rating_scale,
    parse_share,
)
from service.commands.live_store import find_live_store

if TYPE_CHECKING:  # loaded by `run` alone, so that --help is quick
    from indexer import BuildOptions, BuildSummary
    from service.jobs import StoreBuildSummary


def add_arguments(parser: Parser) -> None:
    """Add the options of a build."""
    _add_sources(parser)
    _add_live_store(parser)
    _add_model_and_index(parser)
    _add_learning(parser)
    _add_publishing(parser)


def _add_sources(parser: Parser) -> None:
    """Add where the catalogue, the interactions and live changes come from, and where it goes."""
    add = parser.add_argument
    add(
        "--catalog",
        action="append",
        required=True,
        metavar="FILE|URL",
        help="JSON, CSV, TSV or Parquet, plain or .gz, or a SQLAlchemy URL; may be repeated",
    )
    add("--query", help="SELECT statement or table name for a SQLAlchemy URL")
    add_catalogue_fields(parser)
    add_interactions(parser, is_alone=False, required=False)
    add(
        "--no-import",
        action="store_true",
        help="only learn from --interactions: users stay unknown to the live store",
    )
    add("--out", required=True, metavar="DIR", help="index directory")
    add(
        "--max-rejected",
        type=parse_share,
        default=0.01,
        metavar="1%",
        help="fail, publishing nothing, if more rows than this are bad (default 1%%)",
    )


def _add_live_store(parser: Parser) -> None:
    """Add which live store is folded in."""
    add = parser.add_argument
    add(
        "--db",
        metavar="URL",
        help="live store whose items and events are folded in; a live change beats its row "
        "(default: live.sqlite in DIR, if it is there)",
    )
    add("--no-live", action="store_true", help="leave the live store out")
    add(
        "--drop-live",
        action="store_true",
        help="the catalogue is right again, live item changes so far are dropped",
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
    """Add what is learned from interactions."""
    add = parser.add_argument
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
    from service.jobs import StoreBuildPlan, build_with_store

    out = Path(arguments.out)
    db = find_live_store(arguments, out)
    if arguments.drop_live and db is None:
        arguments.refuse("--drop-live needs a live store: --db, or live.sqlite in --out")
    plan = StoreBuildPlan(
        catalog=arguments.catalog,
        out=out,
        options=_read_options(arguments),
        db=db,
        drops_live=arguments.drop_live,
        import_db=_find_import_store(arguments, db),
    )
    with Progress() as progress:
        summary = build_with_store(plan, report=progress)
    print(_to_json(summary) if arguments.json else escape_controls(_describe(summary)))
    return 0


def _read_options(arguments: argparse.Namespace) -> "BuildOptions":
    """Return the options of the build itself."""
    from indexer import BuildOptions

    return BuildOptions(
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
        interaction_fields=arguments.interaction_fields,
        event=arguments.event,
        value_is=arguments.value_is,
        context=arguments.context,
        rating_scale=arguments.rating_scale,
        tune_encoder=arguments.tune_encoder,
    )


def _find_import_store(arguments: argparse.Namespace, db: str | None) -> str | None:
    """Return the URL of the store that keeps the interactions; None: none does."""
    if arguments.interactions is None or arguments.no_import or arguments.no_live:
        return None
    if db is not None:
        return db
    from service.live import build_default_url

    return build_default_url(Path(arguments.out))


def _to_json(summary: "StoreBuildSummary") -> str:
    parts = asdict(summary)
    return json.dumps({**parts.pop("build"), **parts}, ensure_ascii=False)


def _describe(summary: "StoreBuildSummary") -> str:
    build = summary.build
    lines = [_describe_unchanged(build)] if build.unchanged else _describe_build(build)
    if summary.live_items or summary.live_events:
        lines.append(
            f"  folded in from the live store: {summary.live_events:,} events, "
            f"{summary.live_items:,} changed items"
        )
    if summary.live_events and not build.interactions and not build.unchanged:
        lines.append("  these events are too few to learn from; an imported history never is")
    if summary.imported is not None:
        told = summary.imported.describe().splitlines()
        lines += ["  histories of users in the live store (--no-import: none):"]
        lines += [f"    {line}" for line in told]
    return "\n".join(lines)


def _describe_unchanged(build: "BuildSummary") -> str:
    return f"Nothing has changed: snapshot {build.snapshot} in {build.out} stays live"


def _describe_build(build: "BuildSummary") -> list[str]:
    folder = Path(build.out) / "snapshots" / build.snapshot
    lines = [
        f"Published snapshot {build.snapshot} in {build.out}",
        f"  {build.items} items ({build.encoded} texts encoded, {build.reused} reused)",
        f"  index {build.index}, recall {build.recall:.3f}, {build.seconds:.1f} s",
    ]
    if build.index_note:
        lines.append(f"  {build.index_note}")
    if build.interactions:
        lines.append(
            f"  taste learned from {build.interactions} interactions, of which "
            f"{build.interactions_matched} name an item of the catalogue"
        )
    if build.rejected_interactions:
        lines.append(f"  {build.rejected_interactions} bad interactions left out")
    if build.duplicates:
        lines.append(f"  {build.duplicates} rows were replaced by a later row of the same id")
    if build.rejected:
        lines.append(
            f"  {build.rejected} bad rows left out; reasons in {folder / 'rejected.jsonl'}"
        )
    return lines + _describe_report(folder)


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
