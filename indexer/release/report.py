"""A finished build to a release report, and the decision whether it is published.

The build is compared with the live snapshot on interactions that neither has learned from.
"""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from indexer.build import FinishedBuild
from indexer.errors import IndexerError, ReleaseError
from indexer.evaluation import build_slices
from indexer.progress import StageProgress
from indexer.release.candidate_model import CandidateModel
from indexer.release.diagnostics import (
    answer_with_peers,
    compute_calibration,
    compute_release_metrics,
)
from indexer.release.gate import (
    GuardrailMetrics,
    check_guardrails,
    compare_with_peers,
    judge_release,
)
from indexer.release.holdout import Holdout, count_most_cases, split_holdout
from indexer.release.live_baseline import LiveBaseline
from indexer.release.report_page import render_release_page
from indexer.release.setting_descriptions import describe_settings

# Folder beside the snapshots that holds the report of the last build that was refused.
REFUSED_FOLDER = "refused"

_MAX_CURVE_ITEMS = 100_000  # each point of the learning curve ranks its cases among all items


def evaluate_release(build: FinishedBuild, *, report: StageProgress) -> dict[str, Any]:
    """Return the release report of a build, still without its `decision`.

    `reasons` holds a sentence for each thing that speaks against publishing, `warnings` one for
    each that a simple method does clearly better. Peers and a learning
    curve are measured only if the build was tuned anew, the curve not for large catalogues.
    """
    release_report = _describe_build(build)
    with LiveBaseline(build) as live:
        holdout = split_holdout(
            build.interactions,
            build.stats.ids,
            learned_until=live.learned_until,
            own_weights=dict(build.taste.settings.scale.own_weights),
            max_cases=count_most_cases(len(build.stats.ids), is_tuned=build.kept_settings is None),
        )
        if holdout is not None:
            release_report |= _compare_with_live(build, live, holdout, report)
        release_report["reasons"] += _find_guardrail_alarms(build, live, release_report)
    return release_report


def _describe_build(build: FinishedBuild) -> dict[str, Any]:
    """The part of the report that needs no comparison."""
    times = [row.at for row in build.interactions if row.at is not None]
    timed = len(times) == len(build.interactions)
    settings = asdict(build.taste.settings)
    return {
        "snapshot": build.manifest.id,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "learned_from": len(build.interactions),
        "learned_until": max(times, default=None) if timed else None,
        "settings": settings,
        "settings_kept": build.kept_settings is not None,
        "blocks": [*_describe_tuning(build), *describe_settings(settings)],
        "reasons": [],
        "warnings": [],
        "what": "There were too few interactions to compare anything.",
    }


def _describe_tuning(build: FinishedBuild) -> list[str]:
    """Say how targets were ranked while tuning, if not among all items; else nothing."""
    facts = build.taste.report
    compared = facts.get("compared")
    if not compared:
        return []
    return [
        f"Settings were tuned on {facts['cases']:,} held-out picks, each compared with "
        f"{compared['items']:,} of {compared['of']:,} items: {compared['for_certain']:,} that may "
        f"come first or are picked most, and {compared['drawn']:,} drawn from the others, each of "
        f"which stands for {compared['each_drawn_stands_for']:g}. What was kept was then compared "
        "with all."
    ]


def _compare_with_live(
    build: FinishedBuild, live: LiveBaseline, holdout: Holdout, report: StageProgress
) -> dict[str, Any]:
    """The part of the report that compares answers; it replaces `what` and `reasons`."""
    report("examine", 0, 3)
    candidate = CandidateModel(build)
    new_answers, settings = candidate.answer(holdout)
    report("examine", 1, 3)
    live_answers, live_note = live.answer(holdout)
    methods = {"new": compute_release_metrics(new_answers, holdout.cases)}
    comparison: dict[str, Any] = {
        "what": f"{_describe_holdout(holdout, len(build.stats.ids))} {live_note}",
        "methods": methods,
        "calibration": compute_calibration(new_answers),
    }
    slices = {**build_slices(holdout.cases), **candidate.find_new_items(holdout)}
    if live_answers is not None:
        verdict = judge_release(new_answers.ranks, live_answers.ranks, holdout.cases.user, slices)
        methods["live"] = compute_release_metrics(live_answers, holdout.cases)
        comparison["compared"] = verdict.comparison_by_slice
        comparison["reasons"] = list(verdict.reasons)
    report("examine", 2, 3)
    if build.kept_settings is None:
        peers = answer_with_peers(holdout.cases)
        methods |= {
            name: compute_release_metrics(answers, holdout.cases) for name, answers in peers.items()
        }
        comparison["warnings"] = compare_with_peers(
            new_answers.ranks,
            {name: answers.ranks for name, answers in peers.items()},
            holdout.cases.user,
            slices,
        )
        if len(build.stats.ids) <= _MAX_CURVE_ITEMS:
            comparison["learning_curve"] = candidate.compute_learning_curve(
                holdout, new_answers, settings
            )
        else:
            comparison["what"] += (
                f" What fewer interactions would have given is not computed for more than "
                f"{_MAX_CURVE_ITEMS:,} items: it would take longer than learning itself."
            )
    report("examine", 3, 3)
    return comparison


def _describe_holdout(holdout: Holdout, n_items: int) -> str:
    since = "" if holdout.starts_at is None else f" since {_format_time(holdout.starts_at)}"
    return (
        f"Asked: {len(holdout.cases)} picks of the newest interactions{since}, each compared with "
        f"all {n_items:,} items. The new model "
        f"answered without having seen them: it was fitted in the same way on the "
        f"{len(holdout.training_rows)} interactions before."
    )


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")


def _find_guardrail_alarms(
    build: FinishedBuild, live: LiveBaseline, release_report: dict[str, Any]
) -> list[str]:
    """Sentences of `check_guardrails`; `recognised_by_live` is added to the report."""
    if not live.exists:
        return []
    try:
        live_recall = live.manifest.index["recall"]
        is_comparable = live.ndcg10_at_release is not None
        ndcg10_now = live.measure_on_training_rows() if is_comparable else None
    except IndexerError:
        return []
    release_report["recognised_by_live"] = ndcg10_now
    return check_guardrails(
        GuardrailMetrics(build.manifest.index["recall"], len(build.interactions), ndcg10_now),
        GuardrailMetrics(live_recall, live.interaction_count, live.ndcg10_at_release),
        min_recall=build.min_recall,
    )


def record_or_refuse(release_report: dict[str, Any], build: FinishedBuild, *, force: bool) -> None:
    """Add the decision to the report and write it down; then refuse the build if so decided.

    The page goes into the build's folder; the report of a refused build is written beside the
    snapshots instead.

    Raises:
        ReleaseError: With the reasons, unless there are none or `force`.
    """
    refused = bool(release_report["reasons"]) and not force
    release_report["decision"] = "refused" if refused else "published"
    page = build.work / "report.html"
    page.write_text(render_release_page(release_report), encoding="utf-8")
    if not refused:
        return
    folder = build.root / REFUSED_FOLDER
    folder.mkdir(exist_ok=True)
    page.replace(folder / "report.html")
    (folder / "report.json").write_text(json.dumps(release_report), encoding="utf-8")
    raise ReleaseError(
        f"not published, the live snapshot stays: {'; '.join(release_report['reasons'])}; see "
        f"{folder / 'report.html'}, or publish it with --force"
    )
