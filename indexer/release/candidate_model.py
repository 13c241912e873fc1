"""A finished build and a holdout to what its model would answer if it had not seen the holdout.

The build's own model has learned from the newest interactions. So a model is fitted in the same way
on the rows before the holdout, and that one answers.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.build import FinishedBuild
from indexer.evaluation import IndexAnswers, build_slices
from indexer.metrics import compute_metrics
from indexer.reading import Interaction
from indexer.release.holdout import Holdout
from indexer.release.model_answers import ModelCatalogue
from indexer.release.snapshot_files import open_model_catalogue
from indexer.taste import (
    WINDOW_SHARE,
    Events,
    TasteModel,
    TasteSettings,
    confirm_taste,
    fit_taste,
    refit_taste,
)

CURVE_ROWS = (0, 50, 500, 5_000, 50_000)  # numbers of interactions on the learning curve
_CURVE_CASES = 300
_MAX_CURVE_SHARE = 0.3  # of all rows, so that the points together cost less than one fit


class CandidateModel:
    """The model of a finished build, fitted on fewer interactions."""

    def __init__(self, build: FinishedBuild) -> None:
        self._build = build

    @cached_property
    def _catalogue(self) -> ModelCatalogue:
        return open_model_catalogue(self._build.work, self._build.stats)

    def answer(self, holdout: Holdout) -> tuple[IndexAnswers, TasteSettings]:
        """Answer the cases, having learned from all rows before the holdout.

        Returns:
            The answers, and the settings that they were given with.
        """
        model = self._fit(holdout)
        return self._catalogue.answer(model, holdout), model.settings

    def compute_learning_curve(
        self, holdout: Holdout, all_answers: IndexAnswers, settings: TasteSettings
    ) -> list[dict[str, Any]]:
        """Return NDCG@10 by slice and by how many of the last training rows are learned from.

        Each point is fitted with the same settings, or learns nothing if its own rows, held out in
        turn, do not support them.

        Args:
            holdout: Its cases are sampled down.
            all_answers: What `answer` returned, for the last point.
            settings: Likewise.
        """
        case_count = len(holdout.cases)
        case_numbers = np.sort(np.random.default_rng(0).permutation(case_count)[:_CURVE_CASES])
        sample = holdout.take(case_numbers)
        rows, catalogue = holdout.training_rows, self._catalogue
        points = []
        for count in (n for n in CURVE_ROWS if n <= _MAX_CURVE_SHARE * len(rows)):
            some = rows[len(rows) - count :]
            events = self._build_events(some)
            model = confirm_taste(events, catalogue.ids, catalogue.meaning, settings=settings)
            points.append(_build_curve_point(count, catalogue.answer(model, sample), sample))
        sampled_answers = replace(all_answers, ranks=all_answers.ranks[case_numbers])
        return [*points, _build_curve_point(len(rows), sampled_answers, sample)]

    def find_new_items(self, holdout: Holdout) -> dict[str, NDArray[np.bool_]]:
        """Return which cases picked what had just arrived, as slice `new_item`, `(c,) bool`.

        It arrived after the newest tenth of what is learned from had begun. Nothing if that is not
        known of any.
        """
        times = np.sort([row.at for row in holdout.training_rows if row.at is not None])
        if holdout.starts_at is None or not len(times):
            return {}
        begin = times[int((1 - WINDOW_SHARE) * len(times))]
        arrivals = dict(zip(self._catalogue.ids, self._catalogue.arrivals.tolist(), strict=True))
        item_ids = holdout.cases.log.item_ids
        is_new = [arrivals[item_ids[row]] >= begin for row in holdout.cases.target.tolist()]
        return {"new_item": np.array(is_new, np.bool_)} if any(is_new) else {}

    def _fit(self, holdout: Holdout) -> TasteModel:
        """Fit as the build did: with the settings it kept, or with some that saw no holdout.

        Those are the ones that it tuned without the newest events; if it has none, or if rows are
        held out by another order than that of time, they are tuned anew.
        """
        build, ids, meaning = self._build, self._build.stats.ids, self._catalogue.meaning
        settings = build.kept_settings
        if settings is None and holdout.starts_at is not None:
            settings = build.settings_without_newest
        events = self._build_events(holdout.training_rows)
        if settings is None:
            return fit_taste(events, ids, meaning)
        return refit_taste(events, ids, meaning, settings=settings)

    def _build_events(self, rows: Sequence[Interaction]) -> Events:
        own_weights = dict(self._build.taste.settings.scale.own_weights)
        return self._catalogue.build_events(rows, own_weights)


def _build_curve_point(row_count: int, answers: IndexAnswers, holdout: Holdout) -> dict[str, Any]:
    ndcg10_by_slice = {
        name: compute_metrics(answers.ranks[which]).ndcg10
        for name, which in build_slices(holdout.cases).items()
        if which.any()
    }
    return {"rows": row_count, **ndcg10_by_slice}
