"""A build that is complete but for its publication, as those see it who decide about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from indexer.build.options import StageProgress
from indexer.language import Encoder
from indexer.reading import Interaction
from indexer.snapshot import CatalogueStats, Manifest
from indexer.taste import TasteModel, TasteSettings


@dataclass(frozen=True, slots=True)
class FinishedBuild:
    """A build that is complete but for its publication.

    Attributes:
        work: Its folder.
        kept: Settings that were taken over from the live snapshot; None: tuned anew.
        min_recall: That its index had to reach.
    """

    root: Path
    work: Path
    manifest: Manifest
    facts: CatalogueStats
    encoder: Encoder | None
    interactions: Sequence[Interaction]
    taste: TasteModel
    kept: TasteSettings | None
    min_recall: float


class Examine(Protocol):
    """Decides about a build before it is published."""

    def __call__(self, finished: FinishedBuild, *, report: StageProgress) -> dict[str, Any]:
        """Return the release report of a build that may be published.

        Raises:
            ReleaseError: If it may not.
        """
        ...
