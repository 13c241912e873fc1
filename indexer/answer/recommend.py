"""Request to answer, over any catalogue: the way of a question, spelled once.

request -> signals -> request vectors -> pool -> candidates -> arranged -> hits with reasons
"""

import time
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from indexer.answer.explanation import explained
from indexer.answer.hits import Answer
from indexer.answer.pipeline import answered, with_unknown
from indexer.arrays import Vectors
from indexer.query import (
    FIRST_PAGE,
    Catalogue,
    Page,
    Question,
    Role,
    compose,
    everywhere_terms,
    read_request,
    sources_of,
)
from indexer.request import Request
from indexer.retrieval import Prepared, Shared, Wanted, prepared

# Kind of reason to item id to what the item gains.
Addends: TypeAlias = Mapping[str, Mapping[str, float]]
NO_ADDENDS: Addends = MappingProxyType({})
# A request and the present, Unix seconds.
Asked: TypeAlias = tuple[Request, float]
_MOST_FLAGS = 1 << 26  # of pools, a byte for each row and request, held at once


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
    read = read_request(catalogue, request, now=time.time() if now is None else now)
    if request.validate_only:
        everywhere = everywhere_terms(catalogue, read)
        answer = explained(catalogue, request, read.scenario, read.signals, everywhere)
        return with_unknown(answer, read.unknown)
    return recommend_prepared(catalogue, prepared(catalogue, read), page=page, addends=addends)


def recommend_prepared(
    catalogue: Catalogue,
    ready: Prepared,
    *,
    page: Page = FIRST_PAGE,
    addends: Addends = NO_ADDENDS,
) -> Answer:
    """Answer a request that was prepared over the same catalogue.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    ready.clock.resume()
    question = Question(
        catalogue=catalogue,
        request=ready.read.request,
        scenario=ready.read.scenario,
        weighed=ready.weighed,
        terms=_named_terms(catalogue, addends),
        everywhere=ready.everywhere,
        learned=ready.learned.terms,
        page=page,
    )
    return with_unknown(answered(question, ready.pool, ready.clock), ready.read.unknown)


def recommend_many(
    catalogue: Catalogue, requests: Sequence[Request], *, now: float | None = None
) -> list[Answer]:
    """Answer many requests as each alone would be, sharing what they have in common.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    moment = time.time() if now is None else now
    together = max(1, _MOST_FLAGS // max(catalogue.count, 1))
    answers = []
    for start in range(0, len(requests), together):
        some = requests[start : start + together]
        shared, ready = warmed(catalogue, [(request, moment) for request in some])
        answers += [
            recommend(shared, request, now=moment)
            if own is None
            else recommend_prepared(shared, own)
            for request, own in zip(some, ready, strict=True)
        ]
    return answers


def warmed(catalogue: Catalogue, asked: Sequence[Asked]) -> tuple[Catalogue, list[Prepared | None]]:
    """Prepare requests together: their texts are encoded, and their searches made, in one go.

    Returns:
        The catalogue that remembers these searches, and each request prepared over it; None for
        one that is only to be explained.

    Raises:
        RequestError: If one cannot be answered by this catalogue.
        FilterError: If a filter does not fit the catalogue.
    """
    shared = Shared(catalogue)
    shared.know(item_id for request, _ in asked for item_id in _items_of(request))
    face = shared.catalogue_face
    read = [read_request(face, request, now=now) for request, now in asked]
    shared.encode([s.text for one in read for s in one.signals if s.text and s.item_id is None])
    ready = [None if one.request.validate_only else prepared(face, one) for one in read]
    shared.search(
        [
            Wanted(
                f"{one.read.scenario.name}|{one.read.request.filter!r}",
                one.weighed.vectors,
                one.pool.allowed,
                one.read.request.k,
            )
            for one in ready
            if one is not None
        ]
    )
    return face, ready


def _items_of(request: Request) -> list[str]:
    """Ids whose rows answering will ask for."""
    told = [entry.item_id for entry in request.history if entry.item_id is not None]
    stored = chain.from_iterable(request.seen_by_event.values())
    return [*told, *request.exclude, *request.seen, *stored]


def profile_vector(catalogue: Catalogue, request: Request, *, now: float) -> Vectors:
    """Return `(d,) float32`: what a request's history and interests say, as one unit vector."""
    read = read_request(catalogue, request, now=now)
    signals = [signal for signal in read.signals if signal.role is Role.PROFILE]
    if not signals:
        return np.zeros(catalogue.manifest.layout.dim, np.float32)
    sources = sources_of(catalogue, signals, read.known)
    weighed = compose(signals, sources, scenario=read.scenario, weights=request.weights)
    vector: Vectors = weighed.vectors[0]
    return vector


def _named_terms(catalogue: Catalogue, addends: Addends) -> dict[int, list[dict[str, Any]]]:
    """Addends by row; items that are not in the catalogue gain nothing."""
    terms: dict[int, list[dict[str, Any]]] = {}
    for kind, shares in addends.items():
        for item_id, row in catalogue.rows(list(shares)).items():
            terms.setdefault(row, []).append({"kind": kind, "share": shares[item_id]})
    return terms
