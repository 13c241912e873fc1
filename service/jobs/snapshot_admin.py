"""An index directory to printed lines about its snapshots: list, verify, roll back, prune."""

from pathlib import Path

from indexer.errors import SnapshotError
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


def list_snapshots(root: Path) -> int:
    """Print every snapshot, the live one marked; return the exit code."""
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


def verify(root: Path, snapshot_id: str | None) -> int:
    """Print what is wrong with a snapshot, default the live one; return 1 if anything is."""
    from indexer.release import verify_snapshot  # it loads what other actions do not need

    chosen = snapshot_id or read_current_id(root)
    findings = verify_snapshot(root, chosen)
    for finding in findings:
        print(f"{chosen}: {finding}")
    if not findings:
        print(f"{chosen}: sound")
    return 1 if findings else 0


def roll_back(root: Path, snapshot_id: str | None) -> int:
    """Make an older snapshot live, default the one before; return the exit code.

    Raises:
        SnapshotError: If there is none, or it is damaged; nothing is changed.
    """
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


def prune_snapshots(root: Path, keep: int) -> int:
    """Delete all but the newest `keep` snapshots and those in use; return the exit code."""
    done = prune(root, keep)
    print(f"{len(done.deleted)} deleted, {len(done.remaining)} kept")
    for name in done.in_use:
        print(f"{name} is kept: a running process has it open")
    return 0
