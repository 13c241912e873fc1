"""Item vectors to an index file and its facts: kind, recall, search effort, size and build time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from indexer.ann.faiss_library import load_faiss, use_all_threads
from indexer.ann.layout import Layout
from indexer.ann.measurement import IndexOptions, Progress, measure_index, time_requests
from indexer.ann.plan import ROWS_PER_LIST, IndexPlan, add_refinement, list_plans, plan_flat
from indexer.ann.stored_vectors import count_lists, has_readable_vectors, require_finite
from indexer.ann.top_rows import ItemVectors
from indexer.ann.vector_index import GATHER_SHARE
from indexer.errors import CatalogError

_CHUNK_ROWS = 16_384
_SAMPLE_ROWS = 65_536
_EF_CONSTRUCTION = 160  # with FAISS's 40, requests with a large prior never reach some rows
_MAX_EFFORT_GROWTH = 2.0  # a reused index that needs more times its first effort is trained anew
_SEED = 20_240_501


def build_index_file(
    path: Path, items: ItemVectors, layout: Layout, *, options: IndexOptions, report: Progress
) -> dict[str, Any]:
    """Build an index, measure it and write it; return the facts for the manifest.

    If the index asked for cannot reach the recall, a flat one is written instead and `note` says
    so.

    Args:
        path: File to write.
        items: `(n, d)` item vectors.
        layout: Widths of their blocks.
        options: The index to build and the recall it must reach.
        report: Called with the step and the numbers done and in total.

    Raises:
        CatalogError: If FAISS cannot build an index from the factory string.
        VectorShapeError: If a vector holds NaN or infinity.
    """
    started = time.perf_counter()
    count, dim = items.shape
    use_all_threads()
    plans = list_plans(options.kind, count, layout)
    known = [plan for plan in plans if plan.factory == options.known_facts.get("factory")]
    plan, facts = _build_fastest(path, items, layout, options, known or plans, report)
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


def _build_fastest(
    path: Path,
    items: ItemVectors,
    layout: Layout,
    options: IndexOptions,
    plans: Sequence[IndexPlan],
    report: Progress,
) -> tuple[IndexPlan, dict[str, Any]]:
    """Build each of some indexes and keep the one that answers requests of several vectors first.

    With one plan nothing is timed.
    """
    built: list[tuple[float, Path, IndexPlan, dict[str, Any]]] = []
    for number, plan in enumerate(plans):
        file = path.with_name(f"{path.name}.{number}") if len(plans) > 1 else path
        kept_plan, facts = _build_planned(file, items, layout, options, plan, report)
        request_ms = time_requests(file, items, layout, facts) if len(plans) > 1 else 0.0
        built.append((request_ms, file, kept_plan, facts))
    request_ms, file, plan, facts = min(built, key=lambda entry: entry[0])
    if len(plans) > 1:
        facts["request_ms"] = {entry[2].kind: round(entry[0], 3) for entry in built}
        path.unlink(missing_ok=True)
        file.rename(path)
        for _, other, _, _ in built:
            other.unlink(missing_ok=True)
    return plan, facts


def _build_planned(
    path: Path,
    items: ItemVectors,
    layout: Layout,
    options: IndexOptions,
    plan: IndexPlan,
    report: Progress,
) -> tuple[IndexPlan, dict[str, Any]]:
    """Write an index and return its plan and facts; a flat one if it cannot reach the recall."""
    if plan.kind != "flat":
        plan = _ensure_readable(plan, items)
        facts = _build_approximate(path, items, layout, options, plan, report)
        worst, weights = min((value, name) for name, value in facts["recall_by_weights"].items())
        if worst >= options.min_recall:
            return plan, facts
        plan = plan_flat(
            f"{plan.factory} reached recall {worst:.3f} at most (requests of {weights}), "
            f"less than {options.min_recall:g}; the index is flat instead"
        )
    _write_index(path, items, _train_index(items, plan), plan, report)
    return plan, {"recall": 1.0, "search": "exact", "gather_share": GATHER_SHARE}


def _build_approximate(
    path: Path,
    items: ItemVectors,
    layout: Layout,
    options: IndexOptions,
    plan: IndexPlan,
    report: Progress,
) -> dict[str, Any]:
    """Write an approximate index and return its facts.

    The trained parts of an earlier index are reused if the recall holds at not much more effort.
    """
    is_known = options.known_facts.get("factory") == plan.factory
    options = options if is_known else replace(options, known_facts={}, trained_file=None)
    trained_index = (
        _reuse_trained_index(options.trained_file, items, plan) if options.trained_file else None
    )
    trained_effort = options.known_facts.get("trained_effort", options.known_facts.get("effort"))
    try:
        if trained_index is not None:
            _write_index(path, items, trained_index, plan, report)
            facts = measure_index(path, items, layout, options, report)
            if _is_good_enough(facts, trained_effort, options.min_recall):
                return {**facts, "trained_effort": trained_effort}
        if trained_effort is not None:
            # Start from the effort of the newly trained index, or effort would only ever grow.
            options = replace(
                options, known_facts={**options.known_facts, "effort": trained_effort}
            )
        _write_index(path, items, _train_index(items, plan), plan, report)
        return measure_index(path, items, layout, options, report)
    except RuntimeError as error:
        raise _make_faiss_error("search", plan, items, error) from error


def _is_good_enough(
    facts: Mapping[str, Any], before: Mapping[str, float], min_recall: float
) -> bool:
    """Whether an index reaches the recall at not much more effort than when it was trained."""
    is_cheap = all(facts["effort"][part] <= _MAX_EFFORT_GROWTH * before[part] for part in before)
    return is_cheap and min(facts["recall_by_weights"].values()) >= min_recall


def _write_index(
    path: Path, items: ItemVectors, index: Any, plan: IndexPlan, report: Progress
) -> None:
    """Add all vectors to a trained index, a chunk at a time, and write it to its file."""
    count = items.shape[0]
    try:
        _reserve_vectors(index, count)
        for start in range(0, count, _CHUNK_ROWS):
            index.add(require_finite(items[start : start + _CHUNK_ROWS], start))
            report("index", min(start + _CHUNK_ROWS, count), count)
    except RuntimeError as error:
        raise _make_faiss_error("build", plan, items, error) from error
    path.unlink(missing_ok=True)  # not overwritten: an open index may still map the old file
    load_faiss().write_index(index, str(path))


def _make_faiss_error(
    what: str, plan: IndexPlan, items: ItemVectors, error: RuntimeError
) -> CatalogError:
    message = str(error).rpartition("Error: ")[2]
    count, dim = items.shape
    return CatalogError(
        f"FAISS cannot {what} {plan.factory!r} over {count} vectors of {dim} numbers ({message}); "
        f"use --index auto"
    )


def _ensure_readable(plan: IndexPlan, items: ItemVectors) -> IndexPlan:
    """Return the plan, with a refinement added if its index stores no vectors that can be read."""
    if has_readable_vectors(_create_index(items, plan)):
        return plan
    if "refine" in plan.factory.lower():
        raise CatalogError(
            f"{plan.factory!r} refines with vectors that cannot be read in place; "
            f"end it with Refine(SQfp16)"
        )
    return add_refinement(plan)


def _create_index(items: ItemVectors, plan: IndexPlan) -> Any:
    """Return the untrained, empty index of a plan."""
    faiss = load_faiss()
    try:
        index = faiss.index_factory(items.shape[1], plan.factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise _make_faiss_error("build", plan, items, error) from error
    if plan.coded_columns:
        columns = np.array(plan.coded_columns, np.int32)
        faiss.copy_array_to_vector(columns, _find_coded_columns(index))
    return index


def _find_coded_columns(index: Any) -> Any:
    """Return FAISS's vector of `IndexPlan.coded_columns`, of an index that has them."""
    faiss = load_faiss()
    base = faiss.downcast_index(faiss.downcast_index(index).base_index)
    return faiss.downcast_VectorTransform(base.chain.at(0)).map


def _train_index(items: ItemVectors, plan: IndexPlan) -> Any:
    """Return the empty index of a plan, trained on a sample of the vectors."""
    faiss = load_faiss()
    count = items.shape[0]
    index = _create_index(items, plan)
    try:
        if isinstance(faiss.downcast_index(index), faiss.IndexHNSW):
            faiss.downcast_index(index).hnsw.efConstruction = _EF_CONSTRUCTION
        if not index.is_trained:
            rng = np.random.default_rng(_SEED)
            lists = count_lists(faiss, index)
            size = min(count, max(_SAMPLE_ROWS, ROWS_PER_LIST * lists))
            rows = np.sort(rng.choice(count, size, replace=False))
            index.train(require_finite(items[rows], 0))
    except RuntimeError as error:
        raise _make_faiss_error("build", plan, items, error) from error
    return index


def _reuse_trained_index(trained: Path, items: ItemVectors, plan: IndexPlan) -> Any | None:
    """Return an earlier index without its vectors; None if it cannot be used.

    None too if indexes of this plan need no training.
    """
    if _create_index(items, plan).is_trained:
        return None
    try:
        # Read, not memory-mapped: a mapped index cannot be emptied.
        index = load_faiss().read_index(str(trained))
        index.reset()
    except (RuntimeError, MemoryError):  # a damaged file may state a huge size
        return None
    if index.d != items.shape[1] or not index.is_trained:
        return None
    if plan.coded_columns:
        columns = tuple(load_faiss().vector_to_array(_find_coded_columns(index)).tolist())
        return index if columns == plan.coded_columns else None
    return index


def _reserve_vectors(index: Any, count: int) -> None:
    """Allocate space for all vectors at once: a growing array is copied, at twice the memory."""
    faiss = load_faiss()
    top = faiss.downcast_index(index)
    store = faiss.downcast_index(top.refine_index) if isinstance(top, faiss.IndexRefine) else top
    if hasattr(store, "codes") and hasattr(store, "code_size"):
        store.codes.resize(count * store.code_size)
        store.codes.resize(0)
