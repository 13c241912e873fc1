"""A killed fit continues where it stopped, and gives the model of an undisturbed one."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from indexer.taste import TasteModel, fit_taste
from indexer.taste.events import build_events
from indexer.taste.fit import WINDOW_COUNT
from indexer.taste.scorer import Scorer
from indexer.taste.settings import TasteSettings
from indexer.taste.tuning_trials import TuningTrials, compute_trials_key
from tests.indexer.taste.worlds import chains, ids, random_meaning
from tests.paths import REPOSITORY

ZERO_SHOT = TasteSettings()


def fit_chains(trials: Path | None = None, seed: int = 0) -> TasteModel:
    return fit_taste(chains(), ids(60), random_meaning(60), trials_path=trials, seed=seed)


def assert_equal(one: TasteModel, other: TasteModel) -> None:
    assert one.settings == other.settings
    assert one.report == other.report
    np.testing.assert_array_equal(one.prior, other.prior)
    np.testing.assert_array_equal(one.neighbours.values, other.neighbours.values)


def test_a_fit_killed_on_its_way_tries_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tried.jsonl"
    program = f"""
        import sys, time
        sys.path.insert(0, {str(REPOSITORY)!r})
        from pathlib import Path
        from indexer.taste.tuning_trials import TuningTrials
        from tests.indexer.taste.test_trials import fit_chains
        add = TuningTrials.add
        TuningTrials.add = lambda *arguments: (add(*arguments), time.sleep(0.05))
        fit_chains(Path({str(path)!r}))
    """
    running = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    deadline = time.monotonic() + 60
    try:
        while not path.exists() or path.read_text("utf-8").count("\n") < 12:
            assert running.poll() is None, "the fit had ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        running.kill()
    assert running.wait() == -signal.SIGKILL
    whole = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    before = {repr(record["settings"]) for record in whole[1:]}

    scored: list[TasteSettings] = []
    compute_ranks = Scorer.compute_ranks

    def record_and_compute(scorer: Scorer, settings: TasteSettings) -> object:
        scored.append(settings)
        return compute_ranks(scorer, settings)

    undisturbed = fit_chains()
    monkeypatch.setattr(Scorer, "compute_ranks", record_and_compute)
    resumed = fit_chains(path)
    assert_equal(resumed, undisturbed)
    assert scored
    lines = path.read_text("utf-8").splitlines()[1:]
    tried = [repr(json.loads(line)["settings"]) for line in lines]
    assert len(tried) == len(set(tried)) > len(before)
    fresh = {repr(json.loads(json.dumps(asdict(settings)))) for settings in scored}
    assert not fresh & before
    assert len(scored) == WINDOW_COUNT * len(fresh)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json\n",
        b'{"key": "of another fit"}\n{"settings": {}, "ranks": [1]}\n',
        b"[1]\n",
        b'{"key": "mine"}\n{"settings": {"no_such": 1}, "ranks": [1]}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_file_that_holds_no_trials_of_this_fit_is_begun_anew(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "tried.jsonl"
    path.write_bytes(content)
    trials = TuningTrials(path, "mine")
    assert not trials.has(ZERO_SHOT)
    trials.add(ZERO_SHOT, np.array([3, 1]))
    again = TuningTrials(path, "mine")
    assert again.resumed_count == 1
    np.testing.assert_array_equal(again.get(ZERO_SHOT), [3, 1])


def test_a_line_that_a_kill_cut_off_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "tried.jsonl"
    trials = TuningTrials(path, "mine")
    other = replace(ZERO_SHOT, prior_weight=0.1 + 0.2, context=("daytime",))
    trials.add(ZERO_SHOT, np.array([3, 1]))
    trials.add(other, np.array([2, 2]))
    whole = path.read_bytes()
    for cut in range(1, 40):
        path.write_bytes(whole[:-cut])
        again = TuningTrials(path, "mine")
        assert (again.resumed_count, again.has(other)) == (1, False), cut
    trials = TuningTrials(path, "mine")
    trials.add(other, np.array([2, 2]))
    np.testing.assert_array_equal(TuningTrials(path, "mine").get(other), [2, 2])


def test_anything_else_is_another_fit() -> None:
    events, meaning = build_events(chains(), ids(60)), random_meaning(60)
    key = compute_trials_key(events, meaning, 0)
    assert key == compute_trials_key(build_events(chains(), ids(60)), random_meaning(60), 0)
    fewer = build_events(chains()[:-1], ids(60))
    turned = np.ascontiguousarray(meaning[:, ::-1])
    assert (
        len(
            {key, *(compute_trials_key(*one) for one in [(fewer, meaning, 0), (events, turned, 0)])}
        )
        == 3
    )
    assert compute_trials_key(events, meaning, 1) != key


def test_a_checkout_that_is_not_installed_can_be_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("indexer.package_version.version", unknown)
    assert compute_trials_key(build_events(chains(), ids(60)), random_meaning(60), 0)
