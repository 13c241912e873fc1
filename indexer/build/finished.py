"""A build whose files are written to the report of the check that it must pass (interfaces)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from indexer.language import Encoder
from indexer.progress import StageProgress
from indexer.reading import Interaction
from indexer.snapshot import CatalogueStats, Manifest
from indexer.taste import TasteModel, TasteSettings


@dataclass(frozen=True, slots=True)
class FinishedBuild:
    """A build with a taste model, complete but not published yet.

    Attributes:
        root: Index directory.
        work: Folder that holds the files of the build.
        manifest: Its manifest, still without `files`.
        stats: Facts about the catalogue.
        encoder: Its encoder; None if every row brought its vector.
        interactions: What the taste model learned from.
        taste: The taste model.
        kept_settings: Settings taken over from the live snapshot; None: tuned in this build.
        settings_without_newest: Settings that this build tuned without the newest tenth of the
            interactions; None: it did not.
        min_recall: Recall that the index had to reach.
    """

    root: Path
    work: Path
    manifest: Manifest
    stats: CatalogueStats
    encoder: Encoder | None
    interactions: Sequence[Interaction]
    taste: TasteModel
    kept_settings: TasteSettings | None
    settings_without_newest: TasteSettings | None
    min_recall: float


class ReleaseCheck(Protocol):
    """Decides whether a build may be published."""

    def __call__(self, build: FinishedBuild, *, report: StageProgress) -> dict[str, Any]:
        """Return the release report of a build that may be published.

        Raises:
            ReleaseError: If it may not be published.
        """
        ...
