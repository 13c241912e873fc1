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


def evaluate_release(made: FinishedBuild, *, report: StageProgress) -> dict[str, Any]:
    """Return the release report, `decision` still open: `reasons` are what speaks against."""
    times = [row.at for row in made.interactions if row.at is not None]
    timed = len(times) == len(made.interactions)
    told: dict[str, Any] = {
        "snapshot": made.manifest.id,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "learned_from": len(made.interactions),
        "learned_until": max(times, default=None) if timed else None,
        "settings": asdict(made.taste.settings),
        "settings_kept": made.kept is not None,
        "blocks": describe_settings(asdict(made.taste.settings)),
        "reasons": [],
        "what": "There were too few interactions to compare anything.",
    }
    live = _read_live_report(made)
    exam = split_holdout(
        made.interactions,
        made.facts.ids,
        learned_until=live.get("learned_until"),
        most_cases=MAX_CASES if made.kept is None else _MAX_UNTUNED_CASES,
    )
    if exam is not None:
        try:
            told |= _compare_with_live(made, exam, report)
        finally:
            shutil.rmtree(made.work / HOLDOUT_FOLDER, ignore_errors=True)
    told["reasons"] += _find_guardrail_alarms(made, live, told)
    return told


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
    new = _evaluate_taste(made, _fit_candidate(made, exam.training_rows, meaning), exam)
    report("examine", 1, 3)
    old, words = evaluate_live(made, exam)
    methods = {"new": compute_release_metrics(new, exam.cases)}
    told: dict[str, Any] = {
        "what": f"{_describe_holdout(exam)} {words}",
        "methods": methods,
        "calibration": compute_calibration(new),
    }
    if old is not None:
        verdict = judge_release(new.ranks, old.ranks, exam.cases.user, build_slices(exam.cases))
        methods["live"] = compute_release_metrics(old, exam.cases)
        told |= {"compared": verdict.comparison_by_slice, "reasons": list(verdict.reasons)}
    report("examine", 2, 3)
    if made.kept is None:
        methods |= compute_peer_metrics(exam.cases)
        told["learning_curve"] = _compute_learning_curve(made, exam, meaning, new)
    report("examine", 3, 3)
    return told


def _describe_holdout(exam: Holdout) -> str:
    since = "" if exam.starts_at is None else f" since {_format_time(exam.starts_at)}"
    return (
        f"Asked: {len(exam.cases)} picks of the newest interactions{since}. The new model was "
        f"rehearsed for it: fitted in the same way on the {len(exam.training_rows)} interactions before."
    )


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")


def _fit_candidate(
    made: FinishedBuild, rows: Sequence[Interaction], meaning: Meaning
) -> TasteModel:
    if made.kept is None:
        return fit_taste(rows, made.facts.ids, meaning)
    return refit_taste(rows, made.facts.ids, meaning, settings=made.kept)


def _evaluate_taste(made: FinishedBuild, taste: TasteModel, exam: Holdout) -> IndexAnswers:
    folder = made.work / HOLDOUT_FOLDER / "new"
    with open_holdout_index(
        made.work, made.manifest, taste, facts=made.facts, encoder=made.encoder, folder=folder
    ) as index:
        answers = ask_index(index, exam.requests, exam.targets)
    shutil.rmtree(folder)
    return answers


def _compute_learning_curve(
    made: FinishedBuild, exam: Holdout, meaning: Meaning, new: IndexAnswers
) -> list[dict[str, Any]]:
    """NDCG@10 by how many of the last rows before the slice are learned from."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(exam.cases))[:_CURVE_CASES])
    some = exam.take(drawn)
    count = len(exam.training_rows)
    points = []
    for rows in (n for n in CURVE_ROWS if n <= _MAX_CURVE_SHARE * count):
        model = _fit_candidate(made, exam.training_rows[count - rows :], meaning)
        points.append(_build_curve_point(rows, _evaluate_taste(made, model, some), some))
    return [*points, _build_curve_point(count, replace(new, ranks=new.ranks[drawn]), some)]


def _build_curve_point(rows: int, asked: IndexAnswers, exam: Holdout) -> dict[str, Any]:
    parts = {
        name: compute_metrics(asked.ranks[which]).ndcg10
        for name, which in build_slices(exam.cases).items()
        if which.any()
    }
    return {"rows": rows, **parts}


def _read_live_report(made: FinishedBuild) -> dict[str, Any]:
    """What the live snapshot's release told; nothing if it is older than release reports."""
    if made.manifest.parent is None:
        return {}
    path = find_snapshot(made.root, made.manifest.parent) / "report.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8")).get("release")
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _find_guardrail_alarms(
    made: FinishedBuild, live: dict[str, Any], told: dict[str, Any]
) -> list[str]:
    if made.manifest.parent is None:
        return []
    try:
        path = find_snapshot(made.root, made.manifest.parent)
        recall = read_manifest(path).index["recall"]
        then = _read_ndcg10(live)
        now = (
            None if then is None else measure_live_on_training_rows(made, live.get("learned_until"))
        )
    except IndexerError:
        return []
    told["recognised_by_live"] = now
    return check_guardrails(
        GuardrailMetrics(made.manifest.index["recall"], len(made.interactions), now),
        GuardrailMetrics(recall, live.get("learned_from", 0), then),
        min_recall=made.min_recall,
    )


def _read_ndcg10(told: dict[str, Any]) -> float | None:
    found = told.get("methods", {}).get("new", {}).get("all", {}).get("ndcg10")
    return None if found is None else float(found)
