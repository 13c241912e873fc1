"""A query and its eligible rows to an `Answer`: limits, ranking, hydration, reasons."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from indexer.answer.answer import Answer
from indexer.answer.hits import Hit
from indexer.metadata import StoredItem
from indexer.query import Catalogue, Eligible, Query, Stopwatch
from indexer.ranking import RankedPage, apply_query_caps, rank_page, resolve_caps, restrict_to_page
from indexer.retrieval import apply_min_score


def answer_query(query: Query, eligible: Eligible, stopwatch: Stopwatch) -> Answer:
    """Rank the eligible rows, and return the hits of the query's page with their reasons.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    catalogue, request = query.catalogue, query.request
    eligible = _apply_limits(query, eligible)
    eligible = restrict_to_page(catalogue, eligible, query.page)
    ranked_page = rank_page(query, eligible)
    stopwatch.lap("search")
    rows = [*ranked_page.candidates.rows.tolist(), *ranked_page.following.tolist()]
    ids = catalogue.ids(rows)
    hits = _hydrate_hits(query, ranked_page, ids[: len(ranked_page.candidates.rows)])
    stopwatch.lap("rank")
    return Answer(
        hits=hits,
        complete={
            "returned": len(hits),
            "eligible": max(0, eligible.count - query.page.skip),
            "excluded": dict(eligible.excluded),
            "search": catalogue.manifest.index.get("search", "exact"),
        },
        snapshot=catalogue.manifest.id,
        unknown_items=_find_unknown_ids(
            catalogue, [*request.exclude, *(pin.item_id for pin in request.pin)]
        ),
        following=tuple(ids[len(hits) :]),
        timing_ms=stopwatch.report(),
    )


def _apply_limits(query: Query, eligible: Eligible) -> Eligible:
    """The eligible rows that reach the minimum score and that the caps keep."""
    catalogue, request = query.catalogue, query.request
    caps = resolve_caps(catalogue, request, query.scenario)
    if request.min_score is not None:
        vectors, term_totals = query.vectors.vectors, query.term_totals
        eligible = apply_min_score(catalogue, vectors, eligible, request.min_score, term_totals)
    return apply_query_caps(query, eligible, caps) if caps else eligible


def _find_unknown_ids(catalogue: Catalogue, ids: Sequence[str]) -> tuple[str, ...]:
    """The ids that the catalogue does not have, each once."""
    known = catalogue.rows(ids)
    return tuple(dict.fromkeys(item_id for item_id in ids if item_id not in known))


def add_unknown_ids(answer: Answer, first: Sequence[str]) -> Answer:
    """Return the answer with further unknown ids, each once, before its own."""
    return replace(answer, unknown_items=tuple(dict.fromkeys([*first, *answer.unknown_items])))


def _hydrate_hits(query: Query, ranked_page: RankedPage, ids: Sequence[str]) -> tuple[Hit, ...]:
    """Hits with the fields and reasons that the request wants."""
    catalogue, request, candidates = query.catalogue, query.request, ranked_page.candidates
    rows = candidates.rows.tolist()
    # An id is known without reading the item, which takes longer than all the rest.
    wants_ids_alone = request.fields is not None and set(request.fields) <= {"id"}
    items: list[StoredItem] = (
        [{"id": item_id} for item_id in ids] if wants_ids_alone else catalogue.stored_items(rows)
    )
    reasons: list[list[dict[str, Any]]] = [[] for _ in rows]
    if request.explain and rows:
        vectors = catalogue.item_vectors(candidates.rows)
        reasons = query.explain_rows(candidates.rows, vectors, candidates.winners)
    propensities: list[float | None] = [None] * len(rows)
    if ranked_page.propensities is not None:
        propensities = ranked_page.propensities.tolist()
    # The order is that of six decimals: the last bits depend on the order of summation.
    scores = [round(score, 6) for score in candidates.scores.tolist()]
    first_rank = query.page.offset + 1
    return tuple(
        Hit(
            id=item_id,
            rank=first_rank + position,
            score=scores[position],
            item=_select_fields(items[position], request.fields),
            reasons=reasons[position],
            propensity=propensities[position],
        )
        for position, item_id in enumerate(ids)
    )


def _select_fields(item: StoredItem, fields: Sequence[str] | None) -> StoredItem:
    if fields is None:
        return item
    values = json.loads(item) if isinstance(item, bytes) else item
    return {key: values[key] for key in ("id", *fields) if key in values}
