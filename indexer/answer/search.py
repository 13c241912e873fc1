"""A text, or weighted examples, to the nearest items: `search` and `similar`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from indexer.answer.answer import Answer
from indexer.answer.pipeline import answer_query
from indexer.errors import RequestError
from indexer.query import (
    FIRST_PAGE,
    WORDS_WEIGHT,
    Catalogue,
    InputTerms,
    Page,
    Query,
    QueryInput,
    Role,
    Stopwatch,
    build_example_vectors,
    build_input_vectors,
    build_query_vectors,
    build_words_input,
    find_word_matches,
    select_eligible,
    understand_wish,
)
from indexer.request import Request, Scenario, Weights, parse_id, parse_text

_EXACT_TITLE, _EXACT_ID = 2.0, 4.0  # score terms above any cosine, so these come first
_WORDS_INPUT, _EXACT_INPUT = 1, 2  # positions among the inputs of a search
_MAX_EXAMPLES = 1_000
_DEFAULT_SCENARIO = Scenario("default")  # a text or an example means the same in every scenario


def search(catalogue: Catalogue, request: Request, *, page: Page = FIRST_PAGE) -> Answer:
    """Answer a text query by meaning plus full text; exact titles and ids come first.

    Raises:
        RequestError: If there is no query.
        FilterError: If the filter does not fit the catalogue.
    """
    if not request.query:
        raise RequestError("query is empty; give the words to look for")
    stopwatch = Stopwatch()
    wish = understand_wish(catalogue, request, _DEFAULT_SCENARIO)
    request = wish.request
    text = request.query or ""  # understanding leaves words
    # Words and exact matches give score terms alone; as inputs without weight they get a reason.
    inputs = [
        QueryInput(Role.QUERY, 1.0, {"kind": "query", "text": text}, text=text),
        build_words_input(text, weight=0.0),
        QueryInput(Role.QUERY, 0.0, {"kind": "exact", "text": text}),
    ]
    input_vectors = build_input_vectors(catalogue, inputs, {})
    stopwatch.lap("encode")
    query = Query(
        catalogue,
        request,
        _DEFAULT_SCENARIO,
        vectors=build_query_vectors(
            inputs, input_vectors, scenario=_DEFAULT_SCENARIO, weights=request.weights
        ),
        row_terms={},
        input_terms=_build_lexical_terms(catalogue, text),
        page=page,
    )
    eligible = select_eligible(catalogue, request, _DEFAULT_SCENARIO)
    return replace(answer_query(query, eligible, stopwatch), understood=wish.summary)


def similar(
    catalogue: Catalogue, items: Any, texts: Any, request: Request, *, page: Page = FIRST_PAGE
) -> Answer:
    """Find items like and unlike weighted examples; the examples themselves are left out.

    Raises:
        RequestError: If an example is unknown, or none has a positive weight.
        FilterError: If the filter does not fit the catalogue.
    """
    stopwatch = Stopwatch()
    inputs = [*_parse_examples(items, "items"), *_parse_examples(texts, "texts")]
    if not any(query_input.weight > 0 for query_input in inputs):
        raise RequestError("no example has a positive weight; say what the results should be like")
    item_ids = [query_input.item_id for query_input in inputs if query_input.item_id is not None]
    known = catalogue.rows(item_ids)
    for item_id in item_ids:
        if item_id not in known:
            raise RequestError(f"no item {item_id!r} in the catalogue")
    input_vectors = catalogue.to_similarity_queries(build_input_vectors(catalogue, inputs, known))
    stopwatch.lap("encode")
    vectors = build_example_vectors(inputs, input_vectors, weights=request.weights)
    search_request = replace(request, exclude=(*request.exclude, *known))
    query = Query(catalogue, search_request, _DEFAULT_SCENARIO, vectors, {}, page=page)
    return answer_query(
        query, select_eligible(catalogue, search_request, _DEFAULT_SCENARIO), stopwatch
    )


def _build_lexical_terms(catalogue: Catalogue, query: str) -> InputTerms:
    """Score terms of full-text matches, and of rows whose id or title is the query."""
    found, shares = find_word_matches(catalogue, query, is_finished=False)
    word_values = np.float32(WORDS_WEIGHT) * shares
    exact = catalogue.find_exact(query)
    ids = catalogue.rows([query]).values() if exact else ()
    exact_shares = [_EXACT_ID if row in ids else _EXACT_TITLE for row in exact]
    rows = np.concatenate([found, np.array(exact, np.int64)])
    order = np.argsort(rows, kind="stable")
    positions = np.repeat([_WORDS_INPUT, _EXACT_INPUT], [len(found), len(exact)])
    values = np.concatenate([word_values, exact_shares]).astype(np.float32)
    return InputTerms(rows[order], positions[order], values[order])


def _parse_examples(examples: Any, name: str) -> list[QueryInput]:
    """Weighted inputs of `items` or `texts`: one of them, a list, or a mapping to weights."""
    if isinstance(examples, str):
        examples = {examples: 1.0}
    elif isinstance(examples, Sequence):
        examples = dict.fromkeys(examples, 1.0)
    if not isinstance(examples, Mapping):
        raise RequestError(f"{name} must map each example to a weight, such as {{'m1': 1.0}}")
    if len(examples) > _MAX_EXAMPLES:
        raise RequestError(f"{name} has {len(examples)} examples, at most {_MAX_EXAMPLES} are read")
    inputs = []
    for example, weight in examples.items():
        number = Weights.parse_weight(weight, f"{name}[{example!r}]")
        if name == "items":
            item_id = parse_id(example, name)
            reason = {"kind": "item", "item_id": item_id}
            inputs.append(QueryInput(Role.PROFILE, number, reason, item_id=item_id))
        else:
            text = parse_text(example, name)
            if text:
                inputs.append(
                    QueryInput(Role.PROFILE, number, {"kind": "text", "text": text}, text=text)
                )
    return inputs
