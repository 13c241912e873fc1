"""Item vectors to an index file and what was measured of it: recall, effort, size, time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from indexer.ann.effort import find_least_effort
from indexer.ann.faiss_searcher import Effort, has_readable_vectors, load_faiss, use_all_threads
from indexer.ann.layout import Layout
from indexer.ann.plan import IndexPlan, add_refinement, plan_flat, plan_index
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
from indexer.ann.vector_index import GATHER_SHARE, VectorIndex, require_finite
from indexer.errors import CatalogError

Progress = Callable[[str, int, int], None]

_CHUNK_ROWS = 16_384
_SAMPLE_ROWS = 65_536
_EF_CONSTRUCTION = 160  # FAISS's 40 leaves rows that prior-heavy requests never reach
_MAX_EFFORT_GROWTH = 2.0  # times that of an index when it was trained; then it is trained anew
_SEED = 20_240_501
_ALLOWED_SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
_FILTERED_QUERIES, _TIMED_QUERIES = 64, 8


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """What a caller wants of an index.

    Attributes:
        kind: auto, flat, hnsw, ivf or a FAISS factory string.
        min_recall: recall@10 that must hold for every kind of request.
        known_facts: Facts of an index over nearly the same vectors, from which measuring sets out.
        trained_file: That index's file; what it was trained to is kept while at most twice the effort is
            needed.
    """

    kind: str = "auto"
    min_recall: float = 0.99
    known_facts: Mapping[str, Any] = field(default_factory=dict)
    trained_file: Path | None = None


def build_index_file(
    path: Path, items: ItemVectors, layout: Layout, *, options: IndexOptions, report: Progress
) -> dict[str, Any]:
    """Write the index of some vectors; return the facts for the manifest.

    If the wanted index cannot reach the recall, a flat one takes its place and `note` says so.

    Raises:
        CatalogError: If FAISS cannot build what the factory string says.
        VectorShapeError: If a vector holds NaN or infinity.
    """
    started = time.perf_counter()
    count, dim = items.shape
    use_all_threads()
    plan = plan_index(options.kind, count, dim)
    facts: dict[str, Any] = {}
    if plan.kind != "flat":
        plan = _ensure_readable(plan, items)
        facts = _build_approximate(path, items, layout, options, plan, report)
        worst, weights = min((value, name) for name, value in facts["recall_by_weights"].items())
        if worst < options.min_recall:
            plan = plan_flat(
                f"{plan.factory} reached recall {worst:.3f} at most (requests of {weights}), "
                f"less than {options.min_recall:g}; the index is flat instead"
            )
    if plan.kind == "flat":
        _write_index(path, items, _train_index(items, plan), plan, report)
        facts = {"recall": 1.0, "search": "exact", "gather_share": GATHER_SHARE}
    size = 4 * dim if plan.kind == "flat" else round(path.stat().st_size / max(count, 1), 1)
    return {
        "kind": plan.kind,
        "factory": plan.factory,
        "min_recall": options.min_recall,
        "bytes_per_vector": size,
        "build_s": round(time.perf_counter() - started, 2),
        **facts,
        **({"note": plan.note} if plan.note else {}),
    }


def _build_approximate(
    path: Path,
    items: ItemVectors,
    layout: Layout,
    options: IndexOptions,
    plan: IndexPlan,
    report: Progress,
) -> dict[str, Any]:
    """Write an index and measure it; what the live one was trained to is kept while it serves."""
    is_known = options.known_facts.get("factory") == plan.factory
    options = options if is_known else replace(options, known_facts={}, trained_file=None)
    names = (
        _reuse_trained_index(options.trained_file, items, plan) if options.trained_file else None
    )
    trained_effort = options.known_facts.get("trained_effort", options.known_facts.get("effort"))
    try:
        if names is not None:
            _write_index(path, items, names, plan, report)
            facts = _measure_index(path, items, layout, options, report)
            if _is_good_enough(facts, trained_effort, options.min_recall):
                return {**facts, "trained_effort": trained_effort}
        if (
            trained_effort is not None
        ):  # what it took before it aged, or effort would only ever grow
            options = replace(
                options, known_facts={**options.known_facts, "effort": trained_effort}
            )
        _write_index(path, items, _train_index(items, plan), plan, report)
        return _measure_index(path, items, layout, options, report)
    except RuntimeError as error:
        raise _make_faiss_error("search", plan, items, error) from error


def _is_good_enough(
    facts: Mapping[str, Any], before: Mapping[str, float], min_recall: float
) -> bool:
    """Whether an index is as good, at not much more effort than when it was trained."""
    is_cheap = all(facts["effort"][part] <= _MAX_EFFORT_GROWTH * before[part] for part in before)
    return is_cheap and min(facts["recall_by_weights"].values()) >= min_recall


def _write_index(
    path: Path, items: ItemVectors, index: Any, plan: IndexPlan, report: Progress
) -> None:
    """Add the vectors to a trained index in chunks, and write it."""
    count = items.shape[0]
    try:
        _reserve_vectors(index, count)
        for start in range(0, count, _CHUNK_ROWS):
            index.add(require_finite(items[start : start + _CHUNK_ROWS], start))
            report("index", min(start + _CHUNK_ROWS, count), count)
    except RuntimeError as error:
        raise _make_faiss_error("build", plan, items, error) from error
    path.unlink(missing_ok=True)  # an index that still maps the old file keeps it
    load_faiss().write_index(index, str(path))


def _make_faiss_error(
    what: str, plan: IndexPlan, items: ItemVectors, error: RuntimeError
) -> CatalogError:
    message = str(error).rpartition("Error: ")[2]
    count, dim = items.shape
    return CatalogError(
        f"FAISS cannot {what} {plan.factory!r} over {count} vectors of {dim} numbers ({message}); use "
        f"--index auto"
    )


def _ensure_readable(plan: IndexPlan, items: ItemVectors) -> IndexPlan:
    """The plan of an index that is refined by readable vectors if it has none itself."""
    if has_readable_vectors(_create_index(items, plan)):
        return plan
    if "refine" in plan.factory.lower():
        raise CatalogError(
            f"{plan.factory!r} refines with vectors that cannot be read in place; "
            f"end it with Refine(SQfp16)"
        )
    return add_refinement(plan)


def _create_index(items: ItemVectors, plan: IndexPlan) -> Any:
    """An index of a plan, as it is before it has seen a vector."""
    faiss = load_faiss()
    try:
        return faiss.index_factory(items.shape[1], plan.factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise _make_faiss_error("build", plan, items, error) from error


def _train_index(items: ItemVectors, plan: IndexPlan) -> Any:
    """An index without vectors, trained on a sample."""
    faiss = load_faiss()
    count = items.shape[0]
    index = _create_index(items, plan)
    try:
        if isinstance(faiss.downcast_index(index), faiss.IndexHNSW):
            faiss.downcast_index(index).hnsw.efConstruction = _EF_CONSTRUCTION
        if not index.is_trained:
            rng = np.random.default_rng(_SEED)
            rows = np.sort(rng.choice(count, min(count, _SAMPLE_ROWS), replace=False))
            index.train(require_finite(items[rows], 0))
    except RuntimeError as error:
        raise _make_faiss_error("build", plan, items, error) from error
    return index


def _reuse_trained_index(trained: Path, items: ItemVectors, plan: IndexPlan) -> Any | None:
    """The live index without its vectors; None if it needs no training or cannot be used."""
    if _create_index(items, plan).is_trained:
        return None
    try:
        index = load_faiss().read_index(
            str(trained)
        )  # not mapped: what is mapped cannot be emptied
        index.reset()
    except (RuntimeError, MemoryError):  # the latter where a damaged file tells a huge size
        return None
    return index if index.d == items.shape[1] and index.is_trained else None


def _reserve_vectors(index: Any, count: int) -> None:
    """Make room for all vectors at once: a growing array is copied, at twice the memory."""
    faiss = load_faiss()
    top = faiss.downcast_index(index)
    store = faiss.downcast_index(top.refine_index) if isinstance(top, faiss.IndexRefine) else top
    if hasattr(store, "codes") and hasattr(store, "code_size"):
        store.codes.resize(count * store.code_size)
        store.codes.resize(0)


def _measure_index(
    path: Path, items: ItemVectors, layout: Layout, wish: IndexOptions, report: Progress
) -> dict[str, Any]:
    """Find the least effort whose recall holds for every kind of request."""
    rng = np.random.default_rng(_SEED)
    ground_truths = compute_ground_truth(items, draw_query_sets(items, layout, rng=rng))
    recalls: dict[Effort, dict[str, float]] = {}

    def worst(effort: Effort) -> float:
        report("measure", len(recalls), len(recalls) + 1)
        index = VectorIndex.open(path, {"effort": asdict(effort)})
        recalls[effort] = {t.query_set.name: measure_recall(index, items, t) for t in ground_truths}
        return min(recalls[effort].values())

    known = Effort.from_json(wish.known_facts["effort"]) if "effort" in wish.known_facts else None
    effort = find_least_effort(
        worst, VectorIndex.open(path).list_count, wish.min_recall, known_effort=known
    )
    index = VectorIndex.open(path, {"effort": asdict(effort), "gather_share": 0.0})
    recall_by_set = recalls[effort]
    report("measure", len(recalls), len(recalls))
    return {
        "recall": round(float(np.mean([*recall_by_set.values()])), 5),
        "recall_by_weights": {name: round(value, 5) for name, value in recall_by_set.items()},
        "effort": asdict(effort),
        "search": "exact" if index.is_exact else "ann",
        **(_reuse_gather_share(wish) or _find_gather_share(index, ground_truths, wish.min_recall)),
    }


def _reuse_gather_share(options: IndexOptions) -> dict[str, Any]:
    """What one row in a hundred hardly moves; nothing, if the recall was asked for anew."""
    names = ("gather_share", "filtered_recall")
    is_same = options.known_facts.get("min_recall") == options.min_recall and all(
        k in options.known_facts for k in names
    )
    return {name: options.known_facts[name] for name in names} if is_same else {}


def _find_gather_share(
    index: VectorIndex, truths: list[GroundTruth], min_recall: float
) -> dict[str, Any]:
    """The share of allowed rows below which gathering them is faster, or is needed."""
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
    """The median over single queries."""
    durations_s = []
    for query in queries:
        started = time.perf_counter()
        call(query[None])
        durations_s.append(time.perf_counter() - started)
    return float(np.median(durations_s))
