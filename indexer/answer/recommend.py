"""A request and a catalogue to an `Answer`; this is where the stages follow each other.

request -> weighted inputs -> query vectors and eligible rows -> candidates -> ranked page
-> hits with reasons
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from indexer.answer.answer import Answer
from indexer.answer.explanation import explain_request
from indexer.answer.pipeline import add_unknown_ids, answer_query
from indexer.arrays import Vectors
from indexer.query import (
    FIRST_PAGE,
    Catalogue,
    Page,
    Query,
    Role,
    build_catalogue_terms,
    build_input_vectors,
    build_query_vectors,
    resolve_request,
)
from indexer.request import Request
from indexer.retrieval import CachedCatalogue, PreparedQuery, SearchTask, prepare_query

# Kind of reason to item id to the term added to the item's score.
ScoreTerms: TypeAlias = Mapping[str, Mapping[str, float]]
NO_SCORE_TERMS: ScoreTerms = MappingProxyType({})
# A request and the present, Unix seconds.
TimedRequest: TypeAlias = tuple[Request, float]
_MAX_MASK_BYTES = 1 << 26  # of the masks of eligible rows, a byte per row and request, per batch


def recommend(
    catalogue: Catalogue,
    request: Request,
    *,
    page: Page = FIRST_PAGE,
    now: float | None = None,
    score_terms: ScoreTerms = NO_SCORE_TERMS,
) -> Answer:
    """Answer a request for recommendations.

    Args:
        catalogue: What is recommended from.
        request: The checked request.
        page: Which part of the ranking.
        now: The present, Unix seconds; default: the clock. A request with a time overrides it.
        score_terms: Additive terms of single items by kind, which the snapshot does not hold.

    Raises:
        RequestError: If the request cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    resolved = resolve_request(catalogue, request, now=time.time() if now is None else now)
    if request.validate_only:
        catalogue_terms = build_catalogue_terms(catalogue, resolved)
        answer = explain_request(
            catalogue, resolved.request, resolved.scenario, resolved.inputs, catalogue_terms
        )
        answer = replace(answer, understood=resolved.understood)
        return add_unknown_ids(answer, resolved.unknown_ids)
    return recommend_prepared(
        catalogue, prepare_query(catalogue, resolved), page=page, score_terms=score_terms
    )


def recommend_prepared(
    catalogue: Catalogue,
    prepared_query: PreparedQuery,
    *,
    page: Page = FIRST_PAGE,
    score_terms: ScoreTerms = NO_SCORE_TERMS,
) -> Answer:
    """Answer a request that was prepared over the same catalogue.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    prepared_query.stopwatch.resume()
    query = Query(
        catalogue=catalogue,
        request=prepared_query.resolved.request,
        scenario=prepared_query.resolved.scenario,
        vectors=prepared_query.vectors,
        row_terms=_group_terms_by_row(catalogue, score_terms),
        catalogue_terms=prepared_query.catalogue_terms,
        input_terms=prepared_query.input_terms,
        page=page,
    )
    answer = answer_query(query, prepared_query.eligible, prepared_query.stopwatch)
    return add_unknown_ids(
        replace(answer, understood=prepared_query.resolved.understood),
        prepared_query.resolved.unknown_ids,
    )


def recommend_many(
    catalogue: Catalogue, requests: Sequence[Request], *, now: float | None = None
) -> list[Answer]:
    """Answer many requests, each as it would be alone, encoding and searching together.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    timestamp = time.time() if now is None else now
    batch_size = max(1, _MAX_MASK_BYTES // max(catalogue.count, 1))
    answers = []
    for start in range(0, len(requests), batch_size):
        batch = requests[start : start + batch_size]
        cached, prepared_queries = prefetch(catalogue, [(request, timestamp) for request in batch])
        answers += [
            recommend(cached, request, now=timestamp)
            if prepared_query is None
            else recommend_prepared(cached, prepared_query)
            for request, prepared_query in zip(batch, prepared_queries, strict=True)
        ]
    return answers


def prefetch(
    catalogue: Catalogue, timed_requests: Sequence[TimedRequest]
) -> tuple[Catalogue, list[PreparedQuery | None]]:
    """Prepare requests together: texts are encoded in one call, similar searches made in one.

    Returns:
        The catalogue that remembers these searches, and each request prepared over it; None for
        one with `validate_only`, which needs no search.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    cached = CachedCatalogue(catalogue)
    cached.prefetch_rows(
        item_id for request, _ in timed_requests for item_id in _collect_item_ids(request)
    )
    cached_catalogue = cached.as_catalogue
    resolved = [
        resolve_request(cached_catalogue, request, now=now) for request, now in timed_requests
    ]
    cached.prefetch_texts(
        [
            query_input.text
            for one in resolved
            for query_input in one.inputs
            if query_input.text and query_input.item_id is None
        ]
    )
    prepared_queries = [
        None if one.request.validate_only else prepare_query(cached_catalogue, one)
        for one in resolved
    ]
    cached.prefetch_searches(
        [
            SearchTask(
                group=f"{one.resolved.scenario.name}|{one.resolved.request.filter!r}",
                vectors=one.vectors.vectors,
                allowed=one.eligible.rows,
                limit=one.resolved.request.k,
            )
            for one in prepared_queries
            if one is not None
        ]
    )
    return cached_catalogue, prepared_queries


def _collect_item_ids(request: Request) -> list[str]:
    """The ids whose rows answering will need."""
    history_ids = [entry.item_id for entry in request.history if entry.item_id is not None]
    seen_ids = chain.from_iterable(request.seen_by_event.values())
    return [*history_ids, *request.exclude, *request.seen, *seen_ids]


def compute_profile_vector(catalogue: Catalogue, request: Request, *, now: float) -> Vectors:
    """Return the profile of a request, its history and interests, as one unit vector.

    Returns:
        `(d,) float32`; zeros if there is neither.
    """
    resolved = resolve_request(catalogue, request, now=now)
    inputs = [query_input for query_input in resolved.inputs if query_input.role is Role.PROFILE]
    if not inputs:
        return np.zeros(catalogue.manifest.layout.dim, np.float32)
    input_vectors = build_input_vectors(catalogue, inputs, resolved.item_rows)
    vectors = build_query_vectors(
        inputs, input_vectors, scenario=resolved.scenario, weights=request.weights
    )
    vector: Vectors = vectors.vectors[0]
    return vector


def _group_terms_by_row(
    catalogue: Catalogue, score_terms: ScoreTerms
) -> dict[int, list[dict[str, Any]]]:
    """Score terms by row, each with its kind and share; ids that are unknown are left out."""
    terms: dict[int, list[dict[str, Any]]] = {}
    for kind, shares in score_terms.items():
        for item_id, row in catalogue.rows(list(shares)).items():
            terms.setdefault(row, []).append({"kind": kind, "share": shares[item_id]})
    return terms
