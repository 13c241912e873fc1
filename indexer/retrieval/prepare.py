"""A resolved request to a `PreparedQuery`: eligible rows, query vectors, score terms.

A profile of one interest gives one profile vector. A profile of several interests gives each its
own query vectors, scaled so that the first ranks hold items of each in proportion to its share of
the profile (calibrated recommendations, Steck 2018).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer.ann import select_top
from indexer.arrays import Vectors, sort_distinct
from indexer.query import (
    CALIBRATION_RANKS,
    NO_INPUT_TERMS,
    Catalogue,
    Eligible,
    InputColumns,
    InputTerms,
    InterestClusters,
    QueryVectors,
    ResolvedRequest,
    ScoreTerm,
    Stopwatch,
    TasteContext,
    TasteContribution,
    apply_taste_model,
    build_catalogue_terms,
    build_input_vectors,
    build_query_vectors,
    build_word_terms,
    cluster_history,
    combine_coefficients,
    compute_calibration_factors,
    compute_profile_coefficients,
    find_interest_clusters,
    includes_seen,
    select_eligible,
    to_context_words,
)
from indexer.retrieval.search import find_candidates


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A request ready to be searched.

    Attributes:
        eligible: What may be found.
        taste_contribution: What the taste model makes of the history.
        vectors: The query vectors.
        input_terms: Score terms of single rows, of the history and of the words of the query.
        catalogue_terms: Score terms of the whole catalogue.
        stopwatch: Running since the request was resolved.
    """

    resolved: ResolvedRequest
    eligible: Eligible
    taste_contribution: TasteContribution
    vectors: QueryVectors
    input_terms: InputTerms
    catalogue_terms: list[ScoreTerm]
    stopwatch: Stopwatch


def prepare_query(catalogue: Catalogue, resolved: ResolvedRequest) -> PreparedQuery:
    """Select the eligible rows, encode the inputs and weigh them into query vectors.

    Raises:
        FilterError: If a filter does not fit the catalogue.
    """
    stopwatch = Stopwatch()
    eligible = select_eligible(catalogue, resolved.request, resolved.scenario)
    input_vectors = build_input_vectors(catalogue, resolved.inputs, resolved.item_rows)
    taste_contribution = _apply_taste(catalogue, resolved)
    stopwatch.lap("encode")
    return PreparedQuery(
        resolved=resolved,
        eligible=eligible,
        taste_contribution=taste_contribution,
        vectors=_compose_vectors(catalogue, resolved, taste_contribution, input_vectors, eligible),
        input_terms=taste_contribution.input_terms.merge(
            build_word_terms(catalogue, taste_contribution.inputs)
        ),
        catalogue_terms=build_catalogue_terms(catalogue, resolved),
        stopwatch=stopwatch,
    )


def _apply_taste(catalogue: Catalogue, resolved: ResolvedRequest) -> TasteContribution:
    """The inputs as the snapshot's taste model weighs them; unchanged if it has none."""
    if catalogue.taste is None:
        return TasteContribution(resolved.inputs, None, NO_INPUT_TERMS)
    taste_context = TasteContext(
        weights=resolved.request.weights,
        context_words=to_context_words(resolved.request.context),
        include_seen=includes_seen(resolved.request, resolved.scenario),
    )
    return apply_taste_model(
        catalogue.taste,
        resolved.inputs,
        resolved.item_rows,
        layout=catalogue.manifest.layout,
        taste_context=taste_context,
    )


def _compose_vectors(
    catalogue: Catalogue,
    resolved: ResolvedRequest,
    taste_contribution: TasteContribution,
    input_vectors: Vectors,
    eligible: Eligible,
) -> QueryVectors:
    """Weigh the inputs into the query vectors of one profile, or of several interests.

    Without a taste model a scenario may ask for vectors of history clusters; if the profile has
    one interest it stays whole, and the clusters are searched beside it.
    """
    has_taste = catalogue.taste is not None
    max_clusters = 0 if has_taste else resolved.scenario.cluster_vectors
    columns = InputColumns.build(taste_contribution.inputs)
    interests = find_interest_clusters(columns, input_vectors, has_learned_weights=has_taste)
    if interests is not None:
        return _compose_interests(
            catalogue,
            resolved,
            taste_contribution,
            input_vectors,
            (columns, interests, eligible),
        )
    return _compose_one_profile(resolved, taste_contribution, input_vectors, max_clusters)


def _compose_one_profile(
    resolved: ResolvedRequest,
    taste_contribution: TasteContribution,
    input_vectors: Vectors,
    max_clusters: int,
) -> QueryVectors:
    """Query vectors of the whole profile, and of up to `max_clusters` clusters of the history."""
    inputs = taste_contribution.inputs
    vectors = build_query_vectors(
        inputs,
        input_vectors,
        scenario=resolved.scenario,
        weights=resolved.request.weights,
        history_clusters=cluster_history(inputs, input_vectors, max_clusters),
        shrinkage=taste_contribution.shrinkage,
    )
    return replace(vectors, taste_vectors=taste_contribution.taste_vectors)


def _compose_interests(
    catalogue: Catalogue,
    resolved: ResolvedRequest,
    taste_contribution: TasteContribution,
    input_vectors: Vectors,
    interests_and_eligible: tuple[InputColumns, InterestClusters, Eligible],
) -> QueryVectors:
    """Query vectors of each interest, scaled so that they share the first ranks in proportion."""
    columns, interests, eligible = interests_and_eligible
    weights, taste_vectors = resolved.request.weights, taste_contribution.taste_vectors
    profiles, owners = compute_profile_coefficients(
        columns,
        input_vectors,
        resolved.scenario,
        interests.members,
        shrinkage=taste_contribution.shrinkage,
    )
    # Query and context are left out of the comparison: they may tilt the proportion.
    prior = np.where(columns.is_prior, columns.weights * weights.prior, 0).astype(np.float32)
    shared_vector = prior @ input_vectors
    if taste_vectors is not None:
        shared_vector = shared_vector + taste_vectors.sum(axis=0)
    products, shared_scores = _score_best_items(
        catalogue,
        eligible,
        (profiles @ input_vectors * np.float32(weights.meaning), owners),
        shared_vector,
        taste_contribution.input_terms,
    )
    factors = compute_calibration_factors(products, shared_scores, interests)
    scaled = profiles * factors.astype(np.float32)[owners, None]
    coefficients = combine_coefficients(columns, scaled, weights)
    return QueryVectors(
        tuple(taste_contribution.inputs), input_vectors, coefficients, taste_vectors
    )


def _score_best_items(
    catalogue: Catalogue,
    eligible: Eligible,
    profiles_and_owners: tuple[Vectors, NDArray[np.int64]],
    shared_vector: Vectors,
    input_terms: InputTerms,
) -> tuple[Vectors, Vectors]:
    """Score the best items of each interest with every interest.

    Args:
        catalogue: What is recommended from.
        eligible: What may be found.
        profiles_and_owners: `(q, d) float32`, the query vectors of w interests, and `(q,)`, the
            interest of each, ascending.
        shared_vector: `(d,) float32`, added to each of them.
        input_terms: Additive terms that the history earned.

    Returns:
        `(w, c) float32`, the products of c items with each interest alone, and `(c,) float32`,
        what each item scores whatever the interest.
    """
    profiles, owners = profiles_and_owners
    starts = owners.searchsorted(np.arange(owners[-1] + 1))  # the first vector of each interest
    additive = input_terms.totals
    # The first vector of an interest is its whole profile; the others, of its latest items, would
    # take most of the time and hardly change which items are near.
    whole_profiles = profiles[starts] + shared_vector
    near = find_candidates(
        catalogue, whole_profiles, eligible, CALIBRATION_RANKS, additive, each=2 * CALIBRATION_RANKS
    )
    totals = near.products + additive.lookup(near.rows)
    # Just these, so that it does not depend on how many more an index finds.
    best = [select_top(near.rows, own, 2 * CALIBRATION_RANKS).rows for own in totals]
    rows = sort_distinct(np.concatenate(best))
    scores = catalogue.scores(np.concatenate([profiles, shared_vector[None]]), rows)
    products = np.maximum.reduceat(scores[:-1], starts, axis=0)
    return products, scores[-1] + additive.lookup(rows)
