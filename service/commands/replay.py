"""Replay the end of a log of interactions through the service, and tell what live state is worth.

The last tenth of the events is replayed in order of time over HTTP: before each one that says yes
to an item not met before, the service recommends; then the event is posted. Three answers are
compared by NDCG@10 of that item: live state (every event so far), frozen state (events before the
cut; what was met since is excluded too), and the plain mean of all liked items so far. Intervals
are 95% bootstrap over users. Prints one JSON line.

The index must not have learned from the events that are replayed.

Example:
  zhiyin replay --index data/index --interactions ratings.csv --most 2000
"""

import argparse
import json
import sys
from pathlib import Path

from service.commands.console import (
    Parser,
    Progress,
    add_interactions,
    parse_share,
)


def add_arguments(parser: Parser) -> None:
    """Add the index, the file, and how much of it is replayed."""
    add = parser.add_argument
    add("--index", required=True, type=Path, metavar="DIR", help="index directory")
    add_interactions(parser, is_alone=True)
    add(
        "--last",
        type=parse_share,
        default=0.1,
        metavar="SHARE",
        help="part to replay (default 10%%)",
    )
    add("--most", type=int, default=2_000, metavar="N", help="cases to ask for (default 2000)")


def run(arguments: argparse.Namespace) -> int:
    """Serve, replay, compare."""
    from indexer.reading import ValueKind
    from service.jobs import ReplayPlan, replay_events

    plan = ReplayPlan(
        arguments.index,
        arguments.interactions,
        last=arguments.last,
        most=arguments.most,
        query=arguments.interactions_query,
        fields=arguments.interaction_fields,
        context=arguments.context,
        event=arguments.event,
        value_kind=ValueKind(arguments.value_is) if arguments.value_is else None,
    )
    with Progress() as progress:
        figures = replay_events(plan, report=progress)
    for note in figures["notes"]:
        print(note, file=sys.stderr)
    print(json.dumps(figures))
    return 0
