"""A finished build and a holdout to what its model would answer if it had not seen the holdout.

The build's own model has learned from the newest interactions. So a model is fitted in the same way
on the rows before the holdout, and that one answers.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from indexer.build import FinishedBuild
from indexer.evaluation import IndexAnswers, ask_index, build_slices
from indexer.metrics import compute_metrics
from indexer.reading import Interaction
from indexer.release.holdout import Holdout
from indexer.release.holdout_index import HOLDOUT_FOLDER, CatalogueFiles, Meaning
from indexer.taste import TasteModel, fit_taste, refit_taste

CURVE_ROWS = (0, 50, 500, 5_000, 50_000)  # numbers of interactions on the learning curve
_CURVE_CASES = 300
_MAX_CURVE_SHARE = 0.3  # of all rows, so that the points together cost less than one fit


class CandidateModel:
    """The model of a finished build, fitted on fewer interactions."""

    def __init__(self, build: FinishedBuild) -> None:
        self._build = build
        self._files = CatalogueFiles(build.work, build.manifest, build.stats, build.encoder)
        self._meaning: Meaning = self._files.compute_meaning()

    def answer(self, holdout: Holdout) -> IndexAnswers:
        """Answer the cases, having learned from all rows before the holdout."""
        return self._answer_with(self._fit(holdout.training_rows), holdout)

    def compute_learning_curve(
        self, holdout: Holdout, all_answers: IndexAnswers
    ) -> list[dict[str, Any]]:
        """Return NDCG@10 by slice and by how many of the last training rows are learned from.

        Args:
            holdout: Its cases are sampled down.
            all_answers: What `answer` returned, for the last point.
        """
        case_count = len(holdout.cases)
        case_numbers = np.sort(np.random.default_rng(0).permutation(case_count)[:_CURVE_CASES])
        sample = holdout.take(case_numbers)
        training_rows = holdout.training_rows
        points = []
        for count in (n for n in CURVE_ROWS if n <= _MAX_CURVE_SHARE * len(training_rows)):
            taste = self._fit(training_rows[len(training_rows) - count :])
            points.append(_build_curve_point(count, self._answer_with(taste, sample), sample))
        sampled_answers = replace(all_answers, ranks=all_answers.ranks[case_numbers])
        return [*points, _build_curve_point(len(training_rows), sampled_answers, sample)]

    def _fit(self, rows: Sequence[Interaction]) -> TasteModel:
        """Fit as the build did: tuned anew, or with the settings it kept."""
        ids, settings = self._build.stats.ids, self._build.kept_settings
        if settings is None:
            return fit_taste(rows, ids, self._meaning)
        return refit_taste(rows, ids, self._meaning, settings=settings)

    def _answer_with(self, taste: TasteModel, holdout: Holdout) -> IndexAnswers:
        folder = self._build.work / HOLDOUT_FOLDER / "new"
        with self._files.open_with_taste(taste, folder=folder) as index:
            answers = ask_index(index, holdout.requests, holdout.targets)
        shutil.rmtree(folder)
        return answers


def _build_curve_point(row_count: int, answers: IndexAnswers, holdout: Holdout) -> dict[str, Any]:
    ndcg10_by_slice = {
        name: compute_metrics(answers.ranks[which]).ndcg10
        for name, which in build_slices(holdout.cases).items()
        if which.any()
    }
    return {"rows": row_count, **ndcg10_by_slice}
