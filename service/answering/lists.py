"""What is asked, from whatever state of things, to a ranked list: one function for each call."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from indexer import Answer, RequestError
from indexer.answer import recommend, search, similar
from indexer.query import Page
from indexer.request import Request, Weights, find_scenario, parse_request
from service.edge import Cursor, ListKind
from service.live import RequestView

_COLD_START_TRENDING_WEIGHT = 0.1  # what the item most in fashion gains for somebody unknown


def request_from_cursor(view: RequestView, cursor: Cursor) -> Request:
    """Return what a cursor asks, with what a language model read into it."""
    overrides = dict(cursor.read or {})
    ideal = overrides.pop("ideal", None)
    request = parse_request({**cursor.body, **overrides}, scenarios=view.catalogue.scenarios)
    return replace(request, ideal=ideal)


def _recommend(view: RequestView, cursor: Cursor, page: Page) -> Answer:
    full_request = view.personalise(request_from_cursor(view, cursor), now=cursor.moment)
    score_terms = compute_trending_terms(view, full_request, now=cursor.moment)
    return recommend(
        view.catalogue, full_request, page=page, now=cursor.moment, score_terms=score_terms
    )


def compute_trending_terms(
    view: RequestView, request: Request, *, now: float
) -> dict[str, Mapping[str, float]]:
    """Return what items in fashion gain, where it counts or nothing is known of who asks."""
    weight = find_scenario(request.scenario, view.catalogue.scenarios).trending_weight
    if not (request.history or request.interests or request.query):
        weight = max(weight, _COLD_START_TRENDING_WEIGHT)
    if not weight:
        return {}
    shares = view.load_trending(request.scenario, now=now)
    return {"trending": {item_id: weight * share for item_id, share in shares.items()}}


def _list_trending(view: RequestView, cursor: Cursor, page: Page) -> Answer:
    """What is in fashion, then what is good for anybody."""
    request: Request = parse_request(cursor.body)
    full_request = replace(request, weights=Weights(meaning=0.0, taste=0.0))
    shares = view.load_trending(request.scenario, now=cursor.moment)
    return recommend(
        view.catalogue, full_request, page=page, now=cursor.moment, score_terms={"trending": shares}
    )


def _search(view: RequestView, cursor: Cursor, page: Page) -> Answer:
    return search(view.catalogue, parse_request(cursor.body), page=page)


def _find_similar(view: RequestView, cursor: Cursor, page: Page) -> Answer:
    body = dict(cursor.body)
    items, texts = body.pop("items", {}), body.pop("texts", {})
    for name, examples in (("items", items), ("texts", texts)):
        if not isinstance(examples, Mapping):
            raise RequestError(f'{name} must map each example to a weight, such as {{"m1": 1.0}}')
    return similar(view.catalogue, items, texts, parse_request(body), page=page)


LIST_FUNCTIONS: Mapping[ListKind, Callable[[RequestView, Cursor, Page], Answer]] = {
    ListKind.RECOMMEND: _recommend,
    ListKind.TRENDING: _list_trending,
    ListKind.SEARCH: _search,
    ListKind.SIMILAR: _find_similar,
}
