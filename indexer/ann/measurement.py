"""An index file to the facts of the manifest: recall, least effort, and when to gather rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from indexer.ann.allowed_rows import AllowedRows
from indexer.ann.effort import find_least_effort
from indexer.ann.faiss_searcher import Effort
from indexer.ann.layout import Layout
from indexer.ann.lead_rows import build_lead_facts
from indexer.ann.recall import (
    RECALL_DEPTH,
    GroundTruth,
    QuerySet,
    compute_ground_truth,
    draw_query_sets,
    measure_filtered_recall,
    measure_recall,
)
from indexer.ann.top_rows import ItemVectors
from indexer.ann.vector_index import VectorIndex

Progress = Callable[[str, int, int], None]  # called with a step's name, the number done, the total

_SEED = 20_240_501
_ALLOWED_SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
_FILTERED_QUERIES, _TIMED_QUERIES = 64, 8
_TIMED_REQUESTS, _TIMED_SETS = 30, 6  # at most so many sets of queries are drawn


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """The index to build and the recall it must reach.

    Attributes:
        kind: auto, flat, hnsw, ivf or a FAISS factory string.
        min_recall: recall@10 that must hold for every set of query vectors.
        known_facts: Facts of an earlier index over nearly the same vectors; measuring starts from
            its effort.
        trained_file: File of that index; its trained parts are reused while at most twice the
            effort is needed.
    """

    kind: str = "auto"
    min_recall: float = 0.99
    known_facts: Mapping[str, Any] = field(default_factory=dict)
    trained_file: Path | None = None


@dataclass
class _RecallMeter:
    """The recall of one index file at several efforts; each is measured once.

    Attributes:
        lead: Facts of the rows that are scored beside the search, see `LeadRows`; empty: none are.
        recalls: Effort to the recall of each query set by name.
    """

    path: Path
    items: ItemVectors
    options: IndexOptions
    lead: Mapping[str, Any]
    report: Progress
    recalls: dict[Effort, dict[str, float]] = field(default_factory=dict)

    def find_effort(self, truths: Sequence[GroundTruth], name: str) -> Effort:
        """Return the least effort that reaches the recall for every query set.

        Args:
            truths: Of the query sets.
            name: Of this effort among the facts of an earlier index.
        """
        known_effort = self.options.known_facts.get(name)
        return find_least_effort(
            partial(self._measure_worst_recall, truths),
            VectorIndex.open(self.path).list_count,
            self.options.min_recall,
            known_effort=None if known_effort is None else Effort.from_json(known_effort),
        )

    def _measure_worst_recall(self, truths: Sequence[GroundTruth], effort: Effort) -> float:
        self.report("measure", len(self.recalls), len(self.recalls) + 1)
        known = self.recalls.setdefault(effort, {})
        facts = {"effort": asdict(effort), **({"lead": self.lead} if self.lead else {})}
        index = VectorIndex.open(self.path, facts)
        for truth in truths:
            name = truth.query_set.name
            if name not in known:
                known[name] = measure_recall(index, self.items, truth)
        return min(known[truth.query_set.name] for truth in truths)


def measure_index(
    path: Path, items: ItemVectors, layout: Layout, options: IndexOptions, report: Progress
) -> dict[str, Any]:
    """Find the least effort whose recall holds for every query set, and the gather share.

    Returns:
        Facts for the manifest: `recall` (mean over query sets), `recall_by_weights`, `effort`,
        `usual_effort` (enough for requests with the usual weights), the facts of
        `_measure_with_lead`, `search` (exact or ann), `gather_share`, `filtered_recall`.
    """
    rng = np.random.default_rng(_SEED)
    ground_truths = compute_ground_truth(items, draw_query_sets(items, layout, rng=rng))
    usual = [truth for truth in ground_truths if truth.query_set.is_usual]
    meter = _RecallMeter(path, items, options, {}, report)
    effort = meter.find_effort(ground_truths, "effort")
    usual_effort = meter.find_effort(usual, "usual_effort")
    recalls = meter.recalls
    index = VectorIndex.open(path, {"effort": asdict(effort), "gather_share": 0.0})
    recall_by_set = recalls[effort]
    report("measure", len(recalls), len(recalls))
    return {
        "recall": round(float(np.mean([*recall_by_set.values()])), 5),
        "recall_by_weights": {name: round(value, 5) for name, value in recall_by_set.items()},
        "effort": asdict(effort),
        "usual_effort": asdict(usual_effort),
        **_measure_with_lead(meter, ground_truths, layout),
        "search": "exact" if index.is_exact else "ann",
        **(
            _reuse_gather_share(options)
            or _find_gather_share(index, ground_truths, options.min_recall)
        ),
    }


def _measure_with_lead(
    meter: _RecallMeter, truths: Sequence[GroundTruth], layout: Layout
) -> dict[str, Any]:
    """Find the least efforts of requests that weigh popularity, with the leading rows beside.

    Returns:
        `lead`, the facts of `LeadRows`, `lead_effort` and `lead_usual_effort`; empty if no rows
        lead.
    """
    column = layout.prior_column
    lead = build_lead_facts(VectorIndex.open(meter.path).read_column(column), column)
    if not lead["rows"]:
        return {}
    weighing = [truth for truth in truths if (truth.query_set.vectors[:, column] > 0).all()]
    usual = [truth for truth in weighing if truth.query_set.is_usual]
    beside = replace(meter, lead=lead, recalls={})
    return {
        "lead": lead,
        "lead_effort": asdict(beside.find_effort(weighing, "lead_effort")),
        "lead_usual_effort": asdict(beside.find_effort(usual, "lead_usual_effort")),
    }


def time_requests(
    path: Path, items: ItemVectors, layout: Layout, facts: Mapping[str, Any]
) -> float:
    """Return the median milliseconds that an index takes for a request of several vectors."""
    rng = np.random.default_rng(_SEED)
    query_set = draw_query_sets(items, layout, rng=rng, count=_TIMED_REQUESTS * _TIMED_SETS)[-1]
    index = VectorIndex.open(path, facts)
    allowed = AllowedRows.all_of(len(index))
    size = query_set.vectors_per_query
    requests = np.split(query_set.vectors, len(query_set.vectors) // size)
    search = partial(index.find_near, depth=RECALL_DEPTH, allowed=allowed)
    search(requests[0])  # the file is mapped: its pages are read once
    return 1_000 * _time_calls(search, requests)


def _reuse_gather_share(options: IndexOptions) -> dict[str, Any]:
    """Return the earlier gather share, which few new rows hardly change.

    Empty if it is unknown, or was measured for another recall.
    """
    names = ("gather_share", "filtered_recall")
    is_same = options.known_facts.get("min_recall") == options.min_recall and all(
        k in options.known_facts for k in names
    )
    return {name: options.known_facts[name] for name in names} if is_same else {}


def _find_gather_share(
    index: VectorIndex, truths: list[GroundTruth], min_recall: float
) -> dict[str, Any]:
    """Find the share of allowed rows below which `VectorIndex` should score all of them exactly.

    It is the first share at which gathering the rows is faster than the masked search, or the
    masked search misses the recall.
    """
    rng = np.random.default_rng(_SEED)
    query_set = _mix_queries([truth.query_set for truth in truths])
    recalls: dict[str, float] = {}
    for share in _ALLOWED_SHARES:
        allowed = rng.random(len(index)) < share
        if np.count_nonzero(allowed) < RECALL_DEPTH:
            return {"gather_share": share, "filtered_recall": recalls}
        recall = measure_filtered_recall(
            index, query_set, allowed, index.search(query_set.vectors, RECALL_DEPTH, allowed)
        )
        queries = query_set.vectors[:_TIMED_QUERIES]
        rows = np.flatnonzero(allowed)
        approximate_s = _time_queries(
            partial(index.search, k=RECALL_DEPTH, allowed=allowed), queries
        )
        gather_s = _time_queries(partial(index.compute_scores, rows=rows), queries)
        if recall < min_recall or gather_s < approximate_s:
            return {"gather_share": share, "filtered_recall": recalls}
        recalls[f"{share:g}"] = round(recall, 5)
    return {"gather_share": _ALLOWED_SHARES[-1], "filtered_recall": recalls}


def _mix_queries(kinds: list[QuerySet]) -> QuerySet:
    each = -(-_FILTERED_QUERIES // len(kinds))
    return QuerySet("mixed", np.concatenate([kind.vectors[:each] for kind in kinds]))


def _time_queries(call: Callable[[Any], object], queries: Any) -> float:
    """Return the median duration in seconds over single queries."""
    return _time_calls(call, [query[None] for query in queries])


def _time_calls(call: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    durations_s = []
    for argument in arguments:
        started = time.perf_counter()
        call(argument)
        durations_s.append(time.perf_counter() - started)
    return float(np.median(durations_s))
