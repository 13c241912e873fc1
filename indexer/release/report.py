"""A build ready to publish to a report and a verdict: compared with the live snapshot, leak-free.

The model to be published has seen the newest interactions. So it is rehearsed: the same fit over
all but the newest slice answers the slice, against the live snapshot, or against the live
snapshot's settings fitted on the same rows if its own model may have seen the slice.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from indexer.build import FinishedBuild, StageProgress
from indexer.errors import IndexerError, ReleaseError
from indexer.evaluation import IndexAnswers, ask_index, build_slices
from indexer.metrics import compute_metrics
from indexer.reading import Interaction
from indexer.release.diagnostics import (
    compute_calibration,
    compute_peer_metrics,
    compute_release_metrics,
)
from indexer.release.gate import GuardrailMetrics, check_guardrails, judge_release
from indexer.release.holdout import MAX_CASES, Holdout, split_holdout
from indexer.release.holdout_index import HOLDOUT_FOLDER, Meaning, load_meaning, open_holdout_index
from indexer.release.live_baseline import evaluate_live, measure_live_on_training_rows
from indexer.release.report_page import render_release_page
from indexer.release.setting_descriptions import describe_settings
from indexer.snapshot import find_snapshot, read_manifest
from indexer.taste import TasteModel, fit_taste, refit_taste

REFUSED_FOLDER = (
    "refused"  # folder beside the snapshots: report of the last build that was not published
)
CURVE_ROWS = (0, 50, 500, 5_000, 50_000)
_CURVE_CASES = 300
_MAX_UNTUNED_CASES = 300  # where nothing was tuned, asking would take longer than learning
_MAX_CURVE_SHARE = 0.3  # of all rows at most, so that the points together cost less than one fit


def evaluate_release(candidate: FinishedBuild, *, report: StageProgress) -> dict[str, Any]:
    """Return the release report, `decision` still open: `reasons` are what speaks against."""
    times = [row.at for row in candidate.interactions if row.at is not None]
    timed = len(times) == len(candidate.interactions)
    release_report: dict[str, Any] = {
        "snapshot": candidate.manifest.id,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "learned_from": len(candidate.interactions),
        "learned_until": max(times, default=None) if timed else None,
        "settings": asdict(candidate.taste.settings),
        "settings_kept": candidate.kept is not None,
        "blocks": describe_settings(asdict(candidate.taste.settings)),
        "reasons": [],
        "what": "There were too few interactions to compare anything.",
    }
    live = _read_live_report(candidate)
    holdout = split_holdout(
        candidate.interactions,
        candidate.facts.ids,
        learned_until=live.get("learned_until"),
        max_cases=MAX_CASES if candidate.kept is None else _MAX_UNTUNED_CASES,
    )
    if holdout is not None:
        try:
            release_report |= _compare_with_live(candidate, holdout, report)
        finally:
            shutil.rmtree(candidate.work / HOLDOUT_FOLDER, ignore_errors=True)
    release_report["reasons"] += _find_guardrail_alarms(candidate, live, release_report)
    return release_report


def record_decision(told: dict[str, Any], made: FinishedBuild, *, force: bool) -> None:
    """Keep the report in the build's folder, or beside the snapshots if it is refused.

    Raises:
        ReleaseError: With the reasons, unless there are none or `force`.
    """
    refused = bool(told["reasons"]) and not force
    told["decision"] = "refused" if refused else "published"
    (made.work / "report.html").write_text(render_release_page(told), encoding="utf-8")
    if not refused:
        return
    folder = made.root / REFUSED_FOLDER
    folder.mkdir(exist_ok=True)
    (made.work / "report.html").replace(folder / "report.html")
    (folder / "report.json").write_text(json.dumps(told), encoding="utf-8")
    raise ReleaseError(
        f"not published, the live snapshot stays: {'; '.join(told['reasons'])}; see "
        f"{folder / 'report.html'}, or publish it with --force"
    )


def _compare_with_live(made: FinishedBuild, exam: Holdout, report: StageProgress) -> dict[str, Any]:
    report("examine", 0, 3)
    meaning = load_meaning(made.work)
    new_answers = _evaluate_taste(made, _fit_candidate(made, exam.training_rows, meaning), exam)
    report("examine", 1, 3)
    live_answers, live_note = evaluate_live(made, exam)
    methods = {"new": compute_release_metrics(new_answers, exam.cases)}
    release_report: dict[str, Any] = {
        "what": f"{_describe_holdout(exam)} {live_note}",
        "methods": methods,
        "calibration": compute_calibration(new_answers),
    }
    if live_answers is not None:
        verdict = judge_release(
            new_answers.ranks, live_answers.ranks, exam.cases.user, build_slices(exam.cases)
        )
        methods["live"] = compute_release_metrics(live_answers, exam.cases)
        release_report |= {
            "compared": verdict.comparison_by_slice,
            "reasons": list(verdict.reasons),
        }
    report("examine", 2, 3)
    if made.kept is None:
        methods |= compute_peer_metrics(exam.cases)
        release_report["learning_curve"] = _compute_learning_curve(made, exam, meaning, new_answers)
    report("examine", 3, 3)
    return release_report


def _describe_holdout(holdout: Holdout) -> str:
    since = "" if holdout.starts_at is None else f" since {_format_time(holdout.starts_at)}"
    return (
        f"Asked: {len(holdout.cases)} picks of the newest interactions{since}. The new model was "
        f"rehearsed for it: fitted in the same way on the {len(holdout.training_rows)} interactions before."
    )


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")


def _fit_candidate(
    candidate: FinishedBuild, rows: Sequence[Interaction], meaning: Meaning
) -> TasteModel:
    if candidate.kept is None:
        return fit_taste(rows, candidate.facts.ids, meaning)
    return refit_taste(rows, candidate.facts.ids, meaning, settings=candidate.kept)


def _evaluate_taste(candidate: FinishedBuild, taste: TasteModel, holdout: Holdout) -> IndexAnswers:
    folder = candidate.work / HOLDOUT_FOLDER / "new"
    with open_holdout_index(
        candidate.work,
        candidate.manifest,
        taste,
        stats=candidate.facts,
        encoder=candidate.encoder,
        folder=folder,
    ) as index:
        answers = ask_index(index, holdout.requests, holdout.targets)
    shutil.rmtree(folder)
    return answers


def _compute_learning_curve(
    made: FinishedBuild, exam: Holdout, meaning: Meaning, new: IndexAnswers
) -> list[dict[str, Any]]:
    """NDCG@10 by how many of the last rows before the slice are learned from."""
    case_numbers = np.sort(np.random.default_rng(0).permutation(len(exam.cases))[:_CURVE_CASES])
    curve_holdout = exam.take(case_numbers)
    count = len(exam.training_rows)
    points = []
    for rows in (n for n in CURVE_ROWS if n <= _MAX_CURVE_SHARE * count):
        model = _fit_candidate(made, exam.training_rows[count - rows :], meaning)
        points.append(
            _build_curve_point(rows, _evaluate_taste(made, model, curve_holdout), curve_holdout)
        )
    return [
        *points,
        _build_curve_point(count, replace(new, ranks=new.ranks[case_numbers]), curve_holdout),
    ]


def _build_curve_point(rows: int, answers: IndexAnswers, holdout: Holdout) -> dict[str, Any]:
    parts = {
        name: compute_metrics(answers.ranks[which]).ndcg10
        for name, which in build_slices(holdout.cases).items()
        if which.any()
    }
    return {"rows": rows, **parts}


def _read_live_report(candidate: FinishedBuild) -> dict[str, Any]:
    """What the live snapshot's release told; nothing if it is older than release reports."""
    if candidate.manifest.parent is None:
        return {}
    path = find_snapshot(candidate.root, candidate.manifest.parent) / "report.json"
    try:
        release_report = json.loads(path.read_text(encoding="utf-8")).get("release")
    except (OSError, ValueError):
        return {}
    return release_report if isinstance(release_report, dict) else {}


def _find_guardrail_alarms(
    candidate: FinishedBuild, live: dict[str, Any], release_report: dict[str, Any]
) -> list[str]:
    if candidate.manifest.parent is None:
        return []
    try:
        path = find_snapshot(candidate.root, candidate.manifest.parent)
        recall = read_manifest(path).index["recall"]
        ndcg10_at_release = _read_ndcg10(live)
        ndcg10_now = (
            None
            if ndcg10_at_release is None
            else measure_live_on_training_rows(candidate, live.get("learned_until"))
        )
    except IndexerError:
        return []
    release_report["recognised_by_live"] = ndcg10_now
    return check_guardrails(
        GuardrailMetrics(
            candidate.manifest.index["recall"], len(candidate.interactions), ndcg10_now
        ),
        GuardrailMetrics(recall, live.get("learned_from", 0), ndcg10_at_release),
        min_recall=candidate.min_recall,
    )


def _read_ndcg10(release_report: dict[str, Any]) -> float | None:
    found = release_report.get("methods", {}).get("new", {}).get("all", {}).get("ndcg10")
    return None if found is None else float(found)
