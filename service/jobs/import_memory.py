"""What a build has imported of its own interactions to the store that it already knows.

The next build beside the store finds more in it than the last one did, and nothing that is new. So
the file says which state of the store came from the last build alone.
"""

import json
import time
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from indexer import BuildOptions, BuildSummary, SnapshotError
from indexer.build import LiveState
from indexer.snapshot import find_snapshot
from service.jobs.import_events import ImportSummary
from service.store import LiveDatabase, raise_as_failure, read_changes

_FILE = "imported.json"


def remember_import(
    root: Path, url: str, secret: str, *, learned: BuildOptions, built: BuildSummary,
    imported: ImportSummary,
) -> None:  # fmt: skip
    """Write down the state of the store after an import if it holds nothing else that is new.

    Args:
        root: Index directory.
        url: SQLAlchemy URL of the store.
        secret: Key of the hashes of erased users.
        learned: Options of the build, with what it knew of the store.
        built: What it did.
        imported: What became of its interactions.
    """
    if built.unchanged or imported.refused:
        return
    with raise_as_failure(), closing(LiveDatabase.open(url)) as database:
        found, _ = read_changes(database, secret, now=time.time())
    added = imported.accepted + imported.changed
    if learned.live_state:
        is_all = found.applied_seq == learned.applied_seq + added
    else:
        is_all = len(found.events) == imported.accepted and not found.items
    if not is_all:
        return
    before = LiveState(learned.live_state, learned.applied_seq)
    now = LiveState(found.state, found.applied_seq)
    memory = {"snapshot": built.snapshot, "before": asdict(before), "now": asdict(now)}
    new = root / f".{_FILE}.new"
    new.write_text(json.dumps(memory), encoding="utf-8")
    new.replace(root / _FILE)


def recall_before_import(root: Path, now: LiveState) -> LiveState | None:
    """Return what the store was when the live snapshot was built; None if more is new since.

    Args:
        root: Index directory.
        now: What the store is.
    """
    with suppress(OSError, ValueError, KeyError, TypeError, SnapshotError):
        memory = json.loads((root / _FILE).read_text(encoding="utf-8"))
        is_live = memory["snapshot"] == find_snapshot(root).name
        if is_live and LiveState(**memory["now"]) == now:
            return LiveState(**memory["before"])
    return None
