"""Request to answer, over any catalogue: the way of a question, spelled once.

request -> signals -> request vectors -> pool -> candidates -> arranged -> hits with reasons
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from indexer.ann import Vectors
from indexer.answer import Answer
from indexer.answering import Clock, answered, sources_of, unknown_items, with_unknown
from indexer.batching import Shared, Wanted
from indexer.catalogue import Catalogue
from indexer.explaining import explained
from indexer.finding import search, similar
from indexer.learned import NO_TERMS, Learned, Moment, apply_taste, context_words
from indexer.moment import Language, words_of
from indexer.paging import FIRST_PAGE, Page
from indexer.pools import includes_seen, pool_for
from indexer.question import Question
from indexer.request import Request
from indexer.retrieval import Additive, Pool, retrieve
from indexer.scenarios import Scenario, scenario_named
from indexer.signals import (
    RequestVectors,
    Role,
    Signal,
    coefficients_of,
    compose,
    history_signals,
    interest_signals,
    moment_signals,
    profile_mixes,
)
from indexer.snapshot import Manifest
from indexer.terms import Term, boost_terms, freshness_term, nearness_term
from indexer.worlds import WORLD_RANKS, balance, worlds_of

__all__ = [
    "Addends",
    "Catalogue",
    "profile_vector",
    "recommend",
    "recommend_many",
    "search",
    "signals_of",
    "similar",
    "warmed",
]

_PRIOR = Signal(Role.PRIOR, 1.0, {"kind": "popularity"})


# Kind of reason to item id to what the item gains.
Addends: TypeAlias = Mapping[str, Mapping[str, float]]
NO_ADDENDS: Addends = MappingProxyType({})


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
        FilterError: If a filter does not fit the catalogue.
    """
    clock = Clock()
    moment = request.at if request.at is not None else (time.time() if now is None else now)
    scenario = scenario_named(request.scenario, catalogue.scenarios)
    signals = signals_of(request, scenario, catalogue.manifest, moment)
    told = [signal.item_id for signal in signals if signal.item_id is not None]
    known = catalogue.rows(told)
    signals = [s for s in signals if s.item_id is None or s.item_id in known]
    everywhere = _everywhere(catalogue, request, scenario, moment)
    if request.validate_only:
        answer = explained(catalogue, request, scenario, signals, everywhere)
        return with_unknown(answer, unknown_items(catalogue, told))
    pool = pool_for(catalogue, request, scenario)
    sources = sources_of(catalogue, signals, known)
    learned = _learned(catalogue, request, scenario, signals, known)
    clock.lap("encode")
    question = Question(
        catalogue=catalogue,
        request=request,
        scenario=scenario,
        weighed=_weighed(catalogue, request, learned, sources, pool),
        terms=_named_terms(catalogue, addends),
        everywhere=everywhere,
        learned=learned.terms,
        page=page,
    )
    return with_unknown(answered(question, pool, clock), unknown_items(catalogue, told))


def recommend_many(
    catalogue: Catalogue, requests: Sequence[Request], *, now: float | None = None
) -> list[Answer]:
    """Answer many requests as each alone would be, sharing what they have in common.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    moment = time.time() if now is None else now
    warm = warmed(catalogue, requests, now=moment)
    return [recommend(warm, request, now=moment) for request in requests]


def warmed(catalogue: Catalogue, requests: Sequence[Request], *, now: float) -> Catalogue:
    """Return the catalogue with the texts of requests encoded and their searches made, together.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    shared = Shared(catalogue)
    read = []
    for request in requests:
        scenario = scenario_named(request.scenario, catalogue.scenarios)
        moment = now if request.at is None else request.at
        signals = signals_of(request, scenario, catalogue.manifest, moment)
        read.append((request, scenario, signals))
    shared.encode([s.text for *_, held in read for s in held if s.text and s.item_id is None])
    found: list[Wanted] = []
    for request, scenario, signals in read:
        known = catalogue.rows([s.item_id for s in signals if s.item_id is not None])
        signals = [s for s in signals if s.item_id is None or s.item_id in known]
        pool = pool_for(catalogue, request, scenario)
        sources = sources_of(shared.catalogue_face, signals, known)
        learned = _learned(catalogue, request, scenario, signals, known)
        weighed = _weighed(shared.catalogue_face, request, learned, sources, pool)
        key = f"{scenario.name}|{request.filter!r}"
        found.append(Wanted(key, weighed.vectors, pool.allowed, request.k))
    shared.search(found)
    return shared.catalogue_face


def _weighed(
    catalogue: Catalogue,
    request: Request,
    learned: Learned,
    sources: Vectors,
    pool: Pool,
) -> RequestVectors:
    """Request vectors; of a history of several worlds each has its own, in proportion.

    Learned weights know by themselves how far a history reaches, so there it is one.
    """
    scenario = scenario_named(request.scenario, catalogue.scenarios)
    signals = learned.signals
    worlds = worlds_of(signals, sources) if catalogue.taste is None else None
    if worlds is None:
        weighed = compose(signals, sources, scenario=scenario, weights=request.weights)
        return replace(weighed, learned=learned.sources)
    mixes = [profile_mixes(signals, sources, scenario, own) for own in worlds.members]
    best = []
    for own in mixes:
        vectors = np.stack(own) @ sources
        found = retrieve(catalogue, vectors, pool, WORLD_RANKS, Additive())
        best.append(found.scores)
    factors = balance(best, worlds.shares).astype(np.float32)
    scaled = [mix * factor for own, factor in zip(mixes, factors, strict=True) for mix in own]
    roles = np.array([signal.role for signal in signals])
    raw = np.array([signal.weight for signal in signals], np.float32)
    coefficients = coefficients_of(roles, raw, scaled, request.weights)
    return RequestVectors(tuple(signals), sources, coefficients)


def _everywhere(
    catalogue: Catalogue, request: Request, scenario: Scenario, now: float
) -> list[Term]:
    """Terms of the whole catalogue: what the request boosts, what is new, what is near."""
    given = [
        *boost_terms(catalogue, request.boost),
        freshness_term(catalogue, scenario, now),
        nearness_term(catalogue, request.context, scenario),
    ]
    return [term for term in given if term is not None]


def signals_of(
    request: Request, scenario: Scenario, manifest: Manifest, now: float
) -> list[Signal]:
    """Return every input of a request with its weight and reason, history first.

    Context is not said in words to an index that was built without a language model.
    """
    language: Language = "zh" if manifest.language == "zh" else "en"
    words = words_of(request.context, language) if manifest.encoder else {}
    return [
        *history_signals(request.history, scenario=scenario, now=now, scale=manifest.rating_scale),
        *interest_signals(request.interests, scenario=scenario),
        *moment_signals(request.query, words, request.context, scenario=scenario),
        _PRIOR,
    ]


def profile_vector(
    catalogue: Catalogue, request: Request, scenario: Scenario, *, now: float
) -> Vectors:
    """Return `(d,) float32`: what a request's history and interests say, as one unit vector."""
    signals = [
        *history_signals(
            request.history, scenario=scenario, now=now, scale=catalogue.manifest.rating_scale
        ),
        *interest_signals(request.interests, scenario=scenario),
    ]
    known = catalogue.rows([s.item_id for s in signals if s.item_id is not None])
    signals = [s for s in signals if s.item_id is None or s.item_id in known]
    sources = sources_of(catalogue, signals, known)
    if not signals:
        return np.zeros(catalogue.manifest.layout.dim, np.float32)
    weighed = compose(signals, sources, scenario=scenario, weights=request.weights)
    vector: Vectors = weighed.vectors[0]
    return vector


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
        include_seen=includes_seen(request, scenario),
    )
    return apply_taste(catalogue.taste, signals, known, layout=layout, moment=moment)


def _named_terms(catalogue: Catalogue, addends: Addends) -> dict[int, list[dict[str, Any]]]:
    """Addends by row; items that are not in the catalogue gain nothing."""
    terms: dict[int, list[dict[str, Any]]] = {}
    for kind, shares in addends.items():
        for item_id, row in catalogue.rows(list(shares)).items():
            terms.setdefault(row, []).append({"kind": kind, "share": shares[item_id]})
    return terms
