"""Item vectors to an index file and what was measured of it: recall, effort, size, time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from indexer.ann.effort import least_effort
from indexer.ann.faiss_searcher import Effort, keeps_vectors, library, use_all_threads
from indexer.ann.layout import Layout
from indexer.ann.plan import Plan, flat, plan_index, refined
from indexer.ann.recall import (
    DEPTH,
    Requests,
    Truth,
    filtered_recall,
    recall_of,
    request_vectors,
    truth_of,
)
from indexer.ann.top_rows import ItemVectors
from indexer.ann.vector_index import GATHER_SHARE, VectorIndex, finite
from indexer.errors import CatalogError

Progress = Callable[[str, int, int], None]

_CHUNK_ROWS = 16_384
_SAMPLE_ROWS = 65_536
_GRAPH_EFFORT = 160  # FAISS's 40 leaves rows that prior-heavy requests never reach
_MOST_EFFORT = 2.0  # times that of an index when it was trained; then it is trained anew
_SEED = 20_240_501
_SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
_FILTERED_REQUESTS, _TIMED_REQUESTS = 64, 8


@dataclass(frozen=True, slots=True)
class IndexWish:
    """What a caller wants of an index.

    Attributes:
        kind: auto, flat, hnsw, ivf or a FAISS factory string.
        min_recall: recall@10 that must hold for every kind of request.
        known: Facts of an index over nearly the same vectors, from which measuring sets out.
        trained: That index's file; what it was trained to is kept while at most twice the effort is
            needed.
    """

    kind: str = "auto"
    min_recall: float = 0.99
    known: Mapping[str, Any] = field(default_factory=dict)
    trained: Path | None = None


def build_index_file(
    path: Path, items: ItemVectors, layout: Layout, *, wish: IndexWish, report: Progress
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
    plan = plan_index(wish.kind, count, dim)
    facts: dict[str, Any] = {}
    if plan.kind != "flat":
        plan = _readable(plan, items)
        facts = _approximate(path, items, layout, wish, plan, report)
        worst, weights = min((value, name) for name, value in facts["recall_by_weights"].items())
        if worst < wish.min_recall:
            plan = flat(
                f"{plan.factory} reached recall {worst:.3f} at most (requests of {weights}), "
                f"less than {wish.min_recall:g}; the index is flat instead"
            )
    if plan.kind == "flat":
        _write(path, items, _empty(items, plan), plan, report)
        facts = {"recall": 1.0, "search": "exact", "gather_share": GATHER_SHARE}
    size = 4 * dim if plan.kind == "flat" else round(path.stat().st_size / max(count, 1), 1)
    return {
        "kind": plan.kind,
        "factory": plan.factory,
        "min_recall": wish.min_recall,
        "bytes_per_vector": size,
        "build_s": round(time.perf_counter() - started, 2),
        **facts,
        **({"note": plan.note} if plan.note else {}),
    }


def _approximate(
    path: Path, items: ItemVectors, layout: Layout, wish: IndexWish, plan: Plan, report: Progress
) -> dict[str, Any]:
    """Write an index and measure it; what the live one was trained to is kept while it serves."""
    is_known = wish.known.get("factory") == plan.factory
    wish = wish if is_known else replace(wish, known={}, trained=None)
    kept = _emptied(wish.trained, items, plan) if wish.trained else None
    before = wish.known.get("trained_effort", wish.known.get("effort"))
    try:
        if kept is not None:
            _write(path, items, kept, plan, report)
            facts = _measured(path, items, layout, wish, report)
            if _holds(facts, before, wish.min_recall):
                return {**facts, "trained_effort": before}
        if before is not None:  # what it took before it aged, or effort would only ever grow
            wish = replace(wish, known={**wish.known, "effort": before})
        _write(path, items, _empty(items, plan), plan, report)
        return _measured(path, items, layout, wish, report)
    except RuntimeError as error:
        raise _unusable("search", plan, items, error) from error


def _holds(facts: Mapping[str, Any], before: Mapping[str, float], min_recall: float) -> bool:
    """Whether an index is as good, at not much more effort than when it was trained."""
    is_cheap = all(facts["effort"][part] <= _MOST_EFFORT * before[part] for part in before)
    return is_cheap and min(facts["recall_by_weights"].values()) >= min_recall


def _write(path: Path, items: ItemVectors, index: Any, plan: Plan, report: Progress) -> None:
    """Add the vectors to a trained index in chunks, and write it."""
    count = items.shape[0]
    try:
        _reserve(index, count)
        for start in range(0, count, _CHUNK_ROWS):
            index.add(finite(items[start : start + _CHUNK_ROWS], start))
            report("index", min(start + _CHUNK_ROWS, count), count)
    except RuntimeError as error:
        raise _unusable("build", plan, items, error) from error
    path.unlink(missing_ok=True)  # an index that still maps the old file keeps it
    library().write_index(index, str(path))


def _unusable(what: str, plan: Plan, items: ItemVectors, error: RuntimeError) -> CatalogError:
    said = str(error).rpartition("Error: ")[2]
    count, dim = items.shape
    return CatalogError(
        f"FAISS cannot {what} {plan.factory!r} over {count} vectors of {dim} numbers ({said}); use "
        f"--index auto"
    )


def _readable(plan: Plan, items: ItemVectors) -> Plan:
    """The plan of an index that is refined by readable vectors if it has none itself."""
    if keeps_vectors(_untrained(items, plan)):
        return plan
    if "refine" in plan.factory.lower():
        raise CatalogError(
            f"{plan.factory!r} refines with vectors that cannot be read in place; "
            f"end it with Refine(SQfp16)"
        )
    return refined(plan)


def _untrained(items: ItemVectors, plan: Plan) -> Any:
    """An index of a plan, as it is before it has seen a vector."""
    faiss = library()
    try:
        return faiss.index_factory(items.shape[1], plan.factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise _unusable("build", plan, items, error) from error


def _empty(items: ItemVectors, plan: Plan) -> Any:
    """An index without vectors, trained on a sample."""
    faiss = library()
    count = items.shape[0]
    index = _untrained(items, plan)
    try:
        if isinstance(faiss.downcast_index(index), faiss.IndexHNSW):
            faiss.downcast_index(index).hnsw.efConstruction = _GRAPH_EFFORT
        if not index.is_trained:
            rng = np.random.default_rng(_SEED)
            rows = np.sort(rng.choice(count, min(count, _SAMPLE_ROWS), replace=False))
            index.train(finite(items[rows], 0))
    except RuntimeError as error:
        raise _unusable("build", plan, items, error) from error
    return index


def _emptied(trained: Path, items: ItemVectors, plan: Plan) -> Any | None:
    """The live index without its vectors; None if it needs no training or cannot be used."""
    if _untrained(items, plan).is_trained:
        return None
    try:
        index = library().read_index(str(trained))  # not mapped: what is mapped cannot be emptied
        index.reset()
    except (RuntimeError, MemoryError):  # the latter where a damaged file tells a huge size
        return None
    return index if index.d == items.shape[1] and index.is_trained else None


def _reserve(index: Any, count: int) -> None:
    """Make room for all vectors at once: a growing array is copied, at twice the memory."""
    faiss = library()
    top = faiss.downcast_index(index)
    store = faiss.downcast_index(top.refine_index) if isinstance(top, faiss.IndexRefine) else top
    if hasattr(store, "codes") and hasattr(store, "code_size"):
        store.codes.resize(count * store.code_size)
        store.codes.resize(0)


def _measured(
    path: Path, items: ItemVectors, layout: Layout, wish: IndexWish, report: Progress
) -> dict[str, Any]:
    """Find the least effort whose recall holds for every kind of request."""
    rng = np.random.default_rng(_SEED)
    truths = truth_of(items, request_vectors(items, layout, rng=rng))
    recalls: dict[Effort, dict[str, float]] = {}

    def worst(effort: Effort) -> float:
        report("measure", len(recalls), len(recalls) + 1)
        index = VectorIndex.open(path, {"effort": asdict(effort)})
        recalls[effort] = {t.requests.name: recall_of(index, items, t) for t in truths}
        return min(recalls[effort].values())

    known = Effort.from_json(wish.known["effort"]) if "effort" in wish.known else None
    effort = least_effort(worst, VectorIndex.open(path).lists, wish.min_recall, known=known)
    index = VectorIndex.open(path, {"effort": asdict(effort), "gather_share": 0.0})
    held = recalls[effort]
    report("measure", len(recalls), len(recalls))
    return {
        "recall": round(float(np.mean([*held.values()])), 5),
        "recall_by_weights": {name: round(value, 5) for name, value in held.items()},
        "effort": asdict(effort),
        "search": "exact" if index.is_exact else "ann",
        **(_known_crossover(wish) or _crossover(index, truths, wish.min_recall)),
    }


def _known_crossover(wish: IndexWish) -> dict[str, Any]:
    """What one row in a hundred hardly moves; nothing, if the recall was asked for anew."""
    kept = ("gather_share", "filtered_recall")
    is_same = wish.known.get("min_recall") == wish.min_recall and all(k in wish.known for k in kept)
    return {name: wish.known[name] for name in kept} if is_same else {}


def _crossover(index: VectorIndex, truths: list[Truth], min_recall: float) -> dict[str, Any]:
    """The share of allowed rows below which gathering them is faster, or is needed."""
    rng = np.random.default_rng(_SEED)
    requests = _mixed([truth.requests for truth in truths])
    recalls: dict[str, float] = {}
    for share in _SHARES:
        allowed = rng.random(len(index)) < share
        if np.count_nonzero(allowed) < DEPTH:
            return {"gather_share": share, "filtered_recall": recalls}
        recall = filtered_recall(
            index, requests, allowed, index.search(requests.vectors, DEPTH, allowed)
        )
        queries = requests.vectors[:_TIMED_REQUESTS]
        rows = np.flatnonzero(allowed)
        approximate_s = _seconds(partial(index.search, k=DEPTH, allowed=allowed), queries)
        gather_s = _seconds(partial(index.scores, rows=rows), queries)
        if recall < min_recall or gather_s < approximate_s:
            return {"gather_share": share, "filtered_recall": recalls}
        recalls[f"{share:g}"] = round(recall, 5)
    return {"gather_share": _SHARES[-1], "filtered_recall": recalls}


def _mixed(kinds: list[Requests]) -> Requests:
    each = -(-_FILTERED_REQUESTS // len(kinds))
    return Requests("mixed", np.concatenate([kind.vectors[:each] for kind in kinds]))


def _seconds(call: Callable[[Any], object], queries: Any) -> float:
    """The median over single queries."""
    took = []
    for query in queries:
        started = time.perf_counter()
        call(query[None])
        took.append(time.perf_counter() - started)
    return float(np.median(took))
