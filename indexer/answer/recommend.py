"""Request to answer, over any catalogue: the way of a question, spelled once.

request -> signals -> request vectors -> pool -> candidates -> arranged -> hits with reasons
"""

import time
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from indexer.answer.explanation import explain_request
from indexer.answer.hits import Answer
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

# Kind of reason to item id to what the item gains.
ScoreTerms: TypeAlias = Mapping[str, Mapping[str, float]]
NO_SCORE_TERMS: ScoreTerms = MappingProxyType({})
# A request and the present, Unix seconds.
TimedRequest: TypeAlias = tuple[Request, float]
_MAX_FLAGS = 1 << 26  # of pools, a byte for each row and request, held at once


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
        request: What is asked.
        page: Which part of the ranking.
        now: The present, Unix seconds; default: the clock. A request with a time overrides it.
        score_terms: Named additive terms of single items, which come from outside the snapshot.

    Raises:
        RequestError: If the request cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    resolved = resolve_request(catalogue, request, now=time.time() if now is None else now)
    if request.validate_only:
        catalogue_terms = build_catalogue_terms(catalogue, resolved)
        answer = explain_request(
            catalogue, request, resolved.scenario, resolved.inputs, catalogue_terms
        )
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
        input_terms=prepared_query.taste_contribution.input_terms,
        page=page,
    )
    return add_unknown_ids(
        answer_query(query, prepared_query.eligible, prepared_query.stopwatch),
        prepared_query.resolved.unknown_ids,
    )


def recommend_many(
    catalogue: Catalogue, requests: Sequence[Request], *, now: float | None = None
) -> list[Answer]:
    """Answer many requests as each alone would be, sharing what they have in common.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    timestamp = time.time() if now is None else now
    batch_size = max(1, _MAX_FLAGS // max(catalogue.count, 1))
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
    """Prepare requests together: their texts are encoded, and their searches made, in one go.

    Returns:
        The catalogue that remembers these searches, and each request prepared over it; None for
        one that is only to be explained.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    cached = CachedCatalogue(catalogue)
    cached.know(item_id for request, _ in timed_requests for item_id in _collect_item_ids(request))
    cached_catalogue = cached.catalogue_face
    resolved = [
        resolve_request(cached_catalogue, request, now=now) for request, now in timed_requests
    ]
    cached.encode([s.text for one in resolved for s in one.inputs if s.text and s.item_id is None])
    prepared_queries = [
        None if one.request.validate_only else prepare_query(cached_catalogue, one)
        for one in resolved
    ]
    cached.search(
        [
            SearchTask(
                f"{one.resolved.scenario.name}|{one.resolved.request.filter!r}",
                one.vectors.vectors,
                one.eligible.allowed,
                one.resolved.request.k,
            )
            for one in prepared_queries
            if one is not None
        ]
    )
    return cached_catalogue, prepared_queries


def _collect_item_ids(request: Request) -> list[str]:
    """Ids whose rows answering will ask for."""
    history_ids = [entry.item_id for entry in request.history if entry.item_id is not None]
    stored = chain.from_iterable(request.seen_by_event.values())
    return [*history_ids, *request.exclude, *request.seen, *stored]


def compute_profile_vector(catalogue: Catalogue, request: Request, *, now: float) -> Vectors:
    """Return `(d,) float32`: what a request's history and interests say, as one unit vector."""
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
    """Addends by row; items that are not in the catalogue gain nothing."""
    terms: dict[int, list[dict[str, Any]]] = {}
    for kind, shares in score_terms.items():
        for item_id, row in catalogue.rows(list(shares)).items():
            terms.setdefault(row, []).append({"kind": kind, "share": shares[item_id]})
    return terms
