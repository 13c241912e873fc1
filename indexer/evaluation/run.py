"""A catalogue and its interactions to an evaluation: our method and its peers on the same cases.

Our method tunes itself: an index is built from files by the same pipeline as any snapshot, and
asked as any caller would ask it. Peers are tuned, fitted and asked by `peer_measurement`.
"""

import json
import resource
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from indexer.build import BuildOptions, build_snapshot
from indexer.evaluation.answers import ask_index
from indexer.evaluation.cases import MAX_CASES, Cases, build_cases
from indexer.evaluation.interaction_log import InteractionLog, Part, build_log
from indexer.evaluation.measurement import CpuTimer, Measurement
from indexer.evaluation.peer_measurement import measure_peers
from indexer.evaluation.peers.protocol import Scores
from indexer.evaluation.peers.registry import explain_unavailable
from indexer.evaluation.peers.text_mean import normalise_rows
from indexer.evaluation.report import build_evaluation
from indexer.evaluation.workspace import (
    LEAKING_FIELDS,
    LogRows,
    link_vectors,
    read_log_rows,
    write_catalogue,
    write_rows,
)
from indexer.index import Index
from indexer.language import Encoder
from indexer.progress import StageProgress
from indexer.reading import (
    EventReading,
    ItemNames,
    ValueKind,
    choose_fields_option,
    list_named_items,
    split_fields,
)
from indexer.request import collect_own_weights, load_index_scenarios

OWN_METHOD = "zhiyin"
ExtraMeasurement: TypeAlias = Callable[[Index, Cases], Any]


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What to evaluate.

    Attributes:
        catalog: Files or URLs of the catalogue.
        interactions: File or URL of the interactions.
        peers: Names of peers, see `peers.registry`.
        part: Part of the log whose picks are the cases.
        index: Index directory whose encoded vectors are reused, and whose scenarios give events of
            your own their weights; None: all is encoded here.
        model: Name or directory of the language model; "none" if every row has a vector.
        query: SELECT statement or name of a table, for a catalogue in a database.
        fields: Our field names to the catalogue's column names; without `interaction_fields` also
            to those of the interactions.
        interactions_query: SELECT statement or name of a table, for interactions in a database.
        interaction_fields: Our field names to the column names of the interactions.
        context: Columns of the interactions that are known when asking.
        event: The event of rows that name none; None: as their values say.
        value_kind: What the values are; None: inferred.
        rating_scale: Lowest and highest possible rating; None: inferred.
        repeats: Whether an item of the history may be the answer; None: decided by the log.
        drop: Item fields that hold knowledge of later days.
        max_cases: The cases are sampled down to this many.
        seed: For peers that draw random numbers.
    """

    catalog: Sequence[str]
    interactions: str
    peers: Sequence[str]
    part: Part = Part.TEST
    index: str | None = None
    model: str | None = None
    query: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    interactions_query: str | None = None
    interaction_fields: Mapping[str, str] = field(default_factory=dict)
    context: tuple[str, ...] | None = None
    event: str | None = None
    value_kind: ValueKind | None = None
    rating_scale: tuple[float, float] | None = None
    repeats: bool | None = None
    drop: Sequence[str] = LEAKING_FIELDS
    max_cases: int = MAX_CASES
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _OwnResults:
    """What was measured with our index.

    Attributes:
        measurement: Our method.
        without_context: The same without context words; None if no case has any.
        extra: Results of the extra measurements, by name.
        vectors: `(n, d) float32`, the index's raw vectors, unit length.
    """

    measurement: Measurement
    without_context: Measurement | None
    extra: dict[str, Any]
    vectors: Scores


def evaluate(
    plan: EvaluationPlan,
    *,
    report: StageProgress = lambda *_: None,
    encoder: Encoder | None = None,
    extra: Mapping[str, ExtraMeasurement] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return an evaluation that JSON can hold; see `report.build_evaluation`.

    Args:
        plan: What to evaluate.
        report: Called with (stage, done, total).
        encoder: An encoder that is loaded already, in place of the plan's model.
        extra: Name to a further measurement over our index and the same cases.

    Raises:
        CatalogError: If a source cannot be read.
        RequestError: If there is no case to ask.
    """
    with tempfile.TemporaryDirectory(prefix="zhiyin-evaluate-") as name:
        work = Path(name)
        ids, rows = _read_sources(plan, work / "items.jsonl")
        log = build_log(
            rows.interactions,
            ids,
            rating_scale=plan.rating_scale,
            own_weights=_load_own_weights(plan),
        )
        repeats = log.has_repeats if plan.repeats is None else plan.repeats
        cases = build_cases(log, plan.part, repeats=repeats, max_cases=plan.max_cases)
        timer = CpuTimer()
        index = _build_own_index(plan, work, log, report, encoder)
        build_cpu_s = timer.read_s()
        try:
            own = _measure_own_index(index, cases, build_cpu_s, report, extra)
        finally:
            index.close()
        peers = measure_peers(plan.peers, cases, own.vectors, seed=plan.seed, report=report)
        measurements = [own.measurement, *peers]
    facts = _collect_facts(plan, cases, rows)
    without_context = own.without_context
    return {
        **build_evaluation(measurements, cases, facts, without_context=without_context),
        **own.extra,
    }


def _read_sources(plan: EvaluationPlan, items_file: Path) -> tuple[list[str], LogRows]:
    """Write the catalogue, and read the interactions as a build of the plan's index would.

    Returns:
        The ids of the items, and the interactions.
    """
    fields, interaction_fields = split_fields(
        plan.fields, plan.interaction_fields, context=plan.context, has_interactions=True
    )

    @cache
    def list_named() -> frozenset[str]:
        return list_named_items(
            plan.interactions, mapping=interaction_fields, query=plan.interactions_query
        )

    ids = write_catalogue(
        plan.catalog,
        items_file,
        query=plan.query,
        fields=fields,
        drop=frozenset(plan.drop),
        count_named=lambda ids: len(list_named().intersection(ids)),
    )
    reading = EventReading(
        plan.event,
        plan.value_kind,
        own_names=_load_own_weights(plan),
        fields_option=choose_fields_option(plan.interaction_fields),
        item_names=ItemNames(frozenset(ids).intersection, lambda: _iterate_items(items_file)),
    )
    rows = read_log_rows(
        plan.interactions,
        context=plan.context,
        fields=interaction_fields,
        query=plan.interactions_query,
        reading=reading,
    )
    return ids, rows


def _iterate_items(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _load_own_weights(plan: EvaluationPlan) -> dict[str, float]:
    """The weights of events that the scenarios of the plan's index add."""
    return collect_own_weights(load_index_scenarios(Path(plan.index))) if plan.index else {}


def _build_own_index(
    plan: EvaluationPlan,
    work: Path,
    log: InteractionLog,
    report: StageProgress,
    encoder: Encoder | None,
) -> Index:
    """Build an index that has learned from the rows before the plan's part, and open it."""
    columns = write_rows(log, log.select_fit_rows(plan.part), work / "fit.csv")
    root = work / "index"
    if plan.index is not None:
        link_vectors(Path(plan.index), root)
    options = BuildOptions(
        model=plan.model,
        encoder=encoder,
        interactions=str(work / "fit.csv"),
        context=columns,
        rating_scale=plan.rating_scale,
        max_rejected=1.0,  # bad rows were left out when the catalogue was written
    )
    build_snapshot([str(work / "items.jsonl")], root, options, report=report)
    return Index.open(root, encoder=encoder)


def _measure_own_index(
    index: Index,
    cases: Cases,
    build_cpu_s: float,
    report: StageProgress,
    extra: Mapping[str, ExtraMeasurement],
) -> _OwnResults:
    """Ask our index, with context words and without, and take the extra measurements."""
    requests = list(cases.build_requests())
    measurement = _measure_requests(index, cases, requests, build_cpu_s, report)
    without_context = None
    if any(request.get("context") for request in requests):
        stripped = [_drop_context(request) for request in requests]
        without_context = _measure_requests(index, cases, stripped, build_cpu_s, report)
    extra_results = {name: measure(index, cases) for name, measure in extra.items()}
    raw = np.load(index.path / "raw.npy", allow_pickle=False)
    vectors = normalise_rows(raw.astype(np.float32))
    return _OwnResults(measurement, without_context, extra_results, vectors)


def _measure_requests(
    index: Index,
    cases: Cases,
    requests: Sequence[Mapping[str, Any]],
    build_cpu_s: float,
    report: StageProgress,
) -> Measurement:
    targets = [cases.log.item_ids[item] for item in cases.target]
    timer = CpuTimer()
    answers = ask_index(
        index,
        requests,
        targets,
        progress=lambda done: report("ask", done, len(cases)),
    )
    return Measurement(
        name=OWN_METHOD,
        ranks=answers.ranks,
        top10=answers.top10,
        fit_cpu_s=build_cpu_s,
        ms_per_request=timer.read_ms_per(len(cases)),
        params={} if index.taste is None else asdict(index.taste.settings),
    )


def _drop_context(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request without context words, its own and those of its history."""
    stripped = {name: value for name, value in request.items() if name != "context"}
    stripped["history"] = [
        {name: value for name, value in entry.items() if name != "context"}
        for entry in request["history"]
    ]
    return stripped


def _collect_facts(plan: EvaluationPlan, cases: Cases, rows: LogRows) -> dict[str, Any]:
    """The conditions of the evaluation, for its report."""
    log = cases.log
    names = [name for name in plan.peers if explain_unavailable(name, repeats=cases.repeats)]
    return {
        "part": plan.part.name.lower(),
        "interactions": len(log),
        "left_out": len(rows.interactions) - len(log),
        "rejected": rows.rejected,
        "notes": list(rows.notes),
        "users": len(log.user_ids),
        "items": len(log.item_ids),
        "rows": {part.name.lower(): int((log.part == part).sum()) for part in Part},
        "ordered": log.is_ordered,
        "repeats": cases.repeats,
        "seed": plan.seed,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "not_measured": {name: explain_unavailable(name, repeats=cases.repeats) for name in names},
    }
