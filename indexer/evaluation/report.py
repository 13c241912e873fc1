"""What was measured to one evaluation: figures by slice, intervals against the best peer, text."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.errors import RequestError
from indexer.evaluation.cases import Cases
from indexer.metrics import BOOTSTRAP_SEED, RESAMPLES, compare, figures

_COLUMNS = (
    ("NDCG@10", "all", "ndcg10"), ("R@10", "all", "recall10"), ("R@50", "all", "recall50"),
    ("MRR", "all", "mrr50"), ("cov@10", "all", "coverage10"), ("cold R@10", "cold", "recall10"),
    ("new NDCG@10", "new_user", "ndcg10"),
)  # fmt: skip


Top: TypeAlias = Sequence[Collection[str | int]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One method's answers to the cases, and what they cost.

    Attributes:
        ranks: `(c,)`.
        top10: The first ten of each list.
        fit_cpu_s: Processor seconds of the last fit; of ours, of the whole build.
        knobs: What it was tuned to.
    """

    name: str
    ranks: NDArray[np.float64]
    top10: Top
    fit_cpu_s: float
    ms_per_request: float
    knobs: Mapping[str, Any]


def evaluation(
    measured: Sequence[Measured],
    cases: Cases,
    facts: Mapping[str, Any],
    *,
    without_context: Measured | None = None,
) -> dict[str, Any]:
    """Return figures of every method; the first is ours, the others are peers.

    Args:
        measured: The methods.
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
    ours, peers = measured[0], measured[1:]
    best = max(peers, key=lambda peer: figures(peer.ranks).ndcg10, default=None)
    return {
        **facts,
        "cases": {name: int(which.sum()) for name, which in slices_of(cases).items()},
        "best_peer": best.name if best else None,
        "bootstrap": {"seed": BOOTSTRAP_SEED, "resamples": RESAMPLES},
        "methods": {method.name: _told(method, best, cases) for method in measured},
        "versus": {peer.name: _against(ours, peer, cases) for peer in peers},
        "context": None if without_context is None else _against(ours, without_context, cases),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


def slices_of(cases: Cases) -> dict[str, NDArray[np.bool_]]:
    """Return the slices that every figure is told for, `(c,) bool` each."""
    return {"all": np.ones(len(cases), bool), "cold": cases.cold, "new_user": cases.new_user}


def figures_by_slice(ranks: NDArray[np.float64], top10: Top, cases: Cases) -> dict[str, Any]:
    """Return NDCG@10, recall and the like of all cases, of cold items and of new users."""
    told = {name: asdict(figures(ranks[which])) for name, which in slices_of(cases).items()}
    told["all"] = asdict(figures(ranks, top10=top10, items=len(cases.log.item_ids)))
    return told


def _told(method: Measured, best: Measured | None, cases: Cases) -> dict[str, Any]:
    return {
        **figures_by_slice(method.ranks, method.top10, cases),
        "fit_cpu_s": round(method.fit_cpu_s, 2),
        "ms_per_request": round(method.ms_per_request, 2),
        "knobs": dict(method.knobs),
        "versus_best_peer": None if best is None else _against(method, best, cases)["all"],
    }


def _against(one: Measured, other: Measured, cases: Cases) -> dict[str, Any]:
    told = {}
    for name, which in slices_of(cases).items():
        compared = compare(one.ranks[which], other.ranks[which], cases.user[which])
        told[name] = None if compared is None else asdict(compared)
    return told


def as_text(told: Mapping[str, Any]) -> str:
    """Return one table for a terminal, best first."""
    methods = sorted(told["methods"].items(), key=lambda pair: (-pair[1]["all"]["ndcg10"], pair[0]))
    heads = [name for name, _, _ in _COLUMNS]
    rows = [["method", *heads, "ratio to best peer [95%]", "fit CPU s", "ms/request"]]
    for name, method in methods:
        cells = [_number(method[part][figure]) for _, part, figure in _COLUMNS]
        rows.append([name, *cells, ratio_text(method["versus_best_peer"]),
                     f"{method['fit_cpu_s']:.1f}", f"{method['ms_per_request']:.1f}"])  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    return "\n".join([_headline(told), *lines, *_notes(told)])


def ratio_text(compared: Mapping[str, Any] | None) -> str:
    """Return a ratio with its interval; empty if there is none."""
    if compared is None or np.isnan(compared["ratio"]):
        return ""
    low, high = compared["ratio95"]
    return f"{compared['ratio']:.2f} [{low:.2f}, {high:.2f}]"


def _headline(told: Mapping[str, Any]) -> str:
    cases = told["cases"]
    return (
        f"{told['part']} part: {cases['all']} cases ({cases['cold']} cold, {cases['new_user']} "
        f"new-user), {told['items']} items, {told['interactions']} interactions, seed "
        f"{told['seed']}, peak memory {told['peak_memory_mb']} MB"
    )


def _notes(told: Mapping[str, Any]) -> list[str]:
    notes = [f"{name} is not measured: {why}" for name, why in told["not_measured"].items()]
    if told["context"] and (ratio := ratio_text(told["context"]["all"])):
        notes.append(
            f"asked with the circumstances of the moment, NDCG@10 is {ratio} times that without"
        )
    if told["left_out"]:
        notes.append(f"{told['left_out']} interactions with items not in the catalogue left out")
    if told["part"] == "valid" and told["best_peer"]:
        notes.append("peers were tuned on this part, so that it flatters them")
    return notes


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
