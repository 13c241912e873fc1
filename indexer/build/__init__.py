"""A catalogue to a published snapshot, stage by stage, offline.

In: sources of items and `BuildOptions`; a `ReleaseCheck` that may refuse what was learned.
Out: a published snapshot and a `BuildSummary`.
"""

from indexer.build.finished import FinishedBuild
from indexer.build.options import (
    BuildChoices,
    BuildOptions,
    BuildSummary,
    LiveState,
    override_options,
)
from indexer.build.pipeline import build_snapshot

__all__ = [
    "BuildChoices",
    "BuildOptions",
    "BuildSummary",
    "FinishedBuild",
    "LiveState",
    "build_snapshot",
    "override_options",
]
