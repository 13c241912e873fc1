"""A cursor to a ranked list over one state of catalogue and store: one function for each call."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from indexer import Answer, RequestError
from indexer.answer import recommend, recommend_prepared, search, similar
from indexer.query import FIRST_PAGE, Page
from indexer.request import Request, Weights, find_scenario, parse_request
from indexer.retrieval import PreparedQuery
from service.answering.cursors import load_personalised_request
from service.edge import Cursor, ListKind
from service.live import RequestView

# Score that the most trending item gains in a request that says nothing about the user.
_COLD_START_TRENDING_WEIGHT = 0.1


def answer_list(view: RequestView, cursor: Cursor, page: Page) -> tuple[Request, Answer]:
    """Return the complete request of a cursor and the part of its ranking that `page` names.

    Raises:
        RequestError: If a value does not fit.
        FilterError: If the filter does not fit the catalogue.
    """
    return _LIST_FUNCTIONS[cursor.kind](view, cursor, page)


def recommend_with_trending(
    view: RequestView, request: Request, *, now: float, page: Page = FIRST_PAGE
) -> Answer:
    """Recommend, where trending items gain score.

    Args:
        view: The state of the catalogue and the store.
        request: With what the store knows of the user, see `RequestView.personalise`.
        now: Unix seconds.
        page: Which part of the ranking.

    Raises:
        RequestError: If a value does not fit.
        FilterError: If the filter does not fit the catalogue.
    """
    score_terms = compute_trending_terms(view, request, now=now)
    return recommend(view.catalogue, request, page=page, now=now, score_terms=score_terms)


def recommend_to_user(view: RequestView, request: Request, *, now: float) -> Answer:
    """Recommend the first page with all that the store knows of the user, and say if that is any.

    Raises:
        RequestError: If a value does not fit.
        FilterError: If the filter does not fit the catalogue.
    """
    personal = view.personalise(request, now=now)
    answer = recommend_with_trending(view, personal, now=now)
    return replace(answer, user_known=view.is_user_known(request))


def recommend_prefetched(
    view: RequestView, prepared_query: PreparedQuery, *, now: float, page: Page
) -> Answer:
    """Recommend as `recommend_with_trending` does, for a request that is prepared."""
    request = prepared_query.resolved.request
    score_terms = compute_trending_terms(view, request, now=now)
    return recommend_prepared(view.catalogue, prepared_query, page=page, score_terms=score_terms)


def compute_trending_terms(
    view: RequestView, request: Request, *, now: float
) -> dict[str, Mapping[str, float]]:
    """Return the score that trending items gain: what the scenario says, more for unknown users."""
    weight = compute_trending_weight(view, request)
    if not weight:
        return {}
    shares = view.load_trending(request.scenario, now=now)
    return {"trending": {item_id: weight * share for item_id, share in shares.items()}}


def compute_trending_weight(view: RequestView, request: Request) -> float:
    """Return the score that the most trending item gains; 0: none does."""
    weight = find_scenario(request.scenario, view.catalogue.scenarios).trending_weight
    if not (request.history or request.interests or request.query):
        weight = max(weight, _COLD_START_TRENDING_WEIGHT)
    return weight


def _recommend(view: RequestView, cursor: Cursor, page: Page) -> tuple[Request, Answer]:
    request = load_personalised_request(view, cursor)
    return request, recommend_with_trending(view, request, now=cursor.moment, page=page)


def _list_trending(view: RequestView, cursor: Cursor, page: Page) -> tuple[Request, Answer]:
    """Rank by trending share alone; items that are not trending follow by popularity."""
    request = replace(parse_request(cursor.body), weights=Weights(meaning=0.0, taste=0.0))
    shares = view.load_trending(request.scenario, now=cursor.moment)
    answer = recommend(
        view.catalogue, request, page=page, now=cursor.moment, score_terms={"trending": shares}
    )
    return request, answer


def _search(view: RequestView, cursor: Cursor, page: Page) -> tuple[Request, Answer]:
    request = parse_request(cursor.body)
    return request, search(view.catalogue, request, page=page)


def _find_similar(view: RequestView, cursor: Cursor, page: Page) -> tuple[Request, Answer]:
    body = dict(cursor.body)
    items, texts = body.pop("items", {}), body.pop("texts", {})
    for name, examples in (("items", items), ("texts", texts)):
        if not isinstance(examples, Mapping):
            raise RequestError(f'{name} must map each example to a weight, such as {{"m1": 1.0}}')
    request = parse_request(body)
    return request, similar(view.catalogue, items, texts, request, page=page)


_LIST_FUNCTIONS: Mapping[
    ListKind, Callable[[RequestView, Cursor, Page], tuple[Request, Answer]]
] = {
    ListKind.RECOMMEND: _recommend,
    ListKind.TRENDING: _list_trending,
    ListKind.SEARCH: _search,
    ListKind.SIMILAR: _find_similar,
}
