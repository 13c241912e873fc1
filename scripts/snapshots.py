#!/usr/bin/env python3
"""List, verify, roll back or prune the snapshots of an index directory.

list             every snapshot, the live one marked
verify [ID]      check files, checksums, rows and vectors; exit 1 and say what is wrong
rollback [ID]    make an older snapshot live: the one before, or the one named
prune [--keep N] delete all but the newest N (default 3); never the live one, nor one in use
"""

from pathlib import Path

from _cli import parser, run

from indexer.errors import SnapshotError
from indexer.release import verify_snapshot
from indexer.snapshot import (
    check_files,
    find_snapshot,
    list_ids,
    locate_snapshots,
    make_current,
    prune,
    read_current_id,
    read_manifest,
)


def main() -> int:
    """Dispatch the action."""
    made = parser(__doc__ or "")
    made.add_argument("--index", required=True, type=Path, metavar="DIR", help="index directory")
    actions = made.add_subparsers(dest="action", required=True)
    actions.add_parser("list")
    for name in ("verify", "rollback"):
        actions.add_parser(name).add_argument("id", nargs="?", help="snapshot id")
    actions.add_parser("prune").add_argument("--keep", type=int, default=3, metavar="N")
    arguments = made.parse_args()
    root: Path = arguments.index
    match arguments.action:
        case "list":
            return _list(root)
        case "verify":
            return _verify(root, arguments.id)
        case "rollback":
            return _rollback(root, arguments.id)
    if arguments.keep < 1:
        made.error(f"--keep {arguments.keep} would delete the live snapshot; keep at least 1")
    return _prune(root, arguments.keep)


def _list(root: Path) -> int:
    live = read_current_id(root)
    print(f"{'':2}{'snapshot':26} {'created':20} {'items':>9} {'MB':>8} {'index':>8} {'recall':>7}")
    for name in list_ids(root):
        mark = "* " if name == live else "  "
        try:
            manifest = read_manifest(locate_snapshots(root) / name)
        except SnapshotError as error:
            print(f"{mark}{name:26} damaged: {error}")
            continue
        size = sum(facts["bytes"] for facts in manifest.files.values()) / 1e6
        print(
            f"{mark}{name:26} {manifest.created_at[:19]:20} {manifest.counts['items']:>9} "
            f"{size:>8.1f} {manifest.index['kind']:>8} {manifest.index['recall']:>7.3f}"
            + (f"  from {manifest.parent}" if manifest.parent else "")
        )
    return 0


def _verify(root: Path, snapshot_id: str | None) -> int:
    chosen = snapshot_id or read_current_id(root)
    findings = verify_snapshot(root, chosen)
    for finding in findings:
        print(f"{chosen}: {finding}")
    if not findings:
        print(f"{chosen}: sound")
    return 1 if findings else 0


def _rollback(root: Path, snapshot_id: str | None) -> int:
    live = read_current_id(root)
    if snapshot_id is None:
        older = [name for name in list_ids(root) if name < live]
        if not older:
            raise SnapshotError(f"{root} has no snapshot older than {live}; nothing was changed")
        snapshot_id = older[-1]
    path = find_snapshot(root, snapshot_id)
    check_files(path, read_manifest(path))
    make_current(root, snapshot_id)
    print(f"{snapshot_id} is live; it was {live}")
    return 0


def _prune(root: Path, keep: int) -> int:
    done = prune(root, keep)
    print(f"{len(done.deleted)} deleted, {len(done.remaining)} kept")
    for name in done.in_use:
        print(f"{name} is kept: a running process has it open")
    return 0


if __name__ == "__main__":
    run(main)
