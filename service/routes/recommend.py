"""/v1/recommend, /v1/search, /v1/similar: requests to ranked lists."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from service.edge import PROBLEMS, Kind, ReadRoute, decoded
from service.live import View
from service.llm import NOT_IN_BATCHES, parse_asked
from service.routes.items import item_of
from service.routes.llm import assisted
from service.services import ServicesNow
from service.wire import (
    AnswerOut,
    BatchIn,
    BatchOut,
    RecommendIn,
    SearchIn,
    SimilarIn,
    SimilarQuery,
)

router = APIRouter(route_class=ReadRoute, prefix="/v1", tags=["lists"], responses=PROBLEMS)


@router.post("/recommend", response_model=AnswerOut)
async def recommend(body: RecommendIn, services: ServicesNow, request: Request) -> Response:
    """Recommend items. `{}` is a valid request: what is good for anybody, now."""
    asked = body.given()
    if "llm" in asked:
        return await assisted(services, asked, request)
    return await services.answer(lambda view: services.pages.page(view, Kind.RECOMMEND, asked))


@router.post("/recommend/batch", response_model=BatchOut)
async def recommend_batch(body: BatchIn, services: ServicesNow) -> Response:
    """Answer many requests in order, all from one snapshot. One bad request fails the batch."""
    asked = [request.given() for request in body.requests]
    for place, one in enumerate(asked):
        parse_asked(one.get("llm", {}), f"requests[{place}].llm")
    deadline_s = services.settings.batch_deadline_s

    def answer(view: View) -> Any:
        answers = services.pages.batch(view, asked, deadline_s=deadline_s)
        return {"answers": [_said(*pair) for pair in zip(asked, answers, strict=True)]}

    return await services.answer(answer, deadline_s=deadline_s)


@router.post("/search", response_model=AnswerOut)
async def search(body: SearchIn, services: ServicesNow) -> Response:
    """Find items for a text: exact ids and titles first, then by meaning and words."""
    asked = body.given()
    return await services.answer(lambda view: services.pages.page(view, Kind.SEARCH, asked))


@router.post("/similar", response_model=AnswerOut)
async def similar(body: SimilarIn, services: ServicesNow) -> Response:
    """Find items like some examples and unlike others."""
    asked = body.given()
    return await services.answer(lambda view: services.pages.page(view, Kind.SIMILAR, asked))


@router.get("/items/{item_id:path}/similar", response_model=AnswerOut)
async def similar_to_item(
    item_id: str, asked: Annotated[SimilarQuery, Query()], services: ServicesNow
) -> Response:
    """Find items like this one. Percent-encode the id; a further page is a POST /v1/similar."""
    known = decoded(item_id)
    body = {"items": {known: 1.0}, "k": asked.k}

    def answer(view: View) -> Any:
        item_of(view, known)
        return services.pages.page(view, Kind.SIMILAR, body)

    return await services.answer(answer)


def _said(asked: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """A batch has no time for a language model; who asked for one is told."""
    return {**answer, "llm": NOT_IN_BATCHES} if "llm" in asked else answer
