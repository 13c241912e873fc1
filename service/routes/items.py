"""Requests to /v1/items and /v1/catalog to items of the catalogue, and to its fields."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from indexer import RequestError
from service.edge import (
    PROBLEM_RESPONSES,
    DeepJsonError,
    Problem,
    ReadRoute,
    decode_id,
    parse_json,
)
from service.live import RequestView
from service.services import Services, ServicesDep
from service.wire import ItemsOut, ItemsQuery, SchemaOut

router = APIRouter(
    route_class=ReadRoute, prefix="/v1", tags=["catalogue"], responses=PROBLEM_RESPONSES
)


@router.get("/items", response_model=ItemsOut)
async def list_items(query: Annotated[ItemsQuery, Query()], services: ServicesDep) -> Response:
    """List items in order of id, available or not."""
    condition = _parse_filter(query.filter)
    return await services.respond(
        lambda view: services.pages.build_listing(view, condition, query.limit, query.cursor)
    )


@router.get("/items/{item_id:item}", response_model=dict[str, Any])
async def get_item(item_id: str, services: ServicesDep) -> Response:
    """Return an item with all its fields. Percent-encode the id."""
    return await answer_item(services, decode_id(item_id))


async def answer_item(services: Services, item_id: str) -> Response:
    """Answer with an item of the catalogue."""
    return await services.respond(lambda view: load_item(view, item_id))


@router.get("/catalog/schema", response_model=SchemaOut)
async def schema(services: ServicesDep) -> Response:
    """Return the fields, their types and most frequent values, for filter panels."""
    return await services.respond(
        lambda view: {
            "snapshot": view.catalogue.id,
            "items": len(view.catalogue),
            **view.catalogue.schema.to_json(),
        }
    )


def load_item(view: RequestView, item_id: str) -> dict[str, Any]:
    """Return an item.

    Raises:
        Problem: 404 if there is none of that id.
    """
    item = view.catalogue.get(item_id)
    if item is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no item {item_id[:100]!r} in the catalogue")
    return item


def _parse_filter(text: str | None) -> Any:
    if not text:
        return None
    try:
        return parse_json(text.encode())
    except DeepJsonError as error:
        raise RequestError(f"filter {error}") from error
    except ValueError as error:
        raise RequestError(
            f'filter is not JSON ({error}); percent-encode an object such as {{"available": true}}'
        ) from error
