"""A question and its pool to the answer: ranked, cut, and told why."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from indexer.answer.hits import Answer, Hit
from indexer.query import Catalogue, Eligible, Query, Stopwatch
from indexer.ranking import RankedPage, apply_query_caps, rank_page, resolve_caps, restrict_to_page
from indexer.retrieval import apply_min_score


def answer_query(question: Query, pool: Eligible, clock: "Stopwatch") -> Answer:
    """Retrieve, cut, and tell why.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    catalogue, request, page = question.catalogue, question.request, question.page
    pool = apply_limits(question, pool)
    pool = restrict_to_page(catalogue, pool, page)
    found = rank_page(question, pool)
    clock.lap("search")
    rows = [*found.candidates.rows.tolist(), *found.following.tolist()]
    ids = catalogue.ids(rows)
    hits = _hydrate_hits(question, found, ids[: len(found.candidates.rows)])
    clock.lap("rank")
    return Answer(
        hits=hits,
        complete={
            "returned": len(hits),
            "eligible": max(0, pool.count - page.skip),
            "excluded": dict(pool.excluded),
            "search": catalogue.manifest.index.get("search", "exact"),
        },
        snapshot=catalogue.manifest.id,
        unknown_items=find_unknown_ids(
            catalogue, [*request.exclude, *(p.item_id for p in request.pin)]
        ),
        following=tuple(ids[len(hits) :]),
        timing_ms=clock.report(),
    )


def apply_limits(question: Query, pool: Eligible) -> Eligible:
    """Narrow a pool to what scores enough and what the caps keep.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    catalogue, request = question.catalogue, question.request
    caps = resolve_caps(catalogue, request, question.scenario)
    if request.min_score is not None:
        vectors, additive = question.vectors.vectors, question.term_totals
        pool = apply_min_score(catalogue, vectors, pool, request.min_score, additive)
    return apply_query_caps(question, pool, caps) if caps else pool


def find_unknown_ids(catalogue: Catalogue, ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids that the catalogue does not have, each once."""
    known = catalogue.rows(ids)
    return tuple(dict.fromkeys(item_id for item_id in ids if item_id not in known))


def add_unknown_ids(answer: Answer, first: Sequence[str]) -> Answer:
    """Return the answer with further unknown ids before its own."""
    return replace(answer, unknown_items=tuple(dict.fromkeys([*first, *answer.unknown_items])))


def _hydrate_hits(question: Query, found: RankedPage, ids: Sequence[str]) -> tuple[Hit, ...]:
    catalogue, request, page = question.catalogue, question.request, found.candidates
    rows = page.rows
    stored = catalogue.item_vectors(rows) if request.explain and len(rows) else None
    first = question.page.offset + 1
    hits = []
    items = [{"id": item_id} for item_id in ids]
    if request.fields != ():
        items = catalogue.items(rows.tolist())
    for place, (item_id, item) in enumerate(zip(ids, items, strict=True)):
        reasons: list[dict[str, Any]] = []
        if stored is not None:
            winner = int(page.winners[place])
            reasons = question.explain_row(int(rows[place]), stored[place], winner)
        chance = None if found.propensities is None else float(found.propensities[place])
        shown = _select_fields(item, request.fields)
        # Six decimals are what the order goes by: the last bits depend on the path of the sum.
        score = round(float(page.scores[place]), 6)
        hits.append(Hit(item_id, first + place, score, shown, reasons, chance))
    return tuple(hits)


def _select_fields(item: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    if fields is None:
        return item
    return {key: item[key] for key in ("id", *fields) if key in item}
