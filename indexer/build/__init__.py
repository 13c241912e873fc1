"""The offline column: a catalogue to a snapshot, stage by stage.

In: sources and `BuildOptions`; someone who decides about what was learned (`Examine`).
Out: a published snapshot and a `BuildSummary`.
"""

from indexer.build.finished import FinishedBuild
from indexer.build.options import BuildOptions, BuildSummary, StageProgress, override_options
from indexer.build.pipeline import build_snapshot
from indexer.build.staging import DeletedId

__all__ = [
    "BuildOptions",
    "BuildSummary",
    "DeletedId",
    "FinishedBuild",
    "StageProgress",
    "build_snapshot",
    "override_options",
]
