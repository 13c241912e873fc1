"""A snapshot in an index directory to its entry in a list, and to why it does not serve."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from indexer import SnapshotError
from indexer.snapshot import find_snapshot, list_ids, read_manifest
from service.edge import Problem


def describe_error(error: Exception) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def describe_snapshot(root: Path, name: str) -> dict[str, Any]:
    """Return the entry of a snapshot in a list of snapshots; `error` says what is damaged."""
    try:
        manifest = read_manifest(find_snapshot(root, name))
    except SnapshotError as error:
        return {"error": describe_error(error)}
    return {
        "created_at": manifest.created_at,
        "items": manifest.counts["items"],
        "index": manifest.index.get("kind"),
        "model": manifest.encoder.name if manifest.encoder else None,
        "parent": manifest.parent,
        "error": None,
    }


def find_highest_applied_seq(root: Path) -> int:
    """Return the highest number of a live store that a snapshot of a directory has applied."""
    highest = 0
    for name in list_ids(root):
        try:
            highest = max(highest, read_manifest(find_snapshot(root, name)).applied_seq)
        except SnapshotError:  # a damaged snapshot does not serve
            continue
    return highest


def build_conflict(reason: str) -> Problem:
    """Return the answer of a call that would have switched the snapshot."""
    return Problem(HTTPStatus.CONFLICT, f"the snapshot was not switched: {reason}")


def describe_failure(name: str, served: str, cause: str) -> str:
    """Return why a snapshot does not serve, or only in part.

    Args:
        name: Of the snapshot; empty: it is not known which is the current one.
        served: Of the one that serves; empty: there is none.
        cause: Why.
    """
    if name and name == served:
        return (
            f"the language model of snapshot {name} cannot be loaded ({cause}); requests without "
            f"text are answered meanwhile"
        )
    what = f"snapshot {name}" if name else "the current snapshot"
    return f"{what} cannot be opened ({cause})" + (f"; serving {served}" if served else "")
