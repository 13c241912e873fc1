"""A request with `validate_only` to how it is read: inputs, weights, score terms, filters.

Nothing is encoded and nothing is searched.
"""

from collections.abc import Sequence
from typing import Any

from indexer.answer.answer import Answer
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
    inputs: Sequence[QueryInput],
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
        "signals": [_describe_input(query_input) for query_input in inputs],
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
    """An input's role, reason and weight, and the words it is encoded as, if any."""
    description = {
        "role": str(query_input.role),
        **query_input.reason,
        "weight": round(query_input.weight, 6),
    }
    return {**description, "words": query_input.text} if query_input.text else description


def _describe_term(term: ScoreTerm) -> dict[str, Any]:
    """To how many items a term is added, and its smallest and largest value."""
    values = term.values[term.values != 0]
    return {
        **term.reason,
        "items": len(values),
        "lowest": round(float(values.min()), 6) if len(values) else 0.0,
        "highest": round(float(values.max()), 6) if len(values) else 0.0,
    }


def _describe_plan(rows: int, count: int) -> dict[str, Any]:
    """How many rows are left, and whether all are scored exactly or searched under a mask."""
    share = rows / max(count, 1)
    method = "one exact product" if share <= DENSE_SHARE else "search under a mask"
    return {"items": rows, "share": round(share, 6), "plan": method}


def _describe_ranking_options(
    request: Request, scenario: Scenario, catalogue: Catalogue
) -> dict[str, Any]:
    """Diversity, caps, pins and exploration as they would be applied."""
    known = catalogue.schema.fields
    defaults = {name: limit for name, limit in scenario.max_per.items() if name in known}
    return {
        "diversity": request.diversity,
        "max_per": dict(defaults if request.max_per is None else request.max_per),
        "pin": [{"item_id": pin.item_id, "rank": pin.rank} for pin in request.pin],
        "explore": request.explore,
        "explores": f"the next {max(EXPLORE_NEXT, request.k)} and the {EXPLORE_NEWEST} newest"
        if request.explore
        else None,
    }
