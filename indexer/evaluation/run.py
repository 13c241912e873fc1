"""A user's own catalogue and interactions to an evaluation: our method and its peers, one question.

Every peer is tuned on the tuning part, fitted again on all that may be seen, and asked once. Our
method tunes itself: it is built from files by the same pipeline as any snapshot, and asked as any
caller would ask it.
"""

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from indexer.build import BuildOptions, StageProgress, build_snapshot
from indexer.evaluation.answers import IndexAnswers, ask_index
from indexer.evaluation.cases import MAX_CASES, Cases, build_cases
from indexer.evaluation.interaction_log import InteractionLog, Part, build_log
from indexer.evaluation.peers.popularity import POPULAR, POPULAR_RECENT
from indexer.evaluation.peers.protocol import ALL_EVENTS, Params, Peer, Scores, TrainingData
from indexer.evaluation.peers.registry import TEXT_EASE, explain_unavailable, select_peers
from indexer.evaluation.peers.text_mean import TextEase, normalise_rows
from indexer.evaluation.report import Measurement, build_evaluation
from indexer.evaluation.tuning import ask_peer, tune
from indexer.evaluation.workspace import (
    LEAKING_FIELDS,
    link_vectors,
    read_log_rows,
    write_catalogue,
    write_rows,
)
from indexer.index import Index
from indexer.language import Encoder

OWN_METHOD = "zhiyin"
MAX_TUNING_CASES = 1_500
ExtraMeasurement: TypeAlias = Callable[[Index, Cases], Any]


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What to evaluate.

    Attributes:
        catalog: Files or URLs.
        interactions: File or URL.
        peers: Names, see `peers.roster`.
        part: That is asked.
        index: Directory whose encoded vectors are taken.
        repeats: Whether items are consumed again; None: as the part to fit shows.
        drop: Item fields that hold later knowledge.
    """

    catalog: Sequence[str]
    interactions: str
    peers: Sequence[str]
    part: Part = Part.TEST
    index: str | None = None
    model: str | None = None
    query: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    context: tuple[str, ...] | None = None
    rating_scale: tuple[float, float] | None = None
    repeats: bool | None = None
    drop: Sequence[str] = LEAKING_FIELDS
    most_cases: int = MAX_CASES
    seed: int = 0


def evaluate(
    plan: EvaluationPlan,
    *,
    report: StageProgress = lambda *_: None,
    encoder: Encoder | None = None,
    extra: Mapping[str, ExtraMeasurement] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the evaluation as JSON holds it; see `table.evaluation`.

    `extra` names further measurements over our index and the same cases.

    Raises:
        CatalogError: If a source cannot be read.
        RequestError: If there is no case to ask.
    """
    with tempfile.TemporaryDirectory(prefix="zhiyin-evaluate-") as name:
        work = Path(name)
        ids = write_catalogue(
            plan.catalog,
            work / "items.jsonl",
            query=plan.query,
            fields=plan.fields,
            drop=frozenset(plan.drop),
        )
        rows = read_log_rows(plan.interactions, context=plan.context, fields=plan.fields)
        log = build_log(rows, ids, rating_scale=plan.rating_scale)
        repeats = log.has_repeats if plan.repeats is None else plan.repeats
        cases = build_cases(log, plan.part, repeats=repeats, max_cases=plan.most_cases)
        timer = _CpuTimer()
        index = _build_own_index(plan, work, log, report, encoder)
        timer.stop()
        try:
            requests = list(cases.requests())
            measurements = [_measure_own_method(index, cases, requests, timer, report)]
            without_context = None
            if any(request.get("context") for request in requests):
                stripped = [_drop_context(request) for request in requests]
                without_context = _measure_own_method(index, cases, stripped, timer, report)
            extra_results = {name: measure(index, cases) for name, measure in extra.items()}
            vectors = _load_unit_vectors(index)
        finally:
            index.close()
        measurements += _measure_peers(plan, log, cases, vectors, report)
    facts = _collect_facts(plan, log, cases, left_out=len(rows) - len(log))
    return {
        **build_evaluation(measurements, cases, facts, without_context=without_context),
        **extra_results,
    }


def _build_own_index(
    plan: EvaluationPlan,
    work: Path,
    log: InteractionLog,
    report: StageProgress,
    encoder: Encoder | None,
) -> Index:
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
        max_rejected=1.0,  # what is bad was left out before
    )
    build_snapshot([str(work / "items.jsonl")], root, options, report=report)
    return Index.open(root, encoder=encoder)


def _load_unit_vectors(index: Index) -> Scores:
    return normalise_rows(np.load(index.path / "raw.npy", allow_pickle=False).astype(np.float32))


def _drop_context(request: Mapping[str, Any]) -> dict[str, Any]:
    """The same question of somebody who tells nothing of the moment, nor of earlier ones."""
    stripped = {name: value for name, value in request.items() if name != "context"}
    stripped["history"] = [
        {name: value for name, value in entry.items() if name != "context"}
        for entry in request["history"]
    ]
    return stripped


def _measure_own_method(
    index: Index,
    cases: Cases,
    requests: Sequence[Mapping[str, Any]],
    clock: "_CpuTimer",
    report: StageProgress,
) -> Measurement:
    targets = [cases.log.item_ids[item] for item in cases.target]
    started = time.process_time()
    answers: IndexAnswers = ask_index(
        index,
        requests,
        targets,
        progress=lambda done: report("ask", done, len(cases)),
    )
    return Measurement(
        name=OWN_METHOD,
        ranks=answers.ranks,
        top10=answers.top10,
        fit_cpu_s=clock.cpu_s,
        ms_per_request=_compute_ms_per_case(started, len(cases)),
        params=_read_settings(index),
    )


def _read_settings(index: Index) -> dict[str, Any]:
    return {} if index.taste is None else asdict(index.taste.settings)


def _measure_peers(
    plan: EvaluationPlan, log: InteractionLog, cases: Cases, vectors: Scores, report: StageProgress
) -> Iterator[Measurement]:
    """Tune, fit again and ask each peer."""
    fit_training = TrainingData(log, log.part == Part.FIT, vectors, cases.repeats, plan.seed)
    full_training = TrainingData(
        log, log.select_fit_rows(plan.part), vectors, cases.repeats, plan.seed
    )
    valid = build_cases(log, Part.VALID, repeats=cases.repeats, max_cases=MAX_TUNING_CASES)
    no_fallback = np.zeros(len(log.item_ids), np.float32)
    popular_params, _ = tune(POPULAR_RECENT, fit_training, valid, no_fallback)
    params_by_peer: dict[str, Params] = {}

    def measurements(peer: Peer) -> Measurement:
        params, valid_ndcg10 = tune(
            peer, fit_training, valid, _compute_fallback(fit_training, popular_params)
        )
        params_by_peer[peer.name] = params
        timer = _CpuTimer()
        model = peer.fit(full_training, params)
        timer.stop()
        started = time.process_time()
        answers = ask_peer(model, params, cases, _compute_fallback(full_training, popular_params))
        cost = _compute_ms_per_case(started, len(cases))
        reported_params = {**params, "ndcg10_when_tuned": round(valid_ndcg10, 4)}
        return Measurement(
            peer.name, answers.ranks, answers.top10, timer.cpu_s, cost, reported_params
        )

    independent_peers = select_peers(_add_required_peers(plan.peers), repeats=cases.repeats)
    available_peers = [
        peer
        for peer in independent_peers
        if not explain_unavailable(peer.name, repeats=cases.repeats)
    ]
    for done, peer in enumerate(available_peers):
        report(f"peer {peer.name}", done, len(available_peers))
        found = measurements(peer)
        if peer.name in plan.peers:
            yield found
    if TEXT_EASE in plan.peers:
        report(f"peer {TEXT_EASE}", len(available_peers), len(available_peers))
        yield measurements(
            TextEase(
                params_by_peer["text_tuned"],
                params_by_peer["ease_decay"],
                popular_params,
                cases.repeats,
            )
        )


def _add_required_peers(names: Sequence[str]) -> set[str]:
    parts = {"text_tuned", "ease_decay"} if TEXT_EASE in names else set()
    return parts | set(names)


def _compute_fallback(training: TrainingData, popular_params: Params) -> Scores:
    """`(n,)` in [0, 1]: what everybody gets when a peer has nothing to say."""
    counts = POPULAR_RECENT.fit(training, popular_params).counts
    if not counts.any():
        counts = POPULAR.fit(training, {"use": ALL_EVENTS, "half_life": 1.0}).counts
    return counts / max(float(counts.max()), 1e-9)


def _collect_facts(
    plan: EvaluationPlan, log: InteractionLog, cases: Cases, *, left_out: int
) -> dict[str, Any]:
    names = [name for name in plan.peers if explain_unavailable(name, repeats=cases.repeats)]
    parts = {part.name.lower(): int((log.part == part).sum()) for part in Part}
    return {
        "part": plan.part.name.lower(),
        "interactions": len(log),
        "left_out": left_out,
        "users": len(log.user_ids),
        "items": len(log.item_ids),
        "rows": parts,
        "ordered": log.is_ordered,
        "repeats": cases.repeats,
        "seed": plan.seed,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "not_measured": {name: explain_unavailable(name, repeats=cases.repeats) for name in names},
    }


class _CpuTimer:
    """Processor seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.process_time()
        self.cpu_s = 0.0

    def stop(self) -> None:
        self.cpu_s = time.process_time() - self._started


def _compute_ms_per_case(started: float, count: int) -> float:
    return 1_000 * (time.process_time() - started) / max(count, 1)
