"""Inputs of a request to all that a search needs."""

from dataclasses import dataclass, replace

import numpy as np

from indexer.arrays import Vectors
from indexer.query import (
    NO_TERMS,
    WORLD_RANKS,
    Additive,
    Catalogue,
    Clock,
    Learned,
    Moment,
    NamedTerms,
    Pool,
    Read,
    RequestVectors,
    Role,
    Term,
    apply_taste,
    balance,
    clusters_of,
    coefficients_of,
    compose,
    context_words,
    everywhere_terms,
    includes_seen,
    pool_for,
    profile_mixes,
    sources_of,
    worlds_of,
)
from indexer.retrieval.search import retrieve

_COMPARED = 4 * WORLD_RANKS  # items of each world whose scores decide how worlds are scaled


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
