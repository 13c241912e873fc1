"""Inputs of a request to all that a search needs."""

from dataclasses import dataclass, replace

import numpy as np

from indexer.arrays import Vectors
from indexer.query import (
    CALIBRATION_RANKS,
    NO_INPUT_TERMS,
    Catalogue,
    Eligible,
    InputTerms,
    QueryVectors,
    ResolvedRequest,
    Role,
    ScoreTerm,
    Stopwatch,
    TasteContext,
    TasteContribution,
    TermTotals,
    apply_taste_model,
    build_catalogue_terms,
    build_input_vectors,
    build_query_vectors,
    cluster_history,
    combine_coefficients,
    compute_calibration_factors,
    compute_profile_coefficients,
    find_interest_clusters,
    includes_seen,
    select_eligible,
    to_context_words,
)
from indexer.retrieval.search import retrieve

_CANDIDATES_PER_INTEREST = (
    4 * CALIBRATION_RANKS
)  # items of each world whose scores decide how worlds are scaled


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A request ready to be searched.

    Attributes:
        eligible: What may be found.
        taste_contribution: What the taste model makes of the history.
        vectors: The request vectors.
        stopwatch: Running since the request was read.
    """

    resolved: ResolvedRequest
    eligible: Eligible
    taste_contribution: TasteContribution
    vectors: QueryVectors
    catalogue_terms: list[ScoreTerm]
    stopwatch: Stopwatch


def prepare_query(catalogue: Catalogue, read: ResolvedRequest) -> PreparedQuery:
    """Encode and weigh what was read.

    Raises:
        FilterError: If a filter does not fit the catalogue.
    """
    clock = Stopwatch()
    pool = select_eligible(catalogue, read.request, read.scenario)
    sources = build_input_vectors(catalogue, read.inputs, read.item_rows)
    learned = _apply_taste(catalogue, read)
    clock.lap("encode")
    return PreparedQuery(
        resolved=read,
        eligible=pool,
        taste_contribution=learned,
        vectors=_weighed(catalogue, read, learned, sources, pool),
        catalogue_terms=build_catalogue_terms(catalogue, read),
        stopwatch=clock,
    )


def _weighed(
    catalogue: Catalogue,
    read: ResolvedRequest,
    learned: TasteContribution,
    sources: Vectors,
    pool: Eligible,
) -> QueryVectors:
    """Request vectors; of a history of several worlds each has its own, in proportion.

    A scenario may want clusters of a history beside it instead, unless weights were learned.
    """
    scenario, weights, signals = read.scenario, read.request.weights, learned.inputs
    is_learned = catalogue.taste is not None
    most = 0 if is_learned else scenario.cluster_vectors
    worlds = None if most else find_interest_clusters(signals, sources, by_weight=is_learned)
    if worlds is None:
        apart = cluster_history(signals, sources, most)
        weighed = build_query_vectors(
            signals,
            sources,
            scenario=scenario,
            weights=weights,
            apart=apart,
            doubt=learned.shrinkage,
        )
        return replace(weighed, taste_vectors=learned.taste_vectors)
    mixes = [
        compute_profile_coefficients(signals, sources, scenario, own, doubt=learned.shrinkage)
        for own in worlds.members
    ]
    profiles = [np.stack(own) @ sources * np.float32(weights.meaning) for own in mixes]
    roles = np.array([signal.role for signal in signals])
    raw = np.array([signal.weight for signal in signals], np.float32)
    # What is asked for now is left out: it may tilt the proportion.
    beside = np.where(roles == Role.PRIOR, raw * np.float32(weights.prior), 0) @ sources
    if learned.taste_vectors is not None:
        beside = beside + learned.taste_vectors.sum(axis=0)
    products, added = _compared(catalogue, pool, profiles, beside, learned.input_terms)
    factors = compute_calibration_factors(products, added, worlds.shares).astype(np.float32)
    scaled = [mix * factor for own, factor in zip(mixes, factors, strict=True) for mix in own]
    coefficients = combine_coefficients(roles, raw, scaled, weights)
    return QueryVectors(tuple(signals), sources, coefficients, learned.taste_vectors)


def _compared(
    catalogue: Catalogue,
    pool: Eligible,
    profiles: list[Vectors],
    beside: Vectors,
    terms: InputTerms,
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
    additive = TermTotals.sum_by_row(terms.rows, terms.values)
    found = [
        retrieve(catalogue, own + beside, pool, _CANDIDATES_PER_INTEREST, additive).rows
        for own in profiles
    ]
    rows = np.unique(np.concatenate(found))
    products = np.stack([catalogue.scores(own, rows).max(axis=0) for own in profiles])
    return products, catalogue.scores(beside[None, :], rows)[0] + additive.lookup(rows)


def _apply_taste(catalogue: Catalogue, read: ResolvedRequest) -> TasteContribution:
    """What the snapshot's taste model makes of the history; without one, nothing."""
    layout = catalogue.manifest.layout
    if catalogue.taste is None:
        return TasteContribution(read.inputs, None, NO_INPUT_TERMS)
    moment = TasteContext(
        scenario=read.scenario,
        weights=read.request.weights,
        context_words=to_context_words(read.request.context),
        include_seen=includes_seen(read.request, read.scenario),
    )
    return apply_taste_model(
        catalogue.taste, read.inputs, read.item_rows, layout=layout, moment=moment
    )
