"""What was measured to one evaluation: figures by slice, intervals against the best peer, text."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.errors import RequestError
from indexer.evaluation.cases import Cases
from indexer.metrics import BOOTSTRAP_SEED, RESAMPLE_COUNT, compare_ranks, compute_metrics

_COLUMNS = (
    ("NDCG@10", "all", "ndcg10"), ("R@10", "all", "recall10"), ("R@50", "all", "recall50"),
    ("MRR", "all", "mrr50"), ("cov@10", "all", "coverage10"), ("cold R@10", "cold", "recall10"),
    ("new NDCG@10", "new_user", "ndcg10"),
)  # fmt: skip


TopItems: TypeAlias = Sequence[Collection[str | int]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One method's answers to the cases, and what they cost.

    Attributes:
        ranks: `(c,)`.
        top10: The first ten of each list.
        fit_cpu_s: Processor seconds of the last fit; of ours, of the whole build.
        params: What it was tuned to.
    """

    name: str
    ranks: NDArray[np.float64]
    top10: TopItems
    fit_cpu_s: float
    ms_per_request: float
    params: Mapping[str, Any]


def build_evaluation(
    measurements: Sequence[Measurement],
    cases: Cases,
    facts: Mapping[str, Any],
    *,
    without_context: Measurement | None = None,
) -> dict[str, Any]:
    """Return figures of every method; the first is ours, the others are peers.

    Args:
        measurements: The methods.
        cases: What was asked.
        facts: Of the evaluation.
        without_context: Ours, asked without the circumstances that the interactions record; None
            if they record none.

    Raises:
        RequestError: If there is no case.
    """
    if not len(cases):
        raise RequestError(
            f"the {facts['part']} part has no positive row to ask for; give more interactions"
        )
    ours, peers = measurements[0], measurements[1:]
    best = max(peers, key=lambda peer: compute_metrics(peer.ranks).ndcg10, default=None)
    return {
        **facts,
        "cases": {name: int(which.sum()) for name, which in build_slices(cases).items()},
        "best_peer": best.name if best else None,
        "bootstrap": {"seed": BOOTSTRAP_SEED, "resamples": RESAMPLE_COUNT},
        "methods": {method.name: _report_method(method, best, cases) for method in measurements},
        "versus": {peer.name: _compare_methods(ours, peer, cases) for peer in peers},
        "context": None if without_context is None else _compare_methods(ours, without_context, cases),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


def build_slices(cases: Cases) -> dict[str, NDArray[np.bool_]]:
    """Return the slices that every figure is told for, `(c,) bool` each."""
    return {"all": np.ones(len(cases), bool), "cold": cases.cold, "new_user": cases.new_user}


def compute_metrics_by_slice(
    ranks: NDArray[np.float64], top10: TopItems, cases: Cases
) -> dict[str, Any]:
    """Return NDCG@10, recall and the like of all cases, of cold items and of new users."""
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
    """Return one table for a terminal, best first."""
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
    """Return a ratio with its interval; empty if there is none."""
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
    notes = [f"{name} is not measured: {why}" for name, why in report["not_measured"].items()]
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
