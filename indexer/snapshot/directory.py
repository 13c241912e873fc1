"""A complete working folder to the live snapshot of an index directory, and ids to folders.

    DIR/CURRENT                    the id of the live snapshot
    DIR/snapshots/<utc>-<hash>/    manifest.json, catalog.sqlite, columns/, raw.npy, hashes.npy,
                                   space.safetensors, index.faiss, rejected.jsonl, report.json,
                                   taste/ if it was learned, encoder.safetensors if it was tuned

A snapshot never changes after it is published. Items are numbered 0..n-1 in order of item id; this
number is the SQLite key, the row of the columns, the row of the vectors and the FAISS id at once,
so that the files cannot drift apart. A build writes into a hidden folder beside the snapshots,
which is renamed once it is complete.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from indexer.durable import fsync
from indexer.errors import SnapshotError
from indexer.snapshot.manifest import MANIFEST_FILE, REBUILD_HINT, Manifest

_SNAPSHOT_ID = re.compile(r"\w[\w.-]{0,99}")  # what may name a folder


def locate_snapshots(root: Path) -> Path:
    """Return the folder that holds the snapshots of an index directory."""
    return root / "snapshots"


def read_current_id(root: Path) -> str:
    """Return the id of the live snapshot.

    Raises:
        SnapshotError: If the directory has none, or `CURRENT` is damaged.
    """
    try:
        current = (root / "CURRENT").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SnapshotError(f"{root} has no index (no file CURRENT); {REBUILD_HINT}") from error
    except UnicodeDecodeError as error:
        raise SnapshotError(f"{root / 'CURRENT'} is damaged ({error}); {REBUILD_HINT}") from error
    if not current or "/" in current or current.startswith("."):
        raise SnapshotError(
            f"{root / 'CURRENT'} holds {current[:60]!r}, no snapshot id; {REBUILD_HINT}"
        )
    return current


def find_snapshot(root: Path, snapshot_id: str | None = None) -> Path:
    """Return the folder of a snapshot, the live one by default.

    Raises:
        SnapshotError: If there is none of that id.
    """
    chosen = snapshot_id or read_current_id(root)
    folder = locate_snapshots(root) / chosen
    if not _SNAPSHOT_ID.fullmatch(chosen) or not folder.is_dir():
        known = ", ".join(list_ids(root)[-5:]) or "none"
        raise SnapshotError(f"{root} has no snapshot {chosen[:100]!r}; the newest are: {known}")
    return folder


def list_ids(root: Path) -> list[str]:
    """Return the ids of complete snapshots, oldest first."""
    folder = locate_snapshots(root)
    if not folder.is_dir():
        return []
    return sorted(
        p.name for p in folder.iterdir() if (p / MANIFEST_FILE).exists() and p.name[0] != "."
    )


def publish(work: Path, root: Path, manifest: Manifest) -> Path:
    """Make a complete working folder the live snapshot, and return its new path.

    Every file and folder is flushed to disk, then the folder is renamed, then `CURRENT` is
    replaced: after a power cut either the old snapshot is live or the new one, complete.
    """
    (work / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    for path in _iter_parents_last(work):
        _make_readable(path)
        fsync(path)
    target = locate_snapshots(root) / manifest.id
    work.rename(target)
    fsync(target.parent)
    make_current(root, manifest.id)
    return target


def make_current(root: Path, snapshot_id: str) -> None:
    """Point `CURRENT` at a snapshot, atomically and durably."""
    temporary = root / f".CURRENT-{os.getpid()}"
    temporary.write_text(snapshot_id + "\n", encoding="utf-8")
    fsync(temporary)
    temporary.replace(root / "CURRENT")
    fsync(root)


def _iter_parents_last(folder: Path) -> Iterator[Path]:
    yield from (p for p in folder.rglob("*") if p.is_file())
    yield from (p for p in folder.rglob("*") if p.is_dir())
    yield folder


def _make_readable(path: Path) -> None:
    """Give a file the mode of any new file; some libraries create theirs as owner-only."""
    if path.is_file():
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)
