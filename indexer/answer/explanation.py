"""A request to how it would be read, without searching: words, weights, terms, filters."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from indexer.answer.hits import Answer
from indexer.query import (
    Catalogue,
    QueryInput,
    ScoreTerm,
    compute_filter_mask,
    includes_seen,
    select_eligible,
)
from indexer.ranking import EXPLORE_NEWEST, EXPLORE_NEXT, resolve_caps
from indexer.request import Request, Scenario
from indexer.retrieval import DENSE_SHARE


def explain_request(
    catalogue: Catalogue,
    request: Request,
    scenario: Scenario,
    signals: Sequence[QueryInput],
    terms: Sequence[ScoreTerm],
) -> Answer:
    """Return an answer without hits whose `reading` says how the request is read.

    Raises:
        FilterError: If a filter or cap does not fit the catalogue.
    """
    resolve_caps(catalogue, request, scenario)
    eligible = select_eligible(catalogue, request, scenario)
    passing = compute_filter_mask(catalogue, request, scenario)
    reading = {
        "scenario": scenario.name,
        "language": catalogue.manifest.language,
        "include_seen": includes_seen(request, scenario),
        "signals": [_describe_input(query_input) for query_input in signals],
        "terms": [_describe_term(term) for term in terms],
        "filter": None if passing is None else _describe_plan(int(passing.sum()), catalogue.count),
        "pool": _describe_plan(eligible.count, catalogue.count),
        "arrangement": _describe_ranking_options(request, scenario, catalogue),
    }
    complete = {
        "returned": 0,
        "eligible": eligible.count,
        "excluded": dict(eligible.excluded),
        "search": "none",
    }
    return Answer((), complete, catalogue.manifest.id, reading=reading)


def _describe_input(query_input: QueryInput) -> dict[str, Any]:
    """What an input says, in which words, and how much it weighs beside the others of its role."""
    description = {
        "role": str(query_input.role),
        **query_input.reason,
        "weight": round(query_input.weight, 6),
    }
    return {**description, "words": query_input.text} if query_input.text else description


def _describe_term(term: ScoreTerm) -> dict[str, Any]:
    gaining = np.flatnonzero(term.values)
    gains = term.values[gaining]
    return {
        **term.reason,
        "items": len(gaining),
        "lowest": round(float(gains.min()), 6) if len(gains) else 0.0,
        "highest": round(float(gains.max()), 6) if len(gains) else 0.0,
    }


def _describe_plan(rows: int, count: int) -> dict[str, Any]:
    """How many rows are left, and whether they are scored one by one or searched."""
    share = rows / max(count, 1)
    method = "one exact product" if share <= DENSE_SHARE else "search under a mask"
    return {"items": rows, "share": round(share, 6), "plan": method}


def _describe_ranking_options(
    request: Request, scenario: Scenario, catalogue: Catalogue
) -> dict[str, Any]:
    known = catalogue.schema.fields
    own = {name: limit for name, limit in scenario.max_per.items() if name in known}
    return {
        "diversity": request.diversity,
        "max_per": dict(own if request.max_per is None else request.max_per),
        "pin": [{"item_id": pin.item_id, "rank": pin.rank} for pin in request.pin],
        "explore": request.explore,
        "explores": f"the next {max(EXPLORE_NEXT, request.k)} and the {EXPLORE_NEWEST} newest"
        if request.explore
        else None,
    }
