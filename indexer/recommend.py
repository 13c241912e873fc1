"""Request to answer, over any catalogue: the way of a question, spelled once.

request -> signals -> request vectors -> pool -> candidates -> hits with reasons
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np

from indexer.ann import Found, Mask, Rows, Vectors
from indexer.answer import Answer, Hit
from indexer.errors import RequestError
from indexer.learned import NO_TERMS, Learned, Moment, NamedTerms, apply_taste, context_words
from indexer.metadata.filters import parse_filter
from indexer.metadata.predicates import Filter
from indexer.metadata.schema import Schema
from indexer.moment import Language, words_of
from indexer.paging import FIRST_PAGE, Page, after_skipped, narrowed, wanted
from indexer.request import Request, Weights, parse_id, parse_text
from indexer.retrieval import Additive, Candidates, Pool, at_least, pool_of, retrieve
from indexer.scenarios import Scenario, scenario_named
from indexer.signals import (
    RequestVectors,
    Role,
    Signal,
    compose,
    compose_examples,
    history_signals,
    interest_signals,
    moment_signals,
    reasons_of,
)
from indexer.snapshot import Manifest
from indexer.taste.model import TasteModel

_LEXICAL_WEIGHT = 0.3  # what the best full-text match gains over none
_EXACT_TITLE, _EXACT_ID = 2.0, 4.0  # before anything that is merely similar
_LEXICAL_CANDIDATES = 1_000
_NEVER_SEEN_BY = ("search", "impression")
_PRIOR = Signal(Role.PRIOR, 1.0, {"kind": "popularity"})
_MAX_EXAMPLES = 1_000


# Kind of reason to item id to what the item gains.
Addends: TypeAlias = Mapping[str, Mapping[str, float]]
NO_ADDENDS: Addends = MappingProxyType({})


class Catalogue(Protocol):
    """Dense rows 0..count-1 with ids, fields and vectors; `Index` is one."""

    manifest: Manifest

    @property
    def taste(self) -> TasteModel | None: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def deleted(self) -> Mask | None: ...  # noqa: D102
    @property
    def schema(self) -> Schema: ...  # noqa: D102
    def rows(self, ids: Sequence[str]) -> dict[str, int]: ...  # noqa: D102
    def ids(self, rows: Sequence[int]) -> list[str]: ...  # noqa: D102
    def items(self, rows: Sequence[int]) -> list[dict[str, Any]]: ...  # noqa: D102
    def mask(self, condition: Filter) -> Mask: ...  # noqa: D102
    def in_id_order(self, rows: Rows) -> Rows: ...  # noqa: D102
    def exact(self, text: str) -> list[int]: ...  # noqa: D102
    def full_text(self, text: str, limit: int) -> list[tuple[int, float]]: ...  # noqa: D102
    def query_vectors(self, texts: Sequence[str]) -> Vectors: ...  # noqa: D102
    def alike(self, vectors: Vectors) -> Vectors: ...  # noqa: D102
    def item_vectors(self, rows: Rows) -> Vectors: ...  # noqa: D102
    def scores(self, vectors: Vectors, rows: Rows) -> Vectors: ...  # noqa: D102
    def nearest(self, vectors: Vectors, k: int, allowed: Mask) -> list[Found]: ...  # noqa: D102


def recommend(
    catalogue: Catalogue,
    request: Request,
    *,
    page: Page = FIRST_PAGE,
    now: float | None = None,
    addends: Addends = NO_ADDENDS,
) -> Answer:
    """Answer a request for recommendations.

    Args:
        catalogue: What is recommended from.
        request: What is asked.
        page: Which part of the ranking.
        now: The present, Unix seconds; default: the clock. A request with a time overrides it.
        addends: Named additive terms of single items, which come from outside the snapshot.

    Raises:
        RequestError: If the request cannot be answered by this catalogue.
        FilterError: If the filter does not fit the catalogue.
    """
    clock = _Clock()
    moment = request.at if request.at is not None else (time.time() if now is None else now)
    scenario = scenario_named(request.scenario)
    signals = signals_of(request, scenario, catalogue.manifest, moment)
    known = catalogue.rows([s.item_id for s in signals if s.item_id is not None])
    unknown = [s.item_id for s in signals if s.item_id is not None and s.item_id not in known]
    signals = [s for s in signals if s.item_id is None or s.item_id in known]
    sources = _sources(catalogue, signals, known)
    learned = _learned(catalogue, request, scenario, signals, known)
    clock.lap("encode")
    weighed = compose(learned.signals, sources, scenario=scenario, weights=request.weights)
    weighed = replace(weighed, learned=learned.sources)
    pool, unknown_excluded = _pool(catalogue, request, scenario)
    question = _Question(request, weighed, _named_terms(catalogue, addends), page, learned.terms)
    answer = _ranked(catalogue, question, pool, clock)
    return replace(answer, unknown_items=tuple(dict.fromkeys([*unknown, *unknown_excluded])))


def search(catalogue: Catalogue, request: Request, *, page: Page = FIRST_PAGE) -> Answer:
    """Answer a text query: meaning, full text, and exact titles and ids first.

    Raises:
        RequestError: If there is no query.
        FilterError: If the filter does not fit the catalogue.
    """
    if not request.query:
        raise RequestError("query is empty; give the words to look for")
    clock = _Clock()
    signals = [
        Signal(Role.QUERY, 1.0, {"kind": "query", "text": request.query}, text=request.query)
    ]
    sources = _sources(catalogue, signals, {})
    clock.lap("encode")
    weighed = compose(signals, sources, scenario=scenario_named(None), weights=request.weights)
    pool, unknown = _pool(catalogue, request, scenario_named(None))
    question = _Question(request, weighed, _lexical_terms(catalogue, request.query), page)
    answer = _ranked(catalogue, question, pool, clock)
    return replace(answer, unknown_items=tuple(unknown))


def similar(
    catalogue: Catalogue, items: Any, texts: Any, request: Request, *, page: Page = FIRST_PAGE
) -> Answer:
    """Find items like and unlike weighted examples; the examples themselves stay out.

    Raises:
        RequestError: If an example is unknown, or none has a positive weight.
        FilterError: If the filter does not fit the catalogue.
    """
    clock = _Clock()
    signals = [*_examples(items, "items"), *_examples(texts, "texts")]
    if not any(signal.weight > 0 for signal in signals):
        raise RequestError("no example has a positive weight; say what the results should be like")
    known = catalogue.rows([s.item_id for s in signals if s.item_id is not None])
    for signal in signals:
        if signal.item_id is not None and signal.item_id not in known:
            raise RequestError(f"no item {signal.item_id!r} in the catalogue")
    sources = catalogue.alike(_sources(catalogue, signals, known))
    clock.lap("encode")
    weighed = compose_examples(signals, sources, weights=request.weights)
    asked = replace(request, exclude=(*request.exclude, *known))
    pool, unknown = _pool(catalogue, asked, scenario_named(None))
    answer = _ranked(catalogue, _Question(asked, weighed, {}, page), pool, clock)
    return replace(answer, unknown_items=tuple(unknown))


def signals_of(
    request: Request, scenario: Scenario, manifest: Manifest, now: float
) -> list[Signal]:
    """Return every input of a request with its weight and reason, history first."""
    language: Language = "zh" if manifest.language == "zh" else "en"
    words = words_of(request.context, language)
    return [
        *history_signals(request.history, scenario=scenario, now=now, scale=manifest.rating_scale),
        *interest_signals(request.interests, scenario=scenario),
        *moment_signals(request.query, words, request.context, scenario=scenario),
        _PRIOR,
    ]


def _learned(
    catalogue: Catalogue,
    request: Request,
    scenario: Scenario,
    signals: list[Signal],
    known: Mapping[str, int],
) -> Learned:
    """What the snapshot's taste model makes of the history; without one, nothing."""
    layout = catalogue.manifest.layout
    if catalogue.taste is None:
        return Learned(signals, None, NO_TERMS)
    moment = Moment(
        scenario=scenario,
        weights=request.weights,
        context=context_words(request.context),
        include_seen=_includes_seen(request, scenario),
    )
    return apply_taste(catalogue.taste, signals, known, layout=layout, moment=moment)


def _includes_seen(request: Request, scenario: Scenario) -> bool:
    return scenario.include_seen if request.include_seen is None else request.include_seen


def _sources(catalogue: Catalogue, signals: Sequence[Signal], known: Mapping[str, int]) -> Vectors:
    """`(m, d) float32`: each signal's vector in the item space."""
    layout = catalogue.manifest.layout
    sources = np.zeros((len(signals), layout.dim), np.float32)
    items = [place for place, signal in enumerate(signals) if signal.item_id is not None]
    texts = [place for place, signal in enumerate(signals) if signal.text and not signal.item_id]
    if items:
        rows = np.array([known[signals[place].item_id or ""] for place in items])
        sources[items, : layout.meaning] = catalogue.item_vectors(rows)[:, : layout.meaning]
    if texts:
        sources[texts] = catalogue.query_vectors([signals[place].text or "" for place in texts])
    for place, signal in enumerate(signals):
        if signal.role is Role.PRIOR:
            sources[place, layout.meaning + layout.taste] = 1.0
    return sources


def _pool(catalogue: Catalogue, request: Request, scenario: Scenario) -> tuple[Pool, list[str]]:
    """The rows that may be recommended, and the ids to exclude that are not there."""
    stages: dict[str, Mask] = {}
    if catalogue.deleted is not None:
        stages["deleted"] = catalogue.deleted
    if "available" in catalogue.schema.fields:
        out_of_stock = parse_filter({"available": False}, catalogue.schema)
        stages["unavailable"] = catalogue.mask(out_of_stock)
    requested = catalogue.rows(request.exclude)
    stages["requested"] = _mask_of(catalogue, requested.values())
    if not _includes_seen(request, scenario):
        seen = [
            entry.item_id
            for entry in request.history
            if entry.item_id is not None and entry.event not in _NEVER_SEEN_BY
        ]
        stages["seen"] = _mask_of(catalogue, catalogue.rows([*seen, *request.seen]).values())
    if request.filter is not None:
        stages["filter"] = ~catalogue.mask(parse_filter(request.filter, catalogue.schema))
    unknown = [item_id for item_id in request.exclude if item_id not in requested]
    return pool_of(stages, catalogue.count), unknown


@dataclass(frozen=True, slots=True)
class _Question:
    """A request made ready for search.

    Attributes:
        terms: Row to its additive terms, each with its share.
        page: Which part of the ranking.
        learned: Additive terms that an input of the request earned.
    """

    request: Request
    weighed: RequestVectors
    terms: Mapping[int, Sequence[dict[str, Any]]]
    page: Page = FIRST_PAGE
    learned: NamedTerms = NO_TERMS

    def additive(self) -> Additive:
        """The sum of all terms by row."""
        told = [(row, term["share"]) for row, terms in self.terms.items() for term in terms]
        rows = np.array([row for row, _ in told], np.int64)
        values = np.array([value for _, value in told], np.float32)
        return Additive.summed(
            np.concatenate([self.learned.rows, rows]), np.concatenate([self.learned.values, values])
        )


def _ranked(catalogue: Catalogue, question: _Question, pool: Pool, clock: "_Clock") -> Answer:
    """Retrieve, cut, and tell why."""
    request, page, vectors = question.request, question.page, question.weighed.vectors
    additive = question.additive()
    if request.min_score is not None:
        pool = at_least(catalogue, vectors, pool, request.min_score, additive)
    pool = narrowed(catalogue, pool, page)
    eligible = pool.eligible
    found = retrieve(catalogue, vectors, pool, wanted(eligible, request.k, page), additive)
    found = after_skipped(found, page)
    clock.lap("search")
    ids = catalogue.ids(found.rows.tolist())
    hits = _hits(catalogue, question, found, ids[: request.k])
    clock.lap("rank")
    return Answer(
        hits=hits,
        complete={
            "returned": len(hits),
            "eligible": max(0, eligible - page.skip),
            "excluded": dict(pool.excluded),
            "search": catalogue.manifest.index.get("search", "exact"),
        },
        snapshot=catalogue.manifest.id,
        following=tuple(ids[request.k :]),
        timing_ms=clock.told(),
    )


def _hits(
    catalogue: Catalogue, question: _Question, found: Candidates, ids: Sequence[str]
) -> tuple[Hit, ...]:
    request, weighed = question.request, question.weighed
    rows = found.rows[: len(ids)]
    items = catalogue.items(rows.tolist())
    stored = catalogue.item_vectors(rows) if request.explain and len(rows) else None
    hits = []
    first = question.page.offset + 1
    for place, (row, item_id, item) in enumerate(zip(rows.tolist(), ids, items, strict=True)):
        reasons: list[dict[str, Any]] = []
        if stored is not None:
            shares = weighed.shares(stored[place], int(found.winners[place]))
            shares += question.learned.shares(row, len(shares))
            reasons = reasons_of(weighed.signals, shares, question.terms.get(row, ()))
        score = float(found.scores[place])
        hits.append(Hit(item_id, first + place, score, _chosen(item, request.fields), reasons))
    return tuple(hits)


def _chosen(item: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    if fields is None:
        return item
    return {key: item[key] for key in ("id", *fields) if key in item}


def _mask_of(catalogue: Catalogue, rows: Any) -> Mask:
    mask = np.zeros(catalogue.count, np.bool_)
    mask[np.fromiter(rows, np.int64)] = True
    return mask


def _named_terms(catalogue: Catalogue, addends: Addends) -> dict[int, list[dict[str, Any]]]:
    """Addends by row; items that are not in the catalogue gain nothing."""
    terms: dict[int, list[dict[str, Any]]] = {}
    for kind, shares in addends.items():
        for item_id, row in catalogue.rows(list(shares)).items():
            terms.setdefault(row, []).append({"kind": kind, "share": shares[item_id]})
    return terms


def _lexical_terms(catalogue: Catalogue, query: str) -> dict[int, list[dict[str, Any]]]:
    """Additive terms of rows that hold words of the query, or are exactly what it names."""
    terms: dict[int, list[dict[str, Any]]] = {}
    found = catalogue.full_text(query, _LEXICAL_CANDIDATES)
    top = max((score for _, score in found), default=0.0)
    for row, score in found:
        if score > 0:
            share = _LEXICAL_WEIGHT * score / top
            terms.setdefault(row, []).append({"kind": "words", "text": query, "share": share})
    ids = catalogue.rows([query])
    for row in catalogue.exact(query):
        share = _EXACT_ID if row in ids.values() else _EXACT_TITLE
        terms.setdefault(row, []).append({"kind": "exact", "text": query, "share": share})
    return terms


def _examples(given: Any, name: str) -> list[Signal]:
    """Weighted examples as signals: an id or text, a list of them, or a mapping to weights."""
    if isinstance(given, str):
        given = {given: 1.0}
    elif isinstance(given, Sequence):
        given = dict.fromkeys(given, 1.0)
    if not isinstance(given, Mapping):
        raise RequestError(f"{name} must map each example to a weight, such as {{'m1': 1.0}}")
    if len(given) > _MAX_EXAMPLES:
        raise RequestError(f"{name} has {len(given)} examples, at most {_MAX_EXAMPLES} are read")
    signals = []
    for example, weight in given.items():
        number = Weights.checked(weight, f"{name}[{example!r}]")
        if name == "items":
            item_id = parse_id(example, name)
            reason = {"kind": "item", "item_id": item_id}
            signals.append(Signal(Role.PROFILE, number, reason, item_id=item_id))
        else:
            text = parse_text(example, name)
            if text:
                signals.append(
                    Signal(Role.PROFILE, number, {"kind": "text", "text": text}, text=text)
                )
    return signals


class _Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = round(1_000 * (now - self._last), 3)
        self._last = now

    def told(self) -> dict[str, float]:
        return {**self._laps, "total": round(1_000 * (self._last - self._started), 3)}
