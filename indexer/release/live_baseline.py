"""The live snapshot to the answers and figures that a finished build is compared with."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from indexer.build import FinishedBuild
from indexer.errors import IndexerError
from indexer.evaluation import IndexAnswers, ask_index
from indexer.index import Index
from indexer.language import Encoder
from indexer.metrics import compute_metrics
from indexer.release.holdout import Holdout, split_holdout
from indexer.release.holdout_index import (
    HOLDOUT_FOLDER,
    CatalogueFiles,
    collect_catalogue_stats,
)
from indexer.snapshot import Manifest, find_snapshot, read_manifest
from indexer.taste import refit_taste

_MAX_CASES_OF_TRAINING_ROWS = 300


class LiveBaseline:
    """The snapshot that was live when a build began; a context manager that closes its index.

    Attributes:
        exists: Whether there was one.
    """

    def __init__(self, build: FinishedBuild) -> None:
        self._build = build
        self.exists = build.manifest.parent is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "_index" in self.__dict__:
            self._index.close()

    @cached_property
    def _folder(self) -> Path:
        return find_snapshot(self._build.root, self._build.manifest.parent)

    @cached_property
    def manifest(self) -> Manifest:
        """Its manifest.

        Raises:
            SnapshotError: If it cannot be read.
        """
        return read_manifest(self._folder)

    @cached_property
    def _index(self) -> Index:
        """It, opened once, with the build's encoder if that is its own too."""
        return Index.open(
            self._build.root, snapshot_id=self._build.manifest.parent, encoder=self._shared_encoder
        )

    @property
    def _shared_encoder(self) -> Encoder | None:
        """The build's encoder, if the live snapshot was encoded by the same."""
        is_same = self.manifest.encoder == self._build.manifest.encoder
        return self._build.encoder if is_same else None

    @cached_property
    def _release_report(self) -> dict[str, Any]:
        """The report of its own release; empty if there is none."""
        if not self.exists:
            return {}
        try:
            text = (self._folder / "report.json").read_text(encoding="utf-8")
            release_report = json.loads(text).get("release")
        except (OSError, ValueError):
            return {}
        return release_report if isinstance(release_report, dict) else {}

    @property
    def learned_until(self) -> float | None:
        """Unix seconds of the last interaction that it learned from, if known."""
        learned_until: float | None = self._release_report.get("learned_until")
        return learned_until

    @property
    def interaction_count(self) -> int:
        """Number of interactions that it learned from; 0 if that is not known."""
        count: int = self._release_report.get("learned_from", 0)
        return count

    @property
    def ndcg10_at_release(self) -> float | None:
        """NDCG@10 of the holdout evaluation before its release; None if there was none."""
        methods = self._release_report.get("methods", {})
        ndcg10 = methods.get("new", {}).get("all", {}).get("ndcg10")
        return None if ndcg10 is None else float(ndcg10)

    def answer(self, holdout: Holdout) -> tuple[IndexAnswers | None, str]:
        """Answer the cases of a holdout without having learned from them.

        Returns:
            The answers, None if there are none; and a sentence that says who answered.
        """
        if not self.exists:
            return None, "There was no live snapshot to compare with."
        try:
            return self._answer_as_is_or_refitted(holdout)
        except IndexerError as error:
            return None, f"The live snapshot could not be compared with: {error}."

    def _answer_as_is_or_refitted(self, holdout: Holdout) -> tuple[IndexAnswers, str]:
        live = self._index
        if live.taste is None:
            note = "The live snapshot has learned nothing and was asked as it is."
            return ask_index(live, holdout.requests, holdout.targets), note
        if holdout.is_unseen_by_live:
            note = "The live snapshot learned from nothing of them and was asked as it is."
            return ask_index(live, holdout.requests, holdout.targets), note
        stats = collect_catalogue_stats(live)
        files = CatalogueFiles(live.path, live.manifest, stats, self._shared_encoder)
        taste = refit_taste(
            holdout.training_rows,
            stats.ids,
            files.compute_meaning(),
            settings=live.taste.settings,
        )
        note = (
            "The live snapshot may have learned from them, so that its settings were fitted "
            "again on the interactions before."
        )
        folder = self._build.work / HOLDOUT_FOLDER / "live"
        with files.open_with_taste(taste, folder=folder) as refitted:
            return ask_index(refitted, holdout.requests, holdout.targets), note

    def measure_on_training_rows(self) -> float | None:
        """Return its NDCG@10 on those of the build's interactions that it should have learned from.

        It has seen these answers, so that it does better than at its release; unless the rows are
        not the same any more, for example since ids were renumbered. None if there are too few.

        Raises:
            SnapshotError: If it cannot be opened.
        """
        rows = self._build.interactions
        if (last := self.learned_until) is not None:
            rows = [row for row in rows if row.at is not None and row.at <= last]
        holdout = split_holdout(
            rows,
            self._build.stats.ids,
            learned_until=None,
            max_cases=_MAX_CASES_OF_TRAINING_ROWS,
        )
        if holdout is None:
            return None
        answers = ask_index(self._index, holdout.requests, holdout.targets)
        return compute_metrics(answers.ranks).ndcg10
