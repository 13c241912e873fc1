"""Make interactions the histories of users, so that who was imported is known at once.

Each row becomes an event of the live store, once: importing the same file again adds nothing, and
an import that was interrupted goes on where it stopped. Columns are those of `zhiyin build
--interactions`: user_id, item_id, event, value, timestamp. A later build learns from them too.

Examples:
  zhiyin import --index data/index --interactions ratings.csv
  zhiyin import --index data/index --interactions events.parquet --fields user_id=who,item_id=what
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from indexer.terminal_text import escape_controls
from service.commands.console import (
    Parser,
    Progress,
    add_interactions,
    parse_share,
)


def add_arguments(parser: Parser) -> None:
    """Add the file, the store, and how the file is read."""
    add = parser.add_argument
    add("--index", required=True, type=Path, metavar="DIR", help="index directory")
    add("--db", metavar="URL", help="live store (default: live.sqlite in the index directory)")
    add_interactions(parser, is_alone=True)
    add(
        "--max-rejected",
        type=parse_share,
        default=0.01,
        metavar="1%",
        help="exit with 1 if more rows than this are bad (default 1%%); the others are kept",
    )
    add("--json", action="store_true", help="print the summary as one line of JSON")


def run(arguments: argparse.Namespace) -> int:
    """Import, say what was done."""
    from indexer.errors import SnapshotError
    from indexer.reading import ValueKind
    from indexer.request import collect_known_events, load_index_scenarios
    from service.jobs import ImportPlan, import_interactions
    from service.live import describe_missing_store, find_live_url
    from service.settings import Settings

    if not arguments.index.is_dir():
        raise SnapshotError(f"{arguments.index} is not a directory; build an index there first")
    settings = Settings(index=arguments.index, db=arguments.db)
    url = find_live_url(settings)
    if url is None:
        raise SnapshotError(describe_missing_store(settings))
    plan = ImportPlan(
        source=arguments.interactions,
        db=url,
        root=arguments.index,
        query=arguments.interactions_query,
        fields=arguments.interaction_fields,
        event=arguments.event,
        value_kind=ValueKind(arguments.value_is) if arguments.value_is else None,
        context=arguments.context,
        known_names=collect_known_events(load_index_scenarios(arguments.index)),
        max_rejected=arguments.max_rejected,
    )
    with Progress() as progress:
        summary = import_interactions(plan, report=progress)
    if arguments.json:
        print(json.dumps(asdict(summary), ensure_ascii=False))
        return 0
    print(escape_controls("\n".join([*summary.notes, summary.describe()])))
    return 0
