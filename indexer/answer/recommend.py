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
    addends: ScoreTerms = NO_SCORE_TERMS,
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
    read = resolve_request(catalogue, request, now=time.time() if now is None else now)
    if request.validate_only:
        everywhere = build_catalogue_terms(catalogue, read)
        answer = explain_request(catalogue, request, read.scenario, read.inputs, everywhere)
        return add_unknown_ids(answer, read.unknown_ids)
    return recommend_prepared(catalogue, prepare_query(catalogue, read), page=page, addends=addends)


def recommend_prepared(
    catalogue: Catalogue,
    ready: PreparedQuery,
    *,
    page: Page = FIRST_PAGE,
    addends: ScoreTerms = NO_SCORE_TERMS,
) -> Answer:
    """Answer a request that was prepared over the same catalogue.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    ready.stopwatch.resume()
    question = Query(
        catalogue=catalogue,
        request=ready.resolved.request,
        scenario=ready.resolved.scenario,
        vectors=ready.vectors,
        row_terms=_group_terms_by_row(catalogue, addends),
        catalogue_terms=ready.catalogue_terms,
        input_terms=ready.taste_contribution.input_terms,
        page=page,
    )
    return add_unknown_ids(
        answer_query(question, ready.eligible, ready.stopwatch), ready.resolved.unknown_ids
    )


def recommend_many(
    catalogue: Catalogue, requests: Sequence[Request], *, now: float | None = None
) -> list[Answer]:
    """Answer many requests as each alone would be, sharing what they have in common.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    moment = time.time() if now is None else now
    together = max(1, _MAX_FLAGS // max(catalogue.count, 1))
    answers = []
    for start in range(0, len(requests), together):
        some = requests[start : start + together]
        shared, ready = prefetch(catalogue, [(request, moment) for request in some])
        answers += [
            recommend(shared, request, now=moment)
            if own is None
            else recommend_prepared(shared, own)
            for request, own in zip(some, ready, strict=True)
        ]
    return answers


def prefetch(
    catalogue: Catalogue, asked: Sequence[TimedRequest]
) -> tuple[Catalogue, list[PreparedQuery | None]]:
    """Prepare requests together: their texts are encoded, and their searches made, in one go.

    Returns:
        The catalogue that remembers these searches, and each request prepared over it; None for
        one that is only to be explained.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    shared = CachedCatalogue(catalogue)
    shared.know(item_id for request, _ in asked for item_id in _collect_item_ids(request))
    face = shared.catalogue_face
    read = [resolve_request(face, request, now=now) for request, now in asked]
    shared.encode([s.text for one in read for s in one.inputs if s.text and s.item_id is None])
    ready = [None if one.request.validate_only else prepare_query(face, one) for one in read]
    shared.search(
        [
            SearchTask(
                f"{one.resolved.scenario.name}|{one.resolved.request.filter!r}",
                one.vectors.vectors,
                one.eligible.allowed,
                one.resolved.request.k,
            )
            for one in ready
            if one is not None
        ]
    )
    return face, ready


def _collect_item_ids(request: Request) -> list[str]:
    """Ids whose rows answering will ask for."""
    told = [entry.item_id for entry in request.history if entry.item_id is not None]
    stored = chain.from_iterable(request.seen_by_event.values())
    return [*told, *request.exclude, *request.seen, *stored]


def compute_profile_vector(catalogue: Catalogue, request: Request, *, now: float) -> Vectors:
    """Return `(d,) float32`: what a request's history and interests say, as one unit vector."""
    read = resolve_request(catalogue, request, now=now)
    signals = [signal for signal in read.inputs if signal.role is Role.PROFILE]
    if not signals:
        return np.zeros(catalogue.manifest.layout.dim, np.float32)
    sources = build_input_vectors(catalogue, signals, read.item_rows)
    weighed = build_query_vectors(signals, sources, scenario=read.scenario, weights=request.weights)
    vector: Vectors = weighed.vectors[0]
    return vector


def _group_terms_by_row(
    catalogue: Catalogue, addends: ScoreTerms
) -> dict[int, list[dict[str, Any]]]:
    """Addends by row; items that are not in the catalogue gain nothing."""
    terms: dict[int, list[dict[str, Any]]] = {}
    for kind, shares in addends.items():
        for item_id, row in catalogue.rows(list(shares)).items():
            terms.setdefault(row, []).append({"kind": kind, "share": shares[item_id]})
    return terms
