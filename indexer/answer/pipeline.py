"""A question and its pool to the answer: ranked, cut, and told why."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from indexer.answer.hits import Answer, Hit
from indexer.query import Catalogue, Eligible, Query, Stopwatch
from indexer.ranking import RankedPage, apply_query_caps, rank_page, resolve_caps, restrict_to_page
from indexer.retrieval import apply_min_score


def answer_query(query: Query, eligible: Eligible, stopwatch: "Stopwatch") -> Answer:
    """Retrieve, cut, and tell why.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    catalogue, request, candidates = query.catalogue, query.request, query.page
    eligible = apply_limits(query, eligible)
    eligible = restrict_to_page(catalogue, eligible, candidates)
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
            "eligible": max(0, eligible.count - candidates.skip),
            "excluded": dict(eligible.excluded),
            "search": catalogue.manifest.index.get("search", "exact"),
        },
        snapshot=catalogue.manifest.id,
        unknown_items=find_unknown_ids(
            catalogue, [*request.exclude, *(p.item_id for p in request.pin)]
        ),
        following=tuple(ids[len(hits) :]),
        timing_ms=stopwatch.report(),
    )


def apply_limits(query: Query, eligible: Eligible) -> Eligible:
    """Narrow a pool to what scores enough and what the caps keep.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    catalogue, request = query.catalogue, query.request
    caps = resolve_caps(catalogue, request, query.scenario)
    if request.min_score is not None:
        vectors, term_totals = query.vectors.vectors, query.term_totals
        eligible = apply_min_score(catalogue, vectors, eligible, request.min_score, term_totals)
    return apply_query_caps(query, eligible, caps) if caps else eligible


def find_unknown_ids(catalogue: Catalogue, ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids that the catalogue does not have, each once."""
    known = catalogue.rows(ids)
    return tuple(dict.fromkeys(item_id for item_id in ids if item_id not in known))


def add_unknown_ids(answer: Answer, first: Sequence[str]) -> Answer:
    """Return the answer with further unknown ids before its own."""
    return replace(answer, unknown_items=tuple(dict.fromkeys([*first, *answer.unknown_items])))


def _hydrate_hits(query: Query, ranked_page: RankedPage, ids: Sequence[str]) -> tuple[Hit, ...]:
    catalogue, request, candidates = query.catalogue, query.request, ranked_page.candidates
    rows = candidates.rows
    item_vectors = catalogue.item_vectors(rows) if request.explain and len(rows) else None
    first = query.page.offset + 1
    hits = []
    items = [{"id": item_id} for item_id in ids]
    if request.fields != ():
        items = catalogue.items(rows.tolist())
    for position, (item_id, item) in enumerate(zip(ids, items, strict=True)):
        reasons: list[dict[str, Any]] = []
        if item_vectors is not None:
            winner = int(candidates.winners[position])
            reasons = query.explain_row(int(rows[position]), item_vectors[position], winner)
        propensity = (
            None if ranked_page.propensities is None else float(ranked_page.propensities[position])
        )
        fields = _select_fields(item, request.fields)
        # Six decimals are what the order goes by: the last bits depend on the path of the sum.
        score = round(float(candidates.scores[position]), 6)
        hits.append(Hit(item_id, first + position, score, fields, reasons, propensity))
    return tuple(hits)


def _select_fields(item: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    if fields is None:
        return item
    return {key: item[key] for key in ("id", *fields) if key in item}
