"""Requests to /v1/recommend, /v1/search and /v1/similar to ranked lists."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from indexer.request import measure_text_cost
from service.edge import PROBLEM_RESPONSES, ListKind, ReadRoute, decode_id
from service.live import RequestView
from service.llm import UNUSED_IN_BATCH, parse_llm_options
from service.routes.items import load_item
from service.routes.llm import answer_with_llm
from service.services import Services, ServicesDep, check_text_cost
from service.wire import (
    AnswerOut,
    BatchIn,
    BatchOut,
    RecommendIn,
    SearchIn,
    SimilarIn,
    SimilarQuery,
)

router = APIRouter(route_class=ReadRoute, prefix="/v1", tags=["lists"], responses=PROBLEM_RESPONSES)


@router.post("/recommend", response_model=AnswerOut)
async def recommend(body: RecommendIn, services: ServicesDep, request: Request) -> Response:
    """Recommend items. `{}` is a valid request: what is good for anybody, now."""
    return await answer_recommend(services, body.dump_sent(), request)


async def answer_recommend(
    services: Services, body_fields: Mapping[str, Any], request: Request
) -> Response:
    """Answer the fields of a body of /v1/recommend."""
    if "llm" in body_fields:
        return await answer_with_llm(services, body_fields, request)
    response = services.answer_from_memory(
        lambda view: services.pages.build_kept_page(view, body_fields)
    )
    return response or await _respond_with_page(services, ListKind.RECOMMEND, body_fields)


@router.post("/recommend/batch", response_model=BatchOut)
async def recommend_batch(body: BatchIn, services: ServicesDep) -> Response:
    """Answer many requests in order, all from one snapshot. One bad request fails the batch."""
    body_fields = [request.dump_sent() for request in body.requests]
    for position, request_body in enumerate(body_fields):
        parse_llm_options(request_body.get("llm", {}), f"requests[{position}].llm")
    measure_text_cost(body_fields).check_batch()
    deadline_s = services.settings.batch_deadline_s

    def answer(view: RequestView) -> Any:
        answers = services.pages.build_batch(view, body_fields, deadline_s=deadline_s)
        return {
            "answers": [_add_llm_note(*pair) for pair in zip(body_fields, answers, strict=True)]
        }

    return await services.respond(answer, is_long=True, deadline_s=deadline_s)


@router.post("/search", response_model=AnswerOut)
async def search(body: SearchIn, services: ServicesDep, request: Request) -> Response:
    """Find items for a text: exact ids and titles first, then by meaning and words."""
    return await answer_search(services, body.dump_sent(), request)


async def answer_search(
    services: Services, body_fields: Mapping[str, Any], request: Request
) -> Response:
    """Answer the fields of a body of /v1/search."""
    return await _respond_with_page(services, ListKind.SEARCH, body_fields)


@router.post("/similar", response_model=AnswerOut)
async def similar(body: SimilarIn, services: ServicesDep, request: Request) -> Response:
    """Find items like some examples and unlike others."""
    return await answer_similar(services, body.dump_sent(), request)


async def answer_similar(
    services: Services, body_fields: Mapping[str, Any], request: Request
) -> Response:
    """Answer the fields of a body of /v1/similar."""
    return await _respond_with_page(services, ListKind.SIMILAR, body_fields)


@router.get("/items/{item_id:path}/similar", response_model=AnswerOut)
async def similar_to_item(
    item_id: str, query: Annotated[SimilarQuery, Query()], services: ServicesDep
) -> Response:
    """Find items like this one. Percent-encode the id; a further page is a POST /v1/similar."""
    decoded_id = decode_id(item_id)
    body = {"items": {decoded_id: 1.0}, "k": query.k}

    def answer(view: RequestView) -> Any:
        load_item(view, decoded_id)
        return services.pages.build_page(view, ListKind.SIMILAR, body)

    return await services.respond(answer)


async def _respond_with_page(
    services: Services, kind: ListKind, body_fields: Mapping[str, Any]
) -> Response:
    """Answer with the page that a body asks for."""
    check_text_cost(body_fields)
    return await services.respond(lambda view: services.pages.build_page(view, kind, body_fields))


def _add_llm_note(body: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Add that a batch uses no language model to the answer of a body that wants one."""
    return {**answer, "llm": UNUSED_IN_BATCH} if "llm" in body else answer
