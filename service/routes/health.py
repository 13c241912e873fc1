"""Requests to /health to whether the process is alive and can answer; no key is needed."""

from itertools import islice

from fastapi import APIRouter, Request, Response

from service.edge import PROBLEM_RESPONSES, Problem, Role, render_json, unavailable
from service.services import Services, ServicesDep
from service.wire import Health

_MAX_NAMED = 5  # of the items that are set aside

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", response_model=Health)
async def live() -> Response:
    """Say that the process runs and its event loop turns."""
    return render_json({"status": "alive"})


@router.get("/ready", response_model=Health, responses={503: PROBLEM_RESPONSES[503]})
async def ready(request: Request, services: ServicesDep) -> Response:
    """Say which snapshot serves; 503 until it, its model and live items are loaded."""
    status = services.active_index.status
    detail = status.error
    if detail and not _has_read_key(request, services):
        what = "the language model cannot be loaded"
        if status.has_model or status.snapshot is None:
            what = "a snapshot cannot be opened"
        detail = f"{what}; ask with an API key, or see the service's log"
    if status.snapshot is None:
        raise unavailable(detail or "the index is being loaded; try again shortly")
    if not status.has_model:
        raise unavailable(
            detail or "the language model is being loaded; users are answered by id already"
        )
    try:
        await services.check_store()
    except Problem as problem:
        if _has_read_key(request, services):
            raise
        raise unavailable(
            "the live store cannot be used; ask with an API key, or see the service's log"
        ) from problem
    if not services.refresher.has_loaded:
        raise unavailable("the live items are being loaded; try again shortly")
    return render_json(
        {
            "status": "ready",
            "snapshot": status.snapshot,
            "detail": detail or _describe_set_aside(request, services),
        }
    )


def _describe_set_aside(request: Request, services: Services) -> str | None:
    """Return the sentence that names the live items that are not shown; None if there are none."""
    live = services.live_store
    set_aside = live.items.list_set_aside(services.active_index.status.snapshot) if live else {}
    if not set_aside:
        return None
    if not _has_read_key(request, services):
        return "live items are set aside; ask with an API key, or see the service's log"
    named = "; ".join(f"{i[:60]!r} {why}" for i, why in islice(set_aside.items(), _MAX_NAMED))
    return (
        f"{len(set_aside)} live items are set aside and not shown, put them again or delete them: "
        f"{named}"
    )


def _has_read_key(request: Request, services: Services) -> bool:
    """Whether the request has a key of role read: error details contain paths of this machine."""
    if services.keys is None:
        return True
    try:
        services.keys.require_role(request.headers.get("authorization"), Role.READ)
    except Problem:
        return False
    return True
