"""Requests to /v1/trending to the items that are trending in the event log."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.edge import PROBLEM_RESPONSES, ListKind, ReadRoute
from service.services import ServicesDep
from service.wire import AnswerOut, TrendingQuery

router = APIRouter(route_class=ReadRoute, prefix="/v1", tags=["lists"], responses=PROBLEM_RESPONSES)


@router.get("/trending", response_model=AnswerOut)
async def trending(query: Annotated[TrendingQuery, Query()], services: ServicesDep) -> Response:
    """List what many people took to lately, then what is good for anybody."""
    body = query.dump_sent()
    return await services.respond(
        lambda view: services.pages.build_page(view, ListKind.TRENDING, body)
    )
