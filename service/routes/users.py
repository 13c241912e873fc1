"""Requests to /v1/users to stored profiles, descriptions of users, merged and erased users."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response

from indexer.errors import RequestError
from service.edge import (
    PROBLEM_RESPONSES,
    Problem,
    ReadRoute,
    WriteRoute,
    decode_id,
    render_json,
)
from service.live import LiveStore, RequestView, describe_user, parse_profile
from service.services import ServicesDep
from service.store import parse_clean_id
from service.wire import Erased, Merged, MergeIn, UserIn, UserKept, UserOut

router = APIRouter(
    route_class=WriteRoute, prefix="/v1", tags=["users"], responses=PROBLEM_RESPONSES
)
read_router = APIRouter(
    route_class=ReadRoute, prefix="/v1", tags=["users"], responses=PROBLEM_RESPONSES
)


@router.put("/users/{user_id:path}", response_model=UserKept)
async def put_user(user_id: str, body: UserIn, services: ServicesDep) -> Response:
    """Store interests and attributes in place of earlier ones; they count in every request."""
    clean_id, profile = _parse_user_id(user_id), parse_profile(body.root)
    return await services.writer.write(
        lambda live: {"user_id": clean_id, "live_seq": live.users.put(clean_id, profile)}
    )


@read_router.get("/users/{user_id:path}", response_model=UserOut)
async def get_user(user_id: str, services: ServicesDep) -> Response:
    """Say what is known of a user: in words, as tags, and the latest events."""
    clean_id, now = _parse_user_id(user_id), services.clock()

    def answer(view: RequestView) -> dict[str, Any]:
        description = describe_user(view, clean_id, now=now)
        if description is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"nothing is known of user {clean_id[:100]!r}")
        return description

    return await services.respond(answer)


@router.delete("/users/{user_id:path}", response_model=Erased)
async def erase_user(user_id: str, services: ServicesDep) -> Response:
    """Erase a user or an anonymous session: events, interests, attributes, from every file.

    Only a keyed hash of the id stays, for rebuilds. 503: repeat the call, the files are not clean.
    """
    clean_id = _parse_user_id(user_id)
    try:
        erased_count, seq = await services.writer.erase_user(clean_id)
    finally:  # the rows may be gone even if the files could not be cleaned
        if services.llm_client is not None:
            services.llm_client.clear_cache()
    return render_json({"erased_events": erased_count, "live_seq": seq})


@router.post("/users/merge", response_model=Merged)
async def merge_users(body: MergeIn, services: ServicesDep) -> Response:
    """Give everything of an anonymous visitor to the user who has signed in."""
    if body.from_ is None or body.into is None:
        raise RequestError("a merge needs from and into, the ids of two users")
    source_id, target_id = parse_clean_id(body.from_, "from"), parse_clean_id(body.into, "into")

    def merge(live: LiveStore) -> dict[str, Any]:
        moved, seq = live.users.merge(source_id, target_id)
        return {"user_id": target_id, "moved": moved, "live_seq": seq}

    return await services.writer.write(merge)


def _parse_user_id(encoded_id: str) -> str:
    return parse_clean_id(decode_id(encoded_id), "user_id")
