"""/v1/trending: what is in fashion now, in the eyes of the log."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.edge import PROBLEMS, Kind, ReadRoute
from service.services import ServicesNow
from service.wire import AnswerOut, TrendingQuery

router = APIRouter(route_class=ReadRoute, prefix="/v1", tags=["lists"], responses=PROBLEMS)


@router.get("/trending", response_model=AnswerOut)
async def trending(asked: Annotated[TrendingQuery, Query()], services: ServicesNow) -> Response:
    """List what many people took to lately, then what is good for anybody."""
    body = asked.given()
    return await services.answer(lambda view: services.pages.page(view, Kind.TRENDING, body))
