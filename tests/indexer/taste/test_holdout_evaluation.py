"""A sample never flatters what is chosen or reported: NDCG@10 is that of brute force."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.metrics import compute_ndcg10
from indexer.reading.interaction import Interaction
from indexer.taste import TasteModel, cases, fit_taste
from indexer.taste.cases import split_windows
from indexer.taste.events import build_events
from indexer.taste.fit import WINDOW_COUNT, fit_blocks
from indexer.taste.holdout_evaluation import HoldoutEvaluation, compute_rank_gains
from indexer.taste.scorer import Scorer
from indexer.taste.settings import TasteSettings
from indexer.taste.tuning_trials import AMONG_ALL
from indexer.taste.window_scorers import build_scorers
from tests.indexer.taste.worlds import compare_at_most, ids, interaction

KINDS, SOLD, LEFT = 40, 4, 56  # kinds of items; of each so many are picked, and so many never
N = KINDS * (SOLD + LEFT)
BOUND = 800
ZERO_SHOT = TasteSettings()
BY_TEXT = replace(ZERO_SHOT, meaning_weight=0.0, text_weight=4.0, taste_half_life=0.3)


def meaning_of_kinds() -> NDArray[np.float32]:
    """Items of a kind are near each other; of each kind the first `SOLD` are in rows below 160."""
    rng = np.random.default_rng(0)
    kind = np.arange(N) % KINDS
    rows = np.eye(KINDS)[kind] + 0.05 * rng.normal(size=(N, KINDS))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def picks_by_kind(users: int = 300) -> list[Interaction]:
    """After an item of a kind comes one of the next kind, but never one that is left."""
    rng = np.random.default_rng(1)
    rows = []
    for user in range(users):
        kind, start = int(rng.integers(KINDS)), float(rng.integers(1_000_000))
        for step in range(6):
            item = kind + KINDS * int(rng.integers(SOLD))
            rows.append(interaction(f"u{user}", f"i{item}", start + step))
            kind = (kind + 1) % KINDS
    return rows


def evaluate(seed: int = 0, probes: tuple[TasteSettings, ...] = (ZERO_SHOT,)) -> HoldoutEvaluation:
    events, meaning = build_events(picks_by_kind(), ids(N)), meaning_of_kinds()
    windows = split_windows(events, repeats=False, count=2, seed=0)
    fit_window = partial(fit_blocks, meaning=meaning)
    scorers = build_scorers(events, windows, fit_window, repeats=False, probes=probes, seed=seed)
    return HoldoutEvaluation(scorers, seed=seed)


def rank_by_brute_force(holdout: HoldoutEvaluation, settings: TasteSettings) -> NDArray[np.int64]:
    """The ranks by all scores at once."""
    ranks = []
    for one in holdout.scorers:
        scores = Scorer(one.blocks, one.cases, one.repeats).compute_scores(settings)
        own = scores[np.arange(len(scores)), one.cases.target]
        ranks.append(np.count_nonzero(scores >= own[:, None], axis=1))
    return np.concatenate(ranks)


def ndcg10(ranks: NDArray[np.int64]) -> float:
    return float(compute_ndcg10(ranks).mean())


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_at_most(BOUND, monkeypatch)
    monkeypatch.setattr(cases, "_CASES_OF_SAMPLE", 20)


@pytest.mark.usefixtures("bound")
def test_what_settings_put_first_is_compared_for_certain_once_they_win() -> None:
    flattered, judged = [], []
    for seed in range(3):
        holdout = evaluate(seed)
        expected = rank_by_brute_force(holdout, BY_TEXT)
        flattered.append(ndcg10(holdout.compute_ranks(BY_TEXT)) - ndcg10(expected))
        holdout.widen_sample(BY_TEXT)
        judged.append(ndcg10(holdout.compute_ranks(BY_TEXT)) - ndcg10(expected))
        sample = holdout.scorers[0].sample
        assert sample is not None
        assert len(sample) == BOUND
    assert np.min(flattered) > 0.02  # or this world would set no trap
    assert np.abs(judged).max() < 0.002


@pytest.mark.usefixtures("bound")
def test_among_all_items_ranks_are_those_of_brute_force() -> None:
    holdout = evaluate()
    among_all = holdout.look_at_all()
    among_all.rank_together([ZERO_SHOT, BY_TEXT])
    for settings in (ZERO_SHOT, BY_TEXT):
        expected = rank_by_brute_force(holdout, settings)
        assert ndcg10(among_all.compute_ranks(settings)) == pytest.approx(ndcg10(expected))
    assert holdout.look_at_all().trials.has(BY_TEXT, among_all.stage)


def test_without_a_sample_nothing_is_looked_at_twice() -> None:
    holdout = evaluate()
    assert holdout.look_at_all() is holdout
    scorers = list(holdout.scorers)
    holdout.widen_sample(BY_TEXT)
    assert (list(holdout.scorers), holdout.stage) == (scorers, 0)


def fit_kinds(trials: Path | None = None) -> TasteModel:
    return fit_taste(picks_by_kind(), ids(N), meaning_of_kinds(), trials_path=trials)


@pytest.mark.slow
@pytest.mark.usefixtures("bound")
def test_the_report_holds_no_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_at_most(200, monkeypatch)  # far too few for what comes first
    model = fit_kinds()
    windows = split_windows(
        build_events(picks_by_kind(), ids(N)), repeats=False, count=WINDOW_COUNT, seed=0
    )
    whole = HoldoutEvaluation(
        [
            Scorer(fit_blocks(one.train, meaning_of_kinds()), one.cases, repeats=False)
            for one in windows
        ]
    )
    for name, settings in (("learned", model.settings), ("zero_shot", ZERO_SHOT)):
        expected = rank_by_brute_force(whole, settings)
        assert model.report[name]["all"]["ndcg10"] == pytest.approx(ndcg10(expected))
        assert model.report[name]["all"]["recall10"] == np.mean(expected <= 10)
        gain = compute_rank_gains(expected).mean()
        assert model.report[name]["all"]["gain"] == pytest.approx(gain)
    assert model.report["compared"]["items"] == 200


@pytest.mark.slow
@pytest.mark.usefixtures("bound")
def test_a_fit_by_a_sample_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "tried.jsonl"
    undisturbed = fit_kinds(path)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    stages = {json.loads(line)["stage"] for line in lines[1:]}
    assert {AMONG_ALL, 0, 1} <= stages
    for kept in (len(lines) // 3, len(lines) - 2):
        path.write_text("".join(lines[:kept]), encoding="utf-8")
        resumed = fit_kinds(path)
        assert (resumed.settings, resumed.report) == (undisturbed.settings, undisturbed.report)
        assert sorted(path.read_text("utf-8").splitlines(keepends=True)) == sorted(lines)
