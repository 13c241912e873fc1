"""The live snapshot to the answers and figures that a finished build is compared with."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from indexer.build import FinishedBuild
from indexer.errors import IndexerError
from indexer.evaluation import IndexAnswers
from indexer.index import Index
from indexer.language import Encoder
from indexer.metadata import RowValueKind
from indexer.metrics import compute_metrics
from indexer.release.holdout import Holdout, split_holdout
from indexer.release.model_answers import ModelCatalogue
from indexer.release.snapshot_files import open_model_catalogue
from indexer.snapshot import CatalogueStats, Manifest, find_snapshot, read_manifest
from indexer.taste import TasteModel, TasteSettings, refit_taste

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

    @cached_property
    def _catalogue(self) -> ModelCatalogue:
        return open_model_catalogue(self._index.path, _collect_catalogue_stats(self._index))

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
        taste = self._index.taste
        if taste is None:
            note = "The live snapshot has learned nothing and was asked as it is."
            return self._answer_with(self._fit_nothing(), holdout), note
        if holdout.is_unseen_by_live:
            note = "The live snapshot learned from nothing of them and was asked as it is."
            return self._answer_with(taste, holdout), note
        catalogue = self._catalogue
        events = catalogue.build_events(
            holdout.training_rows, dict(taste.settings.scale.own_weights)
        )
        refitted = refit_taste(events, catalogue.ids, catalogue.meaning, settings=taste.settings)
        note = (
            "The live snapshot may have learned from them, so that its settings were fitted "
            "again on the interactions before."
        )
        return self._answer_with(refitted, holdout), note

    def _answer_with(self, taste: TasteModel, holdout: Holdout) -> IndexAnswers:
        return self._catalogue.answer(taste, holdout)

    def _fit_nothing(self) -> TasteModel:
        """A model that learned nothing, which likes what the build's model likes."""
        settings = TasteSettings(scale=self._build.taste.settings.scale)
        catalogue = self._catalogue
        return refit_taste([], catalogue.ids, catalogue.meaning, settings=settings)

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
            own_weights=dict(self._build.taste.settings.scale.own_weights),
            max_cases=_MAX_CASES_OF_TRAINING_ROWS,
        )
        if holdout is None:
            return None
        taste = self._index.taste or self._fit_nothing()
        return compute_metrics(self._catalogue.answer(taste, holdout).ranks).ndcg10


def _collect_catalogue_stats(index: Index) -> CatalogueStats:
    """Return the facts about an open index's catalogue that its build had collected."""
    ratings = np.full(index.count, np.nan, np.float32)
    if "rating" in index.schema.fields:
        row_values = index.row_values("rating", RowValueKind.NUMBERS)
        ratings[row_values.rows] = row_values.values
    manifest = index.manifest
    ids = index.ids(range(index.count))
    return CatalogueStats(manifest.rating_scale, manifest.language, ratings, ids)
