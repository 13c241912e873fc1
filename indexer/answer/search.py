"""A text, or weighted examples, to the items nearest to them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from indexer.answer.hits import Answer
from indexer.answer.pipeline import answered
from indexer.errors import RequestError
from indexer.query import (
    FIRST_PAGE,
    Catalogue,
    Clock,
    Page,
    Question,
    Role,
    Signal,
    compose,
    compose_examples,
    pool_for,
    sources_of,
)
from indexer.request import Request, Scenario, Weights, parse_id, parse_text

_LEXICAL_WEIGHT = 0.3  # what the best full-text match gains over none
_EXACT_TITLE, _EXACT_ID = 2.0, 4.0  # before anything that is merely similar
_LEXICAL_CANDIDATES = 1_000
_MAX_EXAMPLES = 1_000
_PLAIN = Scenario("default")  # a text or an example means the same in every scenario


def search(catalogue: Catalogue, request: Request, *, page: Page = FIRST_PAGE) -> Answer:
    """Answer a text query: meaning, full text, and exact titles and ids first.

    Raises:
        RequestError: If there is no query.
        FilterError: If the filter does not fit the catalogue.
    """
    if not request.query:
        raise RequestError("query is empty; give the words to look for")
    clock = Clock()
    signals = [
        Signal(Role.QUERY, 1.0, {"kind": "query", "text": request.query}, text=request.query)
    ]
    sources = sources_of(catalogue, signals, {})
    clock.lap("encode")
    weighed = compose(signals, sources, scenario=_PLAIN, weights=request.weights)
    terms = _lexical_terms(catalogue, request.query)
    question = Question(catalogue, request, _PLAIN, weighed, terms, page=page)
    return answered(question, pool_for(catalogue, request, _PLAIN), clock)


def similar(
    catalogue: Catalogue, items: Any, texts: Any, request: Request, *, page: Page = FIRST_PAGE
) -> Answer:
    """Find items like and unlike weighted examples; the examples themselves stay out.

    Raises:
        RequestError: If an example is unknown, or none has a positive weight.
        FilterError: If the filter does not fit the catalogue.
    """
    clock = Clock()
    signals = [*_examples(items, "items"), *_examples(texts, "texts")]
    if not any(signal.weight > 0 for signal in signals):
        raise RequestError("no example has a positive weight; say what the results should be like")
    known = catalogue.rows([s.item_id for s in signals if s.item_id is not None])
    for signal in signals:
        if signal.item_id is not None and signal.item_id not in known:
            raise RequestError(f"no item {signal.item_id!r} in the catalogue")
    sources = catalogue.alike(sources_of(catalogue, signals, known))
    clock.lap("encode")
    weighed = compose_examples(signals, sources, weights=request.weights)
    asked = replace(request, exclude=(*request.exclude, *known))
    question = Question(catalogue, asked, _PLAIN, weighed, {}, page=page)
    return answered(question, pool_for(catalogue, asked, _PLAIN), clock)


def _lexical_terms(catalogue: Catalogue, query: str) -> dict[int, list[dict[str, Any]]]:
    """Additive terms of rows that hold words of the query, or are exactly what it names."""
    terms: dict[int, list[dict[str, Any]]] = {}
    found = catalogue.full_text(query, _LEXICAL_CANDIDATES)
    top = max((score for _, score in found), default=0.0)
    for row, score in found:
        if score > 0:
            share = _LEXICAL_WEIGHT * score / top
            terms.setdefault(row, []).append({"kind": "words", "text": query, "share": share})
    ids = catalogue.rows([query])
    for row in catalogue.exact(query):
        share = _EXACT_ID if row in ids.values() else _EXACT_TITLE
        terms.setdefault(row, []).append({"kind": "exact", "text": query, "share": share})
    return terms


def _examples(given: Any, name: str) -> list[Signal]:
    """Weighted examples as signals: an id or text, a list of them, or a mapping to weights."""
    if isinstance(given, str):
        given = {given: 1.0}
    elif isinstance(given, Sequence):
        given = dict.fromkeys(given, 1.0)
    if not isinstance(given, Mapping):
        raise RequestError(f"{name} must map each example to a weight, such as {{'m1': 1.0}}")
    if len(given) > _MAX_EXAMPLES:
        raise RequestError(f"{name} has {len(given)} examples, at most {_MAX_EXAMPLES} are read")
    signals = []
    for example, weight in given.items():
        number = Weights.checked(weight, f"{name}[{example!r}]")
        if name == "items":
            item_id = parse_id(example, name)
            reason = {"kind": "item", "item_id": item_id}
            signals.append(Signal(Role.PROFILE, number, reason, item_id=item_id))
        else:
            text = parse_text(example, name)
            if text:
                signals.append(
                    Signal(Role.PROFILE, number, {"kind": "text", "text": text}, text=text)
                )
    return signals
