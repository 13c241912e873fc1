"""List, verify, roll back or prune the snapshots of an index directory.

list             every snapshot, the live one marked
verify [ID]      check files, checksums, rows and vectors; exit 1 and say what is wrong
rollback [ID]    make an older snapshot live: the one before, or the one named
prune [--keep N] delete all but the newest N (default 3); never the live one, nor one in use
"""

import argparse
from pathlib import Path

from service.commands.console import Parser


def add_arguments(parser: Parser) -> None:
    """Add the directory and the four actions."""
    parser.add_argument("--index", required=True, type=Path, metavar="DIR", help="index directory")
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="list|verify|rollback|prune"
    )
    actions.add_parser("list")
    for name in ("verify", "rollback"):
        actions.add_parser(name).add_argument("id", nargs="?", help="snapshot id")
    actions.add_parser("prune").add_argument("--keep", type=int, default=3, metavar="N")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    from service.jobs import list_snapshots, prune_snapshots, roll_back, verify

    root: Path = arguments.index
    match arguments.action:
        case "list":
            return list_snapshots(root)
        case "verify":
            return verify(root, arguments.id)
        case "rollback":
            return roll_back(root, arguments.id)
    if arguments.keep < 1:
        arguments.refuse(f"--keep {arguments.keep} would delete the live snapshot; keep at least 1")
    return prune_snapshots(root, arguments.keep)
