"""/v1/trending: what is in fashion now, in the eyes of the log."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.answers import AnswerOut
from service.cursors import Kind
from service.problems import PROBLEMS
from service.routing import ReadRoute
from service.services import ServicesNow
from service.wire_live import TrendingQuery

router = APIRouter(route_class=ReadRoute, prefix="/v1", tags=["lists"], responses=PROBLEMS)


@router.get("/trending", response_model=AnswerOut)
async def trending(asked: Annotated[TrendingQuery, Query()], services: ServicesNow) -> Response:
    """List what many people took to lately, then what is good for anybody."""
    body = asked.given()
    return await services.answer(lambda view: services.pages.page(view, Kind.TRENDING, body))
