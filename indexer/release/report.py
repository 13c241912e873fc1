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

from indexer.build import FinishedBuild, Report
from indexer.errors import IndexerError, ReleaseError
from indexer.evaluation import Asked, ask, slices_of
from indexer.metrics import figures
from indexer.reading import Interaction
from indexer.release.diagnostics import (
    calibration,
    figures_of,
    peer_figures,
)
from indexer.release.gate import Standing, alarms, judge
from indexer.release.holdout import MOST_CASES, Exam, exam_of
from indexer.release.holdout_index import REHEARSAL, Meaning, meaning_of, rehearsed
from indexer.release.live_baseline import answers_of_live, recognised
from indexer.release.report_page import release_page
from indexer.release.setting_descriptions import block_words
from indexer.snapshot import read_manifest, snapshot_path
from indexer.taste import TasteModel, fit_taste, refit_taste

REFUSED = "refused"  # folder beside the snapshots: report of the last build that was not published
CURVE_ROWS = (0, 50, 500, 5_000, 50_000)
_CURVE_CASES = 300
_KEPT_CASES = 300  # where nothing was tuned, asking would take longer than learning
_CURVE_SHARE = 0.3  # of all rows at most, so that the points together cost less than one fit


def examine(made: FinishedBuild, *, report: Report) -> dict[str, Any]:
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
        "blocks": block_words(asdict(made.taste.settings)),
        "reasons": [],
        "what": "There were too few interactions to compare anything.",
    }
    live = _live_report(made)
    exam = exam_of(
        made.interactions,
        made.facts.ids,
        learned_until=live.get("learned_until"),
        most_cases=MOST_CASES if made.kept is None else _KEPT_CASES,
    )
    if exam is not None:
        try:
            told |= _compared(made, exam, report)
        finally:
            shutil.rmtree(made.work / REHEARSAL, ignore_errors=True)
    told["reasons"] += _alarms(made, live, told)
    return told


def keep(told: dict[str, Any], made: FinishedBuild, *, force: bool) -> None:
    """Keep the report in the build's folder, or beside the snapshots if it is refused.

    Raises:
        ReleaseError: With the reasons, unless there are none or `force`.
    """
    refused = bool(told["reasons"]) and not force
    told["decision"] = "refused" if refused else "published"
    (made.work / "report.html").write_text(release_page(told), encoding="utf-8")
    if not refused:
        return
    folder = made.root / REFUSED
    folder.mkdir(exist_ok=True)
    (made.work / "report.html").replace(folder / "report.html")
    (folder / "report.json").write_text(json.dumps(told), encoding="utf-8")
    raise ReleaseError(
        f"not published, the live snapshot stays: {'; '.join(told['reasons'])}; see "
        f"{folder / 'report.html'}, or publish it with --force"
    )


def _compared(made: FinishedBuild, exam: Exam, report: Report) -> dict[str, Any]:
    report("examine", 0, 3)
    meaning = meaning_of(made.work)
    new = _asked(made, _fitted(made, exam.before, meaning), exam)
    report("examine", 1, 3)
    old, words = answers_of_live(made, exam)
    methods = {"new": figures_of(new, exam.cases)}
    told: dict[str, Any] = {
        "what": f"{_slice_words(exam)} {words}",
        "methods": methods,
        "calibration": calibration(new),
    }
    if old is not None:
        verdict = judge(new.ranks, old.ranks, exam.cases.user, slices_of(exam.cases))
        methods["live"] = figures_of(old, exam.cases)
        told |= {"compared": verdict.compared, "reasons": list(verdict.reasons)}
    report("examine", 2, 3)
    if made.kept is None:
        methods |= peer_figures(exam.cases)
        told["learning_curve"] = _curve(made, exam, meaning, new)
    report("examine", 3, 3)
    return told


def _slice_words(exam: Exam) -> str:
    since = "" if exam.since is None else f" since {_day(exam.since)}"
    return (
        f"Asked: {len(exam.cases)} picks of the newest interactions{since}. The new model was "
        f"rehearsed for it: fitted in the same way on the {len(exam.before)} interactions before."
    )


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")


def _fitted(made: FinishedBuild, rows: Sequence[Interaction], meaning: Meaning) -> TasteModel:
    if made.kept is None:
        return fit_taste(rows, made.facts.ids, meaning)
    return refit_taste(rows, made.facts.ids, meaning, settings=made.kept)


def _asked(made: FinishedBuild, taste: TasteModel, exam: Exam) -> Asked:
    folder = made.work / REHEARSAL / "new"
    with rehearsed(
        made.work, made.manifest, taste, facts=made.facts, encoder=made.encoder, folder=folder
    ) as index:
        answers = ask(index, exam.requests, exam.targets)
    shutil.rmtree(folder)
    return answers


def _curve(made: FinishedBuild, exam: Exam, meaning: Meaning, new: Asked) -> list[dict[str, Any]]:
    """NDCG@10 by how many of the last rows before the slice are learned from."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(exam.cases))[:_CURVE_CASES])
    some = exam.some(drawn)
    count = len(exam.before)
    points = []
    for rows in (n for n in CURVE_ROWS if n <= _CURVE_SHARE * count):
        model = _fitted(made, exam.before[count - rows :], meaning)
        points.append(_point(rows, _asked(made, model, some), some))
    return [*points, _point(count, replace(new, ranks=new.ranks[drawn]), some)]


def _point(rows: int, asked: Asked, exam: Exam) -> dict[str, Any]:
    parts = {
        name: figures(asked.ranks[which]).ndcg10
        for name, which in slices_of(exam.cases).items()
        if which.any()
    }
    return {"rows": rows, **parts}


def _live_report(made: FinishedBuild) -> dict[str, Any]:
    """What the live snapshot's release told; nothing if it is older than release reports."""
    if made.manifest.parent is None:
        return {}
    path = snapshot_path(made.root, made.manifest.parent) / "report.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8")).get("release")
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _alarms(made: FinishedBuild, live: dict[str, Any], told: dict[str, Any]) -> list[str]:
    if made.manifest.parent is None:
        return []
    try:
        path = snapshot_path(made.root, made.manifest.parent)
        recall = read_manifest(path).index["recall"]
        then = _ndcg(live)
        now = None if then is None else recognised(made, live.get("learned_until"))
    except IndexerError:
        return []
    told["recognised_by_live"] = now
    return alarms(
        Standing(made.manifest.index["recall"], len(made.interactions), now),
        Standing(recall, live.get("learned_from", 0), then),
        min_recall=made.min_recall,
    )


def _ndcg(told: dict[str, Any]) -> float | None:
    found = told.get("methods", {}).get("new", {}).get("all", {}).get("ndcg10")
    return None if found is None else float(found)
