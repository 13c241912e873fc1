"""A request with a typed wish to the request it means: what plainly is a filter becomes one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from indexer.metadata import has_content_words, parse_filter
from indexer.query.catalogue import Catalogue
from indexer.query.eligibility import compute_filter_mask
from indexer.request import Request, Scenario
from indexer.wish import Subject, WishPhrase, build_phrase_filter, find_phrases, remove_phrases


@dataclass(frozen=True, slots=True)
class UnderstoodWish:
    """A request after its query was read.

    Attributes:
        request: With the filter that the query says, and a query without it.
        summary: As the answer shows it: `filter` and `from`, the words that say it, and perhaps
            `query`, what else is wanted; or `from` and `left_out`, why there is no filter. None if
            nothing was understood.
    """

    request: Request
    summary: Mapping[str, Any] | None = None


def understand_wish(catalogue: Catalogue, request: Request, scenario: Scenario) -> UnderstoodWish:
    """Return a request with the filter that its query says, combined by AND with its own.

    A query that is the title of an item is not read. A filter that no item passes is none.

    Raises:
        FilterError: If the own filter of the request, or of the scenario, does not fit the
            catalogue; only where the query says one.
    """
    phrases = find_phrases(request.query) if request.query and request.read_wish else []
    if not phrases or not request.query or catalogue.find_exact(request.query):
        return UnderstoodWish(request)

    def matches_any(condition: Any) -> bool:
        return bool(catalogue.mask(parse_filter(condition, catalogue.schema)).any())

    read: list[tuple[WishPhrase, dict[str, Any]]] = []
    for phrase in phrases:
        condition = build_phrase_filter(phrase, catalogue.schema, matches_any)
        if condition is not None:
            read.append((phrase, condition))
    if not read:
        return UnderstoodWish(request)
    words = [request.query[phrase.start : phrase.end].strip() for phrase, _ in read]
    conditions = [condition for _, condition in read]
    condition = conditions[0] if len(conditions) == 1 else {"and": conditions}
    own = [] if request.filter is None else [request.filter]
    combined = {"and": [*own, condition]} if own else condition
    filtered = replace(request, filter=combined)
    passing = compute_filter_mask(catalogue, filtered, scenario)
    if passing is None or not catalogue.availability.rows.intersect(passing).count:
        why = f"no item passes {' and '.join(map(repr, words))}, so it is not a filter"
        return UnderstoodWish(request, {"from": words, "left_out": [why]})
    summary: dict[str, Any] = {"filter": condition, "from": words}
    # What is for children is found by meaning, too.
    said = [phrase for phrase, _ in read if phrase.subject is not Subject.CHILDREN]
    rest = remove_phrases(request.query, said)
    if said and has_content_words(rest):
        filtered = replace(filtered, query=rest)
        summary["query"] = rest
    return UnderstoodWish(filtered, summary)
