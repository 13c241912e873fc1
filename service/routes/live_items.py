"""/v1/items, the calls that change it: the next answer of any worker knows the change."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response

from indexer import Index
from indexer.errors import RequestError
from indexer.live import Overlay
from service.edge import PROBLEMS, Problem, WriteRoute, decoded
from service.live import MAX_ITEMS, Live, Views
from service.services import ServicesNow
from service.store import checked_id
from service.wire import ItemBody, ItemKept, ItemsIn, ItemsKept

router = APIRouter(route_class=WriteRoute, prefix="/v1", tags=["catalogue"], responses=PROBLEMS)


@router.post("/items", response_model=ItemsKept)
async def post_items(body: ItemsIn, services: ServicesNow) -> Response:
    """Keep whole items, new or in place of old ones of the same ids."""
    bodies = _listed(body.items)

    def change(live: Live, index: Index) -> dict[str, Any]:
        ids, seq = live.items.put(index, bodies)
        return {"accepted": len(ids), "ids": ids, "live_seq": seq}

    return await services.change_items(change)


@router.put("/items/{item_id:item}", response_model=ItemKept)
async def put_item(item_id: str, body: ItemBody, services: ServicesNow) -> Response:
    """Keep a whole item, new or in place of the one of this id. Percent-encode the id."""
    whole = {**body.root, "id": _same_id(item_id, body.root)}

    def change(live: Live, index: Index) -> dict[str, Any]:
        (known,), seq = live.items.put(index, [whole])
        return {"id": known, "live_seq": seq}

    return await services.change_items(change)


@router.patch("/items/{item_id:item}", response_model=dict[str, Any])
async def patch_item(item_id: str, body: ItemBody, services: ServicesNow) -> Response:
    """Change some fields of an item, null removing one, and return all of it."""
    known = _same_id(item_id, body.root)

    def change(live: Live, index: Index) -> dict[str, Any]:
        def current() -> Overlay:
            with Views(live).of(index) as view:
                return view.catalogue

        item, _ = live.items.patch(index, current, {**body.root, "id": known})
        return item

    return await services.change_items(change)


@router.delete("/items/{item_id:item}", response_model=ItemKept)
async def delete_item(item_id: str, services: ServicesNow) -> Response:
    """Take an item away; no roll-back and no rebuild brings it back. Percent-encode the id."""
    known = checked_id(decoded(item_id), "id")

    def change(live: Live, index: Index) -> dict[str, Any]:
        with Views(live).of(index) as view:
            if not view.catalogue.rows([known]):
                raise Problem(HTTPStatus.NOT_FOUND, f"no item {known[:100]!r} in the catalogue")
        return {"id": known, "live_seq": live.items.delete(known)}

    return await services.change_items(change)


def _listed(items: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise RequestError(f"items must be a list of items, got {str(items)[:60]!r}")
    if len(items) > MAX_ITEMS:
        raise RequestError(
            f"items has {len(items)} entries, at most {MAX_ITEMS} are read; send fewer at once"
        )
    return items


def _same_id(part: str, body: Mapping[str, Any]) -> str:
    """The id of the path, which the body may repeat."""
    known = checked_id(decoded(part), "id")
    given = body.get("id", known)
    if str(given).strip() != known:
        raise RequestError(
            f"the body has id {str(given)[:60]!r}, the path {known[:60]!r}; leave id out, or make "
            f"them agree"
        )
    return known
