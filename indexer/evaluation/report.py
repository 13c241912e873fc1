"""Measurements to one evaluation report: metrics by slice, intervals against peers, a table."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import RequestError
from indexer.evaluation.cases import Cases
from indexer.evaluation.measurement import Measurement, TopItems
from indexer.metrics import BOOTSTRAP_SEED, RESAMPLE_COUNT, compare_ranks, compute_metrics

_COLUMNS = (
    ("NDCG@10", "all", "ndcg10"), ("R@10", "all", "recall10"), ("R@50", "all", "recall50"),
    ("MRR", "all", "mrr50"), ("cov@10", "all", "coverage10"), ("cold R@10", "cold", "recall10"),
    ("new NDCG@10", "new_user", "ndcg10"),
)  # fmt: skip

# What the slices of the cases are called on pages and in messages.
SLICE_TITLES = {"all": "all users", "cold": "items nobody had met", "new_user": "new users"}


def build_evaluation(
    measurements: Sequence[Measurement],
    cases: Cases,
    facts: Mapping[str, Any],
    *,
    without_context: Measurement | None = None,
) -> dict[str, Any]:
    """Return the evaluation as JSON holds it.

    Args:
        measurements: Of our method first, then of the peers.
        cases: What was asked.
        facts: Conditions of the evaluation, copied into it.
        without_context: Our method, asked without context words; None if no case has any.

    Returns:
        The facts, and `methods` (metrics by slice, cost, parameters and the comparison with the
        best peer), `versus` (our method against each peer) and `context` (against
        `without_context`).

    Raises:
        RequestError: If there is no case.
    """
    if not len(cases):
        raise RequestError(
            f"the {facts['part']} part has no positive row to ask for; give more interactions"
        )
    ours, peers = measurements[0], measurements[1:]
    context = None if without_context is None else _compare_methods(ours, without_context, cases)
    best = max(peers, key=lambda peer: compute_metrics(peer.ranks).ndcg10, default=None)
    return {
        **facts,
        "cases": {name: int(which.sum()) for name, which in build_slices(cases).items()},
        "best_peer": best.name if best else None,
        "bootstrap": {"seed": BOOTSTRAP_SEED, "resamples": RESAMPLE_COUNT},
        "methods": {method.name: _report_method(method, best, cases) for method in measurements},
        "versus": {peer.name: _compare_methods(ours, peer, cases) for peer in peers},
        "context": context,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def build_slices(cases: Cases) -> dict[str, NDArray[np.bool_]]:
    """Return the slices that every metric is computed for, by name, `(c,) bool` each.

    `all` cases, those whose picked item is `cold` (not in the fitted part), and those of a
    `new_user`, see `Cases`.
    """
    return {"all": np.ones(len(cases), bool), "cold": cases.cold, "new_user": cases.new_user}


def compute_metrics_by_slice(
    ranks: NDArray[np.float64], top10: TopItems, cases: Cases
) -> dict[str, Any]:
    """Return the fields of `Metrics` by slice; coverage is computed for all cases only."""
    metrics_by_slice = {
        name: asdict(compute_metrics(ranks[which])) for name, which in build_slices(cases).items()
    }
    metrics_by_slice["all"] = asdict(
        compute_metrics(ranks, top10=top10, item_count=len(cases.log.item_ids))
    )
    return metrics_by_slice


def _report_method(method: Measurement, best: Measurement | None, cases: Cases) -> dict[str, Any]:
    return {
        **compute_metrics_by_slice(method.ranks, method.top10, cases),
        "fit_cpu_s": round(method.fit_cpu_s, 2),
        "ms_per_request": round(method.ms_per_request, 2),
        "knobs": dict(method.params),
        "versus_best_peer": None if best is None else _compare_methods(method, best, cases)["all"],
    }


def _compare_methods(method: Measurement, reference: Measurement, cases: Cases) -> dict[str, Any]:
    metrics_by_slice = {}
    for name, which in build_slices(cases).items():
        comparison = compare_ranks(method.ranks[which], reference.ranks[which], cases.user[which])
        metrics_by_slice[name] = None if comparison is None else asdict(comparison)
    return metrics_by_slice


def render_text(report: Mapping[str, Any]) -> str:
    """Return an evaluation as a table for a terminal, the best method first."""
    methods = sorted(
        report["methods"].items(), key=lambda pair: (-pair[1]["all"]["ndcg10"], pair[0])
    )
    heads = [name for name, _, _ in _COLUMNS]
    rows = [["method", *heads, "ratio to best peer [95%]", "fit CPU s", "ms/request"]]
    for name, method in methods:
        cells = [_format_number(method[part][figure]) for _, part, figure in _COLUMNS]
        rows.append([name, *cells, format_ratio(method["versus_best_peer"]),
                     f"{method['fit_cpu_s']:.1f}", f"{method['ms_per_request']:.1f}"])  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    return "\n".join([_format_headline(report), *lines, *_format_notes(report)])


def format_ratio(comparison: Mapping[str, Any] | None) -> str:
    """Return a ratio of NDCG@10 with its 95% interval as text; "" if there is none."""
    if comparison is None or np.isnan(comparison["ratio"]):
        return ""
    low, high = comparison["ratio95"]
    return f"{comparison['ratio']:.2f} [{low:.2f}, {high:.2f}]"


def _format_headline(report: Mapping[str, Any]) -> str:
    cases = report["cases"]
    return (
        f"{report['part']} part: {cases['all']} cases ({cases['cold']} cold, {cases['new_user']} "
        f"new-user), {report['items']} items, {report['interactions']} interactions, seed "
        f"{report['seed']}, peak memory {report['peak_memory_mb']} MB"
    )


def _format_notes(report: Mapping[str, Any]) -> list[str]:
    notes = list(report["notes"])
    notes += [f"{name} is not measured: {why}" for name, why in report["not_measured"].items()]
    if report["context"] and (ratio := format_ratio(report["context"]["all"])):
        notes.append(
            f"asked with the circumstances of the moment, NDCG@10 is {ratio} times that without"
        )
    if report["left_out"]:
        notes.append(f"{report['left_out']} interactions with items not in the catalogue left out")
    if report["part"] == "valid" and report["best_peer"]:
        notes.append("peers were tuned on this part, so that it flatters them")
    return notes


def _format_number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
