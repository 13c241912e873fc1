"""A request to all that a search of it needs: inputs, what may be found, request vectors, terms.

request -> signals -> sources -> weighed as learned -> request vectors
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from indexer.ann import Vectors
from indexer.answering import Clock, sources_of
from indexer.catalogue import Catalogue
from indexer.clusters import clusters_of
from indexer.learned import NO_TERMS, Learned, Moment, NamedTerms, apply_taste, context_words
from indexer.moment import Language, words_of
from indexer.pools import includes_seen, pool_for
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
    ideal_signal,
    interest_signals,
    moment_signals,
    profile_mixes,
)
from indexer.snapshot import Manifest
from indexer.terms import Term, boost_terms, freshness_term, nearness_term
from indexer.worlds import WORLD_RANKS, balance, worlds_of

_COMPARED = 4 * WORLD_RANKS  # items of each world whose scores decide how worlds are scaled
_PRIOR = Signal(Role.PRIOR, 1.0, {"kind": "popularity"})


@dataclass(frozen=True, slots=True)
class Read:
    """A request and its inputs.

    Attributes:
        moment: Unix seconds.
        signals: Inputs that the catalogue knows, history first.
        known: Row of each item among them.
        unknown: Ids that it does not know.
    """

    request: Request
    scenario: Scenario
    moment: float
    signals: list[Signal]
    known: Mapping[str, int]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to be searched.

    Attributes:
        pool: What may be found.
        learned: What the taste model makes of the history.
        weighed: The request vectors.
        clock: Running since the request was read.
    """

    read: Read
    pool: Pool
    learned: Learned
    weighed: RequestVectors
    everywhere: list[Term]
    clock: Clock


def read_request(catalogue: Catalogue, request: Request, *, now: float) -> Read:
    """Return the inputs of a request.

    Args:
        catalogue: What is recommended from.
        request: What is asked.
        now: The present, Unix seconds, if the request names no time.

    Raises:
        RequestError: If the catalogue does not have its scenario.
    """
    moment = now if request.at is None else request.at
    scenario = scenario_named(request.scenario, catalogue.scenarios)
    signals = signals_of(request, scenario, catalogue.manifest, moment)
    signals += _wordless_moment(catalogue, request, scenario)
    told = [signal.item_id for signal in signals if signal.item_id is not None]
    known = catalogue.rows(told)
    return Read(
        request=request,
        scenario=scenario,
        moment=moment,
        signals=[s for s in signals if s.item_id is None or s.item_id in known],
        known=known,
        unknown=tuple(dict.fromkeys(item_id for item_id in told if item_id not in known)),
    )


def prepared(catalogue: Catalogue, read: Read) -> Prepared:
    """Encode and weigh what was read.

    Raises:
        FilterError: If a filter does not fit the catalogue.
    """
    clock = Clock()
    pool = pool_for(catalogue, read.request, read.scenario)
    sources = sources_of(catalogue, read.signals, read.known)
    learned = _learned(catalogue, read)
    clock.lap("encode")
    return Prepared(
        read=read,
        pool=pool,
        learned=learned,
        weighed=_weighed(catalogue, read, learned, sources, pool),
        everywhere=everywhere_terms(catalogue, read),
        clock=clock,
    )


def signals_of(
    request: Request, scenario: Scenario, manifest: Manifest, now: float
) -> list[Signal]:
    """Return every input of a request with its weight and reason, history first.

    Context and ideal are not said in words to an index that was built without a language model.
    """
    language: Language = "zh" if manifest.language == "zh" else "en"
    words = words_of(request.context, language) if manifest.encoder else {}
    ideal = request.ideal if manifest.encoder else None
    return [
        *history_signals(request.history, scenario=scenario, now=now, scale=manifest.rating_scale),
        *interest_signals(request.interests, scenario=scenario),
        *moment_signals(request.query, words, request.context, scenario=scenario),
        *([ideal_signal(ideal, scenario=scenario)] if ideal else []),
        _PRIOR,
    ]


def _wordless_moment(catalogue: Catalogue, request: Request, scenario: Scenario) -> list[Signal]:
    """Circumstances that an index without a language model knows from interactions alone."""
    if catalogue.manifest.encoder is not None or catalogue.taste is None:
        return []
    learned = catalogue.taste.circumstances.of(context_words(request.context))
    unspoken = dict.fromkeys(sorted(learned), "")
    return moment_signals(None, unspoken, request.context, scenario=scenario)


def _weighed(
    catalogue: Catalogue, read: Read, learned: Learned, sources: Vectors, pool: Pool
) -> RequestVectors:
    """Request vectors; of a history of several worlds each has its own, in proportion.

    A scenario may want clusters of a history beside it instead, unless weights were learned.
    """
    scenario, weights, signals = read.scenario, read.request.weights, learned.signals
    is_learned = catalogue.taste is not None
    most = 0 if is_learned else scenario.cluster_vectors
    worlds = None if most else worlds_of(signals, sources, by_weight=is_learned)
    if worlds is None:
        apart = clusters_of(signals, sources, most)
        weighed = compose(
            signals,
            sources,
            scenario=scenario,
            weights=weights,
            apart=apart,
            doubt=learned.doubt,
        )
        return replace(weighed, learned=learned.sources)
    mixes = [
        profile_mixes(signals, sources, scenario, own, doubt=learned.doubt)
        for own in worlds.members
    ]
    profiles = [np.stack(own) @ sources * np.float32(weights.meaning) for own in mixes]
    roles = np.array([signal.role for signal in signals])
    raw = np.array([signal.weight for signal in signals], np.float32)
    # What is asked for now is left out: it may tilt the proportion.
    beside = np.where(roles == Role.PRIOR, raw * np.float32(weights.prior), 0) @ sources
    if learned.sources is not None:
        beside = beside + learned.sources.sum(axis=0)
    products, added = _compared(catalogue, pool, profiles, beside, learned.terms)
    factors = balance(products, added, worlds.shares).astype(np.float32)
    scaled = [mix * factor for own, factor in zip(mixes, factors, strict=True) for mix in own]
    coefficients = coefficients_of(roles, raw, scaled, weights)
    return RequestVectors(tuple(signals), sources, coefficients, learned.sources)


def _compared(
    catalogue: Catalogue, pool: Pool, profiles: list[Vectors], beside: Vectors, terms: NamedTerms
) -> tuple[Vectors, Vectors]:
    """The best items of each world: their products with every world, and what they gain anyway.

    Args:
        catalogue: What is recommended from.
        pool: What may be found.
        profiles: Of each world, `(q, d)`.
        beside: `(d,)`, what is added to each of them.
        terms: Additive terms that the history earned.

    Returns:
        `(w, c) float32` and `(c,) float32`.
    """
    additive = Additive.summed(terms.rows, terms.values)
    found = [retrieve(catalogue, own + beside, pool, _COMPARED, additive).rows for own in profiles]
    rows = np.unique(np.concatenate(found))
    products = np.stack([catalogue.scores(own, rows).max(axis=0) for own in profiles])
    return products, catalogue.scores(beside[None, :], rows)[0] + additive.of(rows)


def everywhere_terms(catalogue: Catalogue, read: Read) -> list[Term]:
    """Terms of the whole catalogue: what the request boosts, what is new, what is near.

    Raises:
        FilterError: If the filter of a boost does not fit the catalogue.
    """
    given = [
        *boost_terms(catalogue, read.request.boost),
        freshness_term(catalogue, read.scenario, read.moment),
        nearness_term(catalogue, read.request.context, read.scenario),
    ]
    return [term for term in given if term is not None]


def _learned(catalogue: Catalogue, read: Read) -> Learned:
    """What the snapshot's taste model makes of the history; without one, nothing."""
    layout = catalogue.manifest.layout
    if catalogue.taste is None:
        return Learned(read.signals, None, NO_TERMS)
    moment = Moment(
        scenario=read.scenario,
        weights=read.request.weights,
        context=context_words(read.request.context),
        include_seen=includes_seen(read.request, read.scenario),
    )
    return apply_taste(catalogue.taste, read.signals, read.known, layout=layout, moment=moment)
