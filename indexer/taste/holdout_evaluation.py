"""Settings to the ranks and gains of held-out targets, over all windows, each tried once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from indexer.metrics import compute_ndcg10
from indexer.taste.catalogue_ranking import compute_ranks_by_each, rank_in_tiles
from indexer.taste.scorer import Scorer
from indexer.taste.settings import TasteSettings
from indexer.taste.tuning_trials import AMONG_ALL, Ranks, TuningTrials
from indexer.taste.window_scorers import FIRST_COUNT, widen_sample

STANDARD_ERRORS = 2.0

Gains = NDArray[np.float64]


@dataclass(slots=True)
class HoldoutEvaluation:
    """Evaluates settings on the hold-out cases of all windows.

    Attributes:
        scorers: One for each window; all have the same sample, or none.
        report: Called with a sentence about each decision.
        trials: Ranks of the settings tried so far.
        seed: Of the random draws of later samples.
        stage: How often the sample was widened, or `AMONG_ALL`: ranks of one stage are compared
            with each other alone.
    """

    scorers: Sequence[Scorer]
    report: Callable[[str], None] = lambda _: None
    trials: TuningTrials = field(default_factory=TuningTrials, repr=False)
    seed: int = 0
    stage: int = 0

    def __len__(self) -> int:
        return sum(len(scorer.cases) for scorer in self.scorers)

    def compute_ranks(self, settings: TasteSettings) -> Ranks:
        """Return the rank of each target, `(c,)` over all windows; with a sample, estimates."""
        self.rank_together([settings])
        return self.trials.get(settings, self.stage)

    def rank_together(self, trials: Sequence[TasteSettings]) -> None:
        """Rank by several settings at once, in less time than one by one if it is among many items.

        `compute_ranks` then knows them.
        """
        new = [one for one in dict.fromkeys(trials) if not self.trials.has(one, self.stage)]
        by_window = [compute_ranks_by_each(scorer, new) for scorer in self.scorers]
        for number, settings in enumerate(new):
            parts = [ranks[number] for ranks in by_window]
            ranks = np.concatenate([np.zeros(0, np.int64), *parts])
            self.trials.add(settings, ranks, self.stage)

    def look_at_all(self) -> "HoldoutEvaluation":
        """Return the evaluation among all items, exact and slow; itself if it has no sample."""
        if not self._has_sample:
            return self
        scorers = [scorer.look_at(None) for scorer in self.scorers]
        return replace(self, scorers=scorers, stage=AMONG_ALL)

    def widen_sample(self, winner: TasteSettings) -> None:
        """Let the sample hold for certain what a winner puts first; without a sample do nothing.

        The sample does not grow: what mattered least may be left to chance again. All settings are
        then tried anew, since their earlier ranks are of another sample.
        """
        if not self._has_sample:
            return
        ranked = [rank_in_tiles(scorer, [winner], FIRST_COUNT)[0] for scorer in self.scorers]
        if not self.trials.has(winner, AMONG_ALL):
            self.trials.add(winner, np.concatenate([one.ranks for one in ranked]), AMONG_ALL)
        self.stage += 1
        first_rows = np.concatenate([one.rows for one in ranked])
        self.scorers = widen_sample(self.scorers, first_rows, rng_seed=(self.seed, self.stage))

    def drop_newest(self) -> "HoldoutEvaluation":
        """Return the evaluation on all windows but the newest; ranks known already are not lost."""
        known = TuningTrials()
        skipped = len(self.scorers[0].cases)
        for settings, stage, ranks in self.trials.list_all():
            known.add(settings, ranks[skipped:], stage)
        return HoldoutEvaluation(self.scorers[1:], trials=known, seed=self.seed, stage=self.stage)

    @property
    def _has_sample(self) -> bool:
        return any(scorer.sample is not None for scorer in self.scorers)

    def compute_gains(self, settings: TasteSettings) -> Gains:
        """Return the gain of each case, `(c,)`, see `compute_rank_gains`."""
        return compute_rank_gains(self.compute_ranks(settings))

    def compute_lead(self, gains: Gains) -> float:
        """Return a mean of paired gains `(c,)` minus two standard errors over users."""
        _, user = np.unique(self._collect_users(), return_inverse=True)
        return float(gains.mean()) - STANDARD_ERRORS * compute_standard_error(gains, user)

    def collect_cold(self) -> NDArray[np.bool_]:
        """Return whether the target of each case is a cold item, `(c,) bool`."""
        return np.concatenate([scorer.cases.cold for scorer in self.scorers])

    def collect_new_user(self) -> NDArray[np.bool_]:
        """Return whether the user of each case is new, `(c,) bool`."""
        return np.concatenate([scorer.cases.new_user for scorer in self.scorers])

    def count_cases_with(self, liking: float) -> int:
        """Return how many cases have an event of a `liking` of `Reactions` in their history."""
        return sum(
            len(np.unique(cases.entry_case[cases.history.liking == liking]))
            for cases in (scorer.cases for scorer in self.scorers)
        )

    def _collect_users(self) -> NDArray[np.int64]:
        return np.concatenate([scorer.cases.user for scorer in self.scorers])


def compute_rank_gains(ranks: NDArray[np.int64]) -> Gains:
    """Return the mean of NDCG@10 and NDCG@50 of each rank; NDCG@50 alone varies less by chance."""
    ndcg50: Gains = np.where(ranks <= 50, 1 / np.log2(1 + ranks), 0.0)
    return (compute_ndcg10(ranks) + ndcg50) / 2


def compute_standard_error(gains: Gains, user: NDArray[np.int64]) -> float:
    """Return the standard error of the mean gain, clustered by user.

    The cases of one user are not independent, so their deviations are summed before squaring.

    Args:
        gains: `(c,)`.
        user: `(c,)`, users numbered from 0.
    """
    deviation = np.bincount(user, gains - gains.mean())
    return float(np.sqrt((deviation**2).sum())) / len(gains)
