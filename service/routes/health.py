"""/health: is the process alive, can it answer. Open to all, with or without a key."""

from fastapi import APIRouter, Request, Response

from service.edge import PROBLEMS, Problem, Role, json_response, unavailable
from service.services import Services, ServicesNow
from service.wire import Health

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", response_model=Health)
async def live() -> Response:
    """Say that the process runs and its event loop turns."""
    return json_response({"status": "alive"})


@router.get("/ready", response_model=Health, responses={503: PROBLEMS[503]})
async def ready(request: Request, services: ServicesNow) -> Response:
    """Say which snapshot serves; 503 until one is open and warm."""
    status = services.recommender.status
    trouble = status.trouble
    if trouble and not _may_know(request, services):
        trouble = "a snapshot cannot be opened; ask with an API key, or see the service's log"
    if status.snapshot is None:
        raise unavailable(trouble or "the index is being loaded; try again shortly")
    return json_response({"status": "ready", "snapshot": status.snapshot, "detail": trouble})


def _may_know(request: Request, services: Services) -> bool:
    """Whether who asks has a key: what is wrong with a snapshot tells paths of this machine."""
    if services.keys is None:
        return True
    try:
        services.keys.require(request.headers.get("authorization"), Role.READ)
    except Problem:
        return False
    return True
