"""Writing requests to /v1/items to stored item changes, which the next answer reflects."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Response

from indexer import Index
from indexer.errors import RequestError
from indexer.live import LiveCatalogue
from service.edge import PROBLEM_RESPONSES, WriteRoute, decode_id, render_json
from service.live import MAX_ITEMS_PER_CALL, LiveStore, RequestViews
from service.services import ServicesDep
from service.store import parse_clean_id
from service.wire import ItemBody, ItemKept, ItemsIn, ItemsKept

router = APIRouter(
    route_class=WriteRoute, prefix="/v1", tags=["catalogue"], responses=PROBLEM_RESPONSES
)

_NOTES = "notes"


@router.post("/items", response_model=ItemsKept)
async def post_items(body: ItemsIn, services: ServicesDep) -> Response:
    """Keep whole items, new or in place of old ones of the same ids: all of them or none.

    After no answer, or a 503, send the same again: it does no harm if it was kept.
    """
    kept = await services.writer.put_items(_parse_items(body.items))
    return render_json({"accepted": len(kept.ids), "ids": kept.ids, **kept.describe()})


@router.put("/items/{item_id:item}", response_model=ItemKept)
async def put_item(item_id: str, body: ItemBody, services: ServicesDep) -> Response:
    """Keep a whole item, new or in place of the one of this id. Percent-encode the id."""
    whole_item = {**body.root, "id": _parse_item_id(item_id, body.root)}
    kept = await services.writer.put_items([whole_item])
    return render_json({"id": kept.ids[0], **kept.describe()})


@router.patch("/items/{item_id:item}", response_model=dict[str, Any])
async def patch_item(item_id: str, body: ItemBody, services: ServicesDep) -> Response:
    """Change some fields of an item, null removing one, and return all of it.

    `notes` tells what was changed in another way than it came; `_notes` if the item has a field of
    that name.
    """
    clean_id = _parse_item_id(item_id, body.root)

    def change(live: LiveStore, index: Index) -> dict[str, Any]:
        def load_current() -> LiveCatalogue:
            with RequestViews(live).open(index) as view:
                return view.catalogue

        item, notes = live.items.patch(index, load_current, {**body.root, "id": clean_id})
        return {**item, _NOTES if _NOTES not in item else f"_{_NOTES}": notes} if notes else item

    return await services.writer.change_items(change)


@router.delete("/items/{item_id:item}", response_model=ItemKept)
async def delete_item(item_id: str, services: ServicesDep) -> Response:
    """Take an item away; no roll-back and no rebuild brings it back. Percent-encode the id."""
    clean_id = parse_clean_id(decode_id(item_id), "id")

    def change(live: LiveStore, index: Index) -> dict[str, Any]:
        return {"id": clean_id, "live_seq": live.items.delete(index, clean_id)}

    return await services.writer.change_items(change)


def _parse_items(items: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise RequestError(f"items must be a list of items, got {str(items)[:60]!r}")
    if len(items) > MAX_ITEMS_PER_CALL:
        raise RequestError(
            f"items has {len(items)} entries, at most {MAX_ITEMS_PER_CALL} are read; send fewer "
            f"at once"
        )
    return items


def _parse_item_id(encoded_id: str, body: Mapping[str, Any]) -> str:
    """Return the id in the path; a body may repeat it, but not name another one."""
    clean_id = parse_clean_id(decode_id(encoded_id), "id")
    body_id = body.get("id", clean_id)
    if str(body_id).strip() != clean_id:
        raise RequestError(
            f"the body has id {str(body_id)[:60]!r}, the path {clean_id[:60]!r}; leave id out, or "
            f"make them agree"
        )
    return clean_id
