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


def prepare_query(catalogue: Catalogue, resolved: ResolvedRequest) -> PreparedQuery:
    """Encode and weigh what was read.

    Raises:
        FilterError: If a filter does not fit the catalogue.
    """
    clock = Stopwatch()
    pool = select_eligible(catalogue, resolved.request, resolved.scenario)
    sources = build_input_vectors(catalogue, resolved.inputs, resolved.item_rows)
    learned = _apply_taste(catalogue, resolved)
    clock.lap("encode")
    return PreparedQuery(
        resolved=resolved,
        eligible=pool,
        taste_contribution=learned,
        vectors=_weighed(catalogue, resolved, learned, sources, pool),
        catalogue_terms=build_catalogue_terms(catalogue, resolved),
        stopwatch=clock,
    )


def _weighed(
    catalogue: Catalogue,
    resolved: ResolvedRequest,
    taste_contribution: TasteContribution,
    input_vectors: Vectors,
    eligible: Eligible,
) -> QueryVectors:
    """Request vectors; of a history of several worlds each has its own, in proportion.

    A scenario may want clusters of a history beside it instead, unless weights were learned.
    """
    scenario, weights, signals = (
        resolved.scenario,
        resolved.request.weights,
        taste_contribution.inputs,
    )
    is_learned = catalogue.taste is not None
    most = 0 if is_learned else scenario.cluster_vectors
    worlds = None if most else find_interest_clusters(signals, input_vectors, by_weight=is_learned)
    if worlds is None:
        apart = cluster_history(signals, input_vectors, most)
        weighed = build_query_vectors(
            signals,
            input_vectors,
            scenario=scenario,
            weights=weights,
            history_clusters=apart,
            shrinkage=taste_contribution.shrinkage,
        )
        return replace(weighed, taste_vectors=taste_contribution.taste_vectors)
    mixes = [
        compute_profile_coefficients(
            signals, input_vectors, scenario, own, shrinkage=taste_contribution.shrinkage
        )
        for own in worlds.members
    ]
    profiles = [np.stack(own) @ input_vectors * np.float32(weights.meaning) for own in mixes]
    roles = np.array([signal.role for signal in signals])
    raw = np.array([signal.weight for signal in signals], np.float32)
    # What is asked for now is left out: it may tilt the proportion.
    beside = np.where(roles == Role.PRIOR, raw * np.float32(weights.prior), 0) @ input_vectors
    if taste_contribution.taste_vectors is not None:
        beside = beside + taste_contribution.taste_vectors.sum(axis=0)
    products, added = _compared(
        catalogue, eligible, profiles, beside, taste_contribution.input_terms
    )
    factors = compute_calibration_factors(products, added, worlds.shares).astype(np.float32)
    scaled = [mix * factor for own, factor in zip(mixes, factors, strict=True) for mix in own]
    coefficients = combine_coefficients(roles, raw, scaled, weights)
    return QueryVectors(
        tuple(signals), input_vectors, coefficients, taste_contribution.taste_vectors
    )


def _compared(
    catalogue: Catalogue,
    eligible: Eligible,
    profiles: list[Vectors],
    shared_vector: Vectors,
    input_terms: InputTerms,
) -> tuple[Vectors, Vectors]:
    """The best items of each world: their products with every world, and what they gain anyway.

    Args:
        catalogue: What is recommended from.
        eligible: What may be found.
        profiles: Of each world, `(q, d)`.
        shared_vector: `(d,)`, what is added to each of them.
        input_terms: Additive terms that the history earned.

    Returns:
        `(w, c) float32` and `(c,) float32`.
    """
    additive = TermTotals.sum_by_row(input_terms.rows, input_terms.values)
    found = [
        retrieve(catalogue, own + shared_vector, eligible, _CANDIDATES_PER_INTEREST, additive).rows
        for own in profiles
    ]
    rows = np.unique(np.concatenate(found))
    products = np.stack([catalogue.scores(own, rows).max(axis=0) for own in profiles])
    return products, catalogue.scores(shared_vector[None, :], rows)[0] + additive.lookup(rows)


def _apply_taste(catalogue: Catalogue, resolved: ResolvedRequest) -> TasteContribution:
    """What the snapshot's taste model makes of the history; without one, nothing."""
    layout = catalogue.manifest.layout
    if catalogue.taste is None:
        return TasteContribution(resolved.inputs, None, NO_INPUT_TERMS)
    moment = TasteContext(
        scenario=resolved.scenario,
        weights=resolved.request.weights,
        context_words=to_context_words(resolved.request.context),
        include_seen=includes_seen(resolved.request, resolved.scenario),
    )
    return apply_taste_model(
        catalogue.taste, resolved.inputs, resolved.item_rows, layout=layout, taste_context=moment
    )
